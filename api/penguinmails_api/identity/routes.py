"""All routers of the pages."""

from penguinmails_api.identity import (
    account,
    api_keys,
    assets,
    invitation,
    links,
    login,
    passkey_login,
    places,
    security,
)

ROUTERS = (
    assets.router,
    login.router,
    passkey_login.router,
    links.router,
    invitation.router,
    account.router,
    places.router,
    security.router,
    security.calls,
    api_keys.router,
)
