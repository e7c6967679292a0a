"""The webhook portal: server-rendered pages for customers of an organization, framed by its own application."""
