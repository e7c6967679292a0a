"""All pages behind links in mail."""

from penguinmails_api.mail_pages import tracking, unsubscribe

ROUTERS = (unsubscribe.router, tracking.router)
