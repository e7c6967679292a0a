"""People's own mailboxes: kept, tested, paused; what they may send and when."""
