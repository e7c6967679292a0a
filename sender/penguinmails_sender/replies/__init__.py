"""Answers that come back to mailboxes: read by IMAP, threaded, judged."""
