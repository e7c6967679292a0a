"""All pages behind links in mail."""

from penguinmails_api.mail_pages import preferences, tracking, unsubscribe

ROUTERS = (unsubscribe.router, preferences.router, tracking.router)
