"""An SMTP server of our own: it hands on every message that it takes and never relays. The capture inbox and the door
for reports stand on it."""
