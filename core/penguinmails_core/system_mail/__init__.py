"""The server's own mail: verification, reset, invitations."""
