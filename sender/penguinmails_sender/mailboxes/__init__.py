"""Mail servers of people's own mailboxes: signing in to them, by SMTP and by IMAP."""
