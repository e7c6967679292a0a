"""All routers of the portal."""

from penguinmails_api.portal import assets, changes, deliveries, diagnosis, endpoints, entrance, reading, replays

ROUTERS = (
    assets.router,
    entrance.router,
    endpoints.router,
    changes.router,
    deliveries.router,
    replays.router,
    diagnosis.router,
    reading.router,
)
