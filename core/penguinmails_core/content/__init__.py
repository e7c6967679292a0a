"""The content tier: bodies and attachments, apart from the tables that work on mail.

`service.ContentService` is the door; `stores` keep the bytes behind one protocol (PostgreSQL, or an S3-compatible
server); `repository` holds the SQL; `collector` removes what nothing needs any more and finds orphans both ways.
"""
