"""All routers of the OAuth server."""

from penguinmails_api.oauth2 import endpoints, metadata

ROUTERS = (endpoints.router, metadata.router)
