"""All pages behind links in mail."""

from penguinmails_api.mail_pages import unsubscribe

ROUTERS = (unsubscribe.router,)
