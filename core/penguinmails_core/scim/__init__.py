"""What identity providers provision by SCIM 2.0 (RFC 7643, RFC 7644), and the members that come of it."""
