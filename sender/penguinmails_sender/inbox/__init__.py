"""The capture inbox: an SMTP server that keeps what it receives, and a page on which a developer reads it.

Nothing is ever passed on. `server.CaptureInbox` runs the whole; `smtp_server.SmtpServer` alone is a fast sink.
"""
