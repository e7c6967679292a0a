"""The OAuth2 and OpenID server: apps, grants, tokens, signing keys. What speaks HTTP stands in `api/oauth2`."""
