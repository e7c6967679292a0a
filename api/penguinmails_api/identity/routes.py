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
from penguinmails_api.identity.sso import pages as sso

ROUTERS = (
    assets.router,
    login.router,
    sso.router,
    passkey_login.router,
    links.router,
    invitation.router,
    account.router,
    places.router,
    security.router,
    security.calls,
    api_keys.router,
)
