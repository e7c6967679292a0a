"""All routers of the OAuth server."""

from penguinmails_api.oauth2 import (
    account_apps,
    consent_page,
    device_page,
    endpoints,
    interactive,
    metadata,
    pushed,
    registration,
)

ROUTERS = (
    endpoints.router,
    pushed.router,
    registration.router,
    metadata.router,
    interactive.router,
    consent_page.router,
    device_page.router,
    account_apps.router,
)
