"""Pages for people: signing in, their account, and the session cookie that the API takes from browsers."""
