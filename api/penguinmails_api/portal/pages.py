"""What every page of the portal has: the visitor and their link, the layout, forms, and problems shown as pages."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from fastapi import Request, Response
from fastapi.responses import HTMLResponse
from fastapi.routing import APIRoute
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from sqlalchemy.ext.asyncio import AsyncSession

from penguinmails_api.context import RequestContext
from penguinmails_api.identity.pages import Form
from penguinmails_api.portal import sessions
from penguinmails_api.portal.assets import asset_url, theme_url
from penguinmails_api.routing import get_context
from penguinmails_core.errors import (
    BadRequest,
    Forbidden,
    NotFound,
    PortalLinkEnded,
    Problem,
    Unavailable,
    UnsupportedMediaType,
)
from penguinmails_core.kit import ids
from penguinmails_core.kit.clock import rfc3339, utcnow
from penguinmails_core.kit.crypto import SecretBox
from penguinmails_core.models import WebhookPortalLink
from penguinmails_core.principal import Principal
from penguinmails_core.webhook_endpoints.service import WebhookEndpoints
from penguinmails_core.webhook_portal import repository, service
from penguinmails_core.webhook_portal.service import Visit
from penguinmails_webhooks.endpoints import webhook_endpoints

MAX_FIELDS = 400
_templates = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)

NOTICES = {
    "created": "The endpoint is added.",
    "saved": "Saved.",
    "enabled": "The endpoint is enabled: what happens from now on is sent to it.",
    "disabled": "The endpoint is disabled. What waited is cancelled and can be replayed later.",
    "deleted": "The endpoint is deleted.",
    "tested": "A test event is on its way. Its result shows below in a moment.",
    "replaying": "The replay has begun.",
    "replay-cancelled": "The replay is cancelled. What was due already is still sent.",
    "replayed": "It is sent again now, with the same id.",
}


@dataclass(slots=True)
class Visitor:
    """Somebody who came by a link, in one transaction. `token` is their session, for the links of the page."""

    request: Request
    context: RequestContext
    session: AsyncSession
    visit: Visit
    endpoints: WebhookEndpoints
    token: str
    rings: list[str] = field(default_factory=list)

    @property
    def link(self) -> WebhookPortalLink:
        return self.visit.link

    @property
    def principal(self) -> Principal:
        return self.visit.principal

    @property
    def base(self) -> str:
        return f"/portal/s/{self.token}"

    def ring(self, *channels: str) -> None:
        """After the commit."""
        self.rings += channels

    def render(self, template: str, *, status: int = 200, **values: Any) -> HTMLResponse:
        notice = NOTICES.get(self.request.query_params.get("notice", ""), "")
        values = {"base": self.base, "may_write": self.visit.may_write, "notice": notice, **values}
        return _page(self.request, template, status, self.link, values)

    def go(self, path: str = "", *, notice: str = "") -> Response:
        """To another page of the visit."""
        mark = "&" if "?" in path else "?"
        location = self.base + path + (f"{mark}notice={notice}" if notice else "")
        return Response(status_code=303, headers={"Location": location})


@asynccontextmanager
async def visiting(request: Request, token: str, *, write: bool = False) -> AsyncIterator[Visitor]:
    """The visitor of a session token, in a transaction that commits at the end. What the link allows is read in it.

    Raises `NotFound` for no token of ours, `PortalLinkEnded`, and with `write` `Forbidden` for a link that may only
    look.
    """
    context = get_context(request)
    services, box = context.services, box_of(context)
    known = sessions.read(box, token)
    if known is None:
        raise NotFound("There is no such page. Open it again from where it was linked.")
    async with services.database.tenant(known.organization_id) as session:
        link = await repository.read(session, known.organization_id, known.link_id)
        if link is None:
            raise PortalLinkEnded()
        session.expunge(link)  # it is read after a rollback too
        request.state.portal_link = link  # for the page that tells of a problem
        if known.over:
            raise PortalLinkEnded("Nothing was done here for half an hour. Open it again from where it was linked.")
        visit = await service.enter(session, link)
        request.state.portal_home = f"/portal/s/{token}"
        if write and not visit.may_write:
            raise Forbidden("With this link you can look at everything and change nothing.")
        visitor = Visitor(
            request=request,
            context=context,
            session=session,
            visit=visit,
            endpoints=webhook_endpoints(box, services.settings.webhooks),
            token=sessions.renewed(box, known, token),
        )
        yield visitor
    services.doorbell.ring(*visitor.rings)


def box_of(context: RequestContext) -> SecretBox:
    if context.services.box is None:
        raise Unavailable("This server cannot seal secrets: its operator must set PENGUINMAILS_SECRET_KEYS.")
    return context.services.box


async def read_form(request: Request) -> Form:
    """Raises `UnsupportedMediaType`, `BadRequest`."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/x-www-form-urlencoded":
        raise UnsupportedMediaType("Send the form as application/x-www-form-urlencoded.")
    body = await request.body()
    try:
        fields = parse_qs(body.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=MAX_FIELDS)
    except ValueError:
        raise BadRequest("The form could not be read.") from None
    return Form(fields)


def _page(
    request: Request, template: str, status: int, link: WebhookPortalLink | None, values: dict[str, Any]
) -> HTMLResponse:
    theme = link.theme if link is not None else {}
    text = _templates.get_template(template).render(
        asset=asset_url,
        theme_sheet=theme_url(theme.get("accent_color")),
        scheme=theme.get("color_scheme", "auto"),
        name=theme.get("name"),
        test_mode=link is not None and link.mode == "test",
        return_url=link.return_url if link is not None else None,
        path=request.url.path.partition("/s/")[2].partition("/")[2],
        request_id=get_context(request).request_id,
        **values,
    )
    return HTMLResponse(text, status, headers=_headers(link))


def _headers(link: WebhookPortalLink | None) -> dict[str, str]:
    """Who may frame the page is what the link says. Nothing is loaded from elsewhere, and no script or style stands in
    the page itself."""
    ancestors = " ".join(link.frame_ancestors) if link is not None and link.frame_ancestors else "'none'"
    headers = {
        "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
        f"connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors {ancestors}",
        # Not `no-referrer`: browsers then name no Origin in our own forms. Nothing leaves for other sites either way.
        "Referrer-Policy": "same-origin",
        "X-Robots-Tag": "noindex",
        "Cross-Origin-Resource-Policy": "cross-origin" if ancestors != "'none'" else "same-origin",
    }
    if ancestors == "'none'":
        headers["X-Frame-Options"] = "DENY"
    return headers


class PortalRoute(APIRoute):
    """Problems become pages, in the look and the frame of the link when it is known."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handler = super().get_route_handler()

        async def show(request: Request) -> Response:
            try:
                return await handler(request)
            except Problem as problem:
                link = getattr(request.state, "portal_link", None)
                home = getattr(request.state, "portal_home", None)
                values = {"problem": problem, "base": home, "may_write": False, "notice": ""}
                response = _page(request, "problem.html", problem.status, link, values)
                response.headers.update(problem.headers)
                return response

        return show


def _moment(value: datetime | None) -> str:
    return value.astimezone(UTC).strftime("%d %b %Y, %H:%M:%S UTC") if value else "never"


def _ago(value: datetime | None) -> str:
    if value is None:
        return "never"
    seconds = int((utcnow() - value).total_seconds())
    ahead, seconds = seconds < -1, abs(seconds)
    for size, unit in ((86400, "day"), (3600, "hour"), (60, "minute"), (1, "second")):
        if seconds >= size:
            count = seconds // size
            text = f"{count} {unit}{'s' if count != 1 else ''}"
            return f"in {text}" if ahead else f"{text} ago"
    return "just now"


_templates.filters["moment"] = _moment
_templates.filters["ago"] = _ago
_templates.filters["family"] = lambda name: name.replace("_", " ").capitalize().replace("Api", "API")
_templates.filters["tojson_pretty"] = lambda value: json.dumps(value, indent=2, ensure_ascii=False)
_templates.filters["rfc3339"] = rfc3339
_templates.filters["header_lines"] = lambda headers: "\n".join(f"{name}: {value}" for name, value in headers.items())
_templates.filters["typeid"] = lambda value, prefix: ids.encode(prefix, value)
