"""The OAuth2 and OpenID endpoints: Authlib decides by the rules, an async shell around it reads and writes.

A request is parsed (`forms.py`), everything the rules may ask for is read and locked (`preload.py`), Authlib runs
without I/O (`server.py`, `grants/`), and what it decided to write is written in the same transaction, also when the
answer is an error: a code that is used twice must revoke, and be refused.
"""
