"""What the pages behind links in mail share: templates, headers, and problems as pages. No cookies, no script."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from fastapi import Request, Response
from fastapi.responses import HTMLResponse
from fastapi.routing import APIRoute
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from penguinmails_api.context import RequestContext
from penguinmails_api.identity.assets import asset_url
from penguinmails_api.rate_limits.admission import refusal
from penguinmails_api.rate_limits.policies import Bound, Bucket, Line
from penguinmails_api.routing import get_context
from penguinmails_core.errors import NotFound, Problem, Unavailable
from penguinmails_core.unsubscribes.links import Subscriber, UnsubscribeLinks

_templates = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src 'self' data:; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'",
    # Not `no-referrer`: browsers then name no Origin in our own forms. Nothing leaves for other sites either way.
    "Referrer-Policy": "same-origin",
    "X-Robots-Tag": "noindex, nofollow",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_FORM_BYTES = 8192  # our own forms have a few words, and names of lists
# Mail services call for very many people from few addresses, so good links are counted by person, bad ones by address.
_PERSON = Bucket("unsubscribe", 60, 60)
_GUESSES = Bucket("mail-link-guesses", 60, 60)


def page(template: str, *, status: int = 200, **values: Any) -> HTMLResponse:
    text = _templates.get_template(template).render(asset=asset_url, **values)
    return HTMLResponse(text, status, headers=HEADERS)


def links_of(context: RequestContext) -> UnsubscribeLinks:
    """Raises `Unavailable` on a server that cannot read tokens."""
    links = context.services.unsubscribe_links
    if links is None:
        raise Unavailable("This server cannot read links: its operator must set PENGUINMAILS_SECRET_KEYS.")
    return links


async def subscriber_of(context: RequestContext, request: Request, token: str) -> Subscriber:
    """Whom the link is for. Raises `NotFound` for what is no link of ours and `RateLimited`."""
    subscriber = links_of(context).read(token)
    if subscriber is None:
        await refuse_guesses(context, request)
        raise NotFound(
            "This link is not complete. Mail programs sometimes break long links: copy all of it from the message, or "
            "answer the message and ask to be taken off the list."
        )
    await _take(context, Line(_PERSON, f"u:{subscriber.recipient_id}"))
    return subscriber


async def refuse_guesses(context: RequestContext, request: Request) -> None:
    """Called for what is no link. Raises `RateLimited` for who tries many."""
    await _take(context, Line(_GUESSES, f"ug:{request.state.client_address}"))


async def _take(context: RequestContext, line: Line) -> None:
    verdict = await context.services.limiter.take(Bound([line]))
    if not verdict.allowed:
        raise refusal(verdict, 1, 0, None)


async def read_form(request: Request) -> dict[str, list[str]]:
    """The fields of one of our own forms; none for anything else."""
    if not request.headers.get("content-type", "").lower().startswith("application/x-www-form-urlencoded"):
        return {}
    body = await request.body()
    return parse_qs(body.decode("latin-1")) if len(body) <= _FORM_BYTES else {}


def masked(address: str) -> str:
    """``a…@example.com``: mail is forwarded, and whoever gets it need not learn the whole address from us."""
    local, _, domain = address.rpartition("@")
    return f"{local[:1]}…@{domain}"


class MailRoute(APIRoute):
    """Problems become pages."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handler = super().get_route_handler()

        async def show(request: Request) -> Response:
            try:
                return await handler(request)
            except Problem as problem:
                request_id = get_context(request).request_id
                response = page("problem.html", status=problem.status, problem=problem, request_id=request_id)
                response.headers.update(problem.headers)
                return response

        return show
