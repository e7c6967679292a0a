"""All routers of the pages."""

from penguinmails_api.identity import account, assets, login, passkey_login

ROUTERS = (assets.router, login.router, passkey_login.router, account.router)
