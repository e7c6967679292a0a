"""`/t/TOKEN` leads on, `/o/TOKEN` is an image. Both answer first and are written down later; neither changes anything a
scanner could do harm with."""

from __future__ import annotations

from base64 import b64decode

from fastapi import APIRouter, Request, Response

from penguinmails_api.mail_pages.pages import MailRoute, refuse_guesses
from penguinmails_api.routing import get_context
from penguinmails_core.errors import NotFound
from penguinmails_core.tracking import repository
from penguinmails_core.tracking.links import Target

router = APIRouter(route_class=MailRoute, include_in_schema=False)

_IMAGE = b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")  # one transparent pixel
_IMAGE_HEADERS = {
    "Cache-Control": "no-store, private, max-age=0",
    "Cross-Origin-Resource-Policy": "cross-origin",
    "Content-Security-Policy": "default-src 'none'",
}
# The page that is led to learns nothing of the link in the message.
_REDIRECT_HEADERS = {"Referrer-Policy": "no-referrer", "X-Robots-Tag": "noindex, nofollow"}


@router.api_route("/t/{token}", methods=["GET", "HEAD"])
async def follow(request: Request, token: str) -> Response:
    context = get_context(request)
    target = _target(request, token)
    if target is None or target.link is None:
        await refuse_guesses(context, request)
        raise NotFound("This link is not complete. Mail programs sometimes break long links: copy all of it.")
    async with context.services.database.tenant(target.organization_id) as session:
        url = await repository.destination(session, target)
    if url is None:
        raise NotFound("The message that this link was in is gone, and with it where the link led.")
    _note(request, target)
    return Response(status_code=302, headers={"Location": url, **_REDIRECT_HEADERS})


@router.api_route("/o/{token}", methods=["GET", "HEAD"])
async def show_image(request: Request, token: str) -> Response:
    """An image for every token: a broken one in a message would help nobody."""
    target = _target(request, token)
    if target is not None and target.link is None:
        _note(request, target)
    return Response(_IMAGE, media_type="image/gif", headers=_IMAGE_HEADERS)


def _target(request: Request, token: str) -> Target | None:
    links = get_context(request).services.tracking_links
    return links.read(token) if links is not None else None


def _note(request: Request, target: Target) -> None:
    headers = request.headers
    purpose = " ".join(headers.get(name, "") for name in ("sec-purpose", "purpose", "x-purpose", "x-moz"))
    get_context(request).services.hits.add(
        target, request.method, headers.get("user-agent", ""), prefetch="prefetch" in purpose.lower()
    )
