"""The capture inbox: an SMTP server that keeps what it receives, and a page on which a developer reads it.

Nothing is ever passed on. `server.CaptureInbox` runs the whole; the SMTP server below it is `smtpd`.
"""
