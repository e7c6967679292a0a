"""Replies: threads and messages that came back to mailboxes."""
