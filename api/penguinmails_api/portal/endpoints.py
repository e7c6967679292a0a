"""Endpoints: see, add, change."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response

from penguinmails_api.identity.pages import Form
from penguinmails_api.portal import choices
from penguinmails_api.portal.deliveries import FilterForm, shown_types
from penguinmails_api.portal.pages import PortalRoute, Visitor, read_form, visiting
from penguinmails_api.v1.common import read_id
from penguinmails_core.errors import Conflict, Problem, Unprocessable
from penguinmails_core.kit import cursors, ids
from penguinmails_core.kit.ids import Prefix
from penguinmails_core.models import WebhookEndpoint
from penguinmails_core.webhook_endpoints.secrets import last_expiry
from penguinmails_core.webhook_portal import repository
from penguinmails_core.webhook_replays import service as replays

router = APIRouter(route_class=PortalRoute, include_in_schema=False)

PAGE, BARS = 20, 24
STATUSES = {
    "": "All",
    "delivered": "Delivered",
    "failing": "Failing, tried again",
    "exhausted": "Failed",
    "pending": "Waiting",
    "cancelled": "Cancelled",
}
Text = Annotated[str, Query(max_length=200)]


@router.get("/portal/s/{token}")
async def list_endpoints(request: Request, token: str, after: Text = "") -> Response:
    async with visiting(request, token) as visitor:
        place = cursors.decode_id(after, "after") if after else None
        rows, more = await visitor.endpoints.list_endpoints(visitor.session, visitor.principal, limit=PAGE, after=place)
        shown = [row.id for row in rows]
        recent = await repository.recent(visitor.session, visitor.principal.organization_id, shown, BARS)
        return visitor.render(
            "endpoints.html", endpoints=rows, recent=recent, more=cursors.encode_id(rows[-1].id) if more else None
        )


@router.get("/portal/s/{token}/endpoints/new")
async def show_new(request: Request, token: str) -> Response:
    async with visiting(request, token, write=True) as visitor:
        return _form(visitor, None, {"url": "", "description": "", "events": []})


@router.post("/portal/s/{token}/endpoints/new")
async def create(request: Request, token: str) -> Response:
    form = await read_form(request)
    try:
        async with visiting(request, token, write=True) as visitor:
            endpoint, secret = await visitor.endpoints.create(
                visitor.session,
                visitor.principal,
                url=form.get("url").strip(),
                events=choices.chosen(visitor.link.events, form.all("events")),
                description=form.get("description").strip() or None,
            )
            return visitor.render(
                "secret.html", heading="Your endpoint is added", endpoint=endpoint, secret=secret, overlap=None
            )
    except (Unprocessable, Conflict) as problem:
        async with visiting(request, token, write=True) as visitor:
            return _form(visitor, None, _entered(form), problem)


@router.get("/portal/s/{token}/endpoints/{endpoint}")
async def show(
    request: Request,
    token: str,
    endpoint: str,
    status: Text = "",
    type_: Annotated[str, Query(alias="type", max_length=100)] = "",
    since: Text = "",
    until: Text = "",
    after: Text = "",
    before: Text = "",
) -> Response:
    """`status` and the others narrow the list of deliveries; `after` and `before` turn its pages."""
    async with visiting(request, token) as visitor:
        row = await visitor.endpoints.get(visitor.session, visitor.principal, endpoint_id(endpoint))
        wanted = FilterForm(status if status in STATUSES else "", type_, since, until)
        found, newer, older = await wanted.page(visitor, row, after, before)
        recent = await repository.recent(visitor.session, row.organization_id, [row.id], BARS)
        job, _ = await replays.list_replays(visitor.session, visitor.principal, row.id, limit=1)
        path = f"{visitor.base}/endpoints/{ids.encode(Prefix.WEBHOOK_ENDPOINT, row.id)}"
        return visitor.render(
            "endpoint.html",
            endpoint=row,
            recent=recent[row.id],
            replay=job[0] if job else None,
            overlap_until=overlap_until(row),
            deliveries=found,
            statuses=STATUSES,
            types=shown_types(visitor.link.events, row.events),
            wanted=wanted,
            filtered=wanted.wanted.given,
            newer=wanted.address(path, "before", newer),
            older=wanted.address(path, "after", older),
        )


@router.get("/portal/s/{token}/endpoints/{endpoint}/edit")
async def show_edit(request: Request, token: str, endpoint: str) -> Response:
    async with visiting(request, token, write=True) as visitor:
        row = await visitor.endpoints.get(visitor.session, visitor.principal, endpoint_id(endpoint))
        entered = {"url": row.url, "description": row.description or "", "events": row.events}
        return _form(visitor, row, entered)


@router.post("/portal/s/{token}/endpoints/{endpoint}/edit")
async def edit(request: Request, token: str, endpoint: str) -> Response:
    form = await read_form(request)
    try:
        async with visiting(request, token, write=True) as visitor:
            row = await visitor.endpoints.get(visitor.session, visitor.principal, endpoint_id(endpoint), lock=True)
            changes = {
                "url": form.get("url").strip(),
                "events": choices.chosen(visitor.link.events, form.all("events"), row.events),
                "description": form.get("description").strip() or None,
            }
            # Only what differs: a new URL starts the record of failures anew.
            changes = {name: value for name, value in changes.items() if value != getattr(row, name)}
            await visitor.endpoints.update(visitor.session, visitor.principal, row.id, changes)
            return visitor.go(f"/endpoints/{endpoint}", notice="saved")
    except (Unprocessable, Conflict) as problem:
        async with visiting(request, token, write=True) as visitor:
            row = await visitor.endpoints.get(visitor.session, visitor.principal, endpoint_id(endpoint))
            return _form(visitor, row, _entered(form), problem)


def endpoint_id(text: str) -> UUID:
    """Raises `NotFound`."""
    return read_id(Prefix.WEBHOOK_ENDPOINT, "webhook endpoint", text)


def overlap_until(row: WebhookEndpoint) -> datetime | None:
    """Until when an older secret signs, too, if there is one."""
    return last_expiry(row)


def _entered(form: Form) -> dict[str, Any]:
    return {"url": form.get("url"), "description": form.get("description"), "events": form.all("events")}


def _form(
    visitor: Visitor, row: WebhookEndpoint | None, entered: dict[str, Any], problem: Problem | None = None
) -> Response:
    allowed, home = visitor.link.events, visitor.base
    if row is not None:
        home += f"/endpoints/{ids.encode(Prefix.WEBHOOK_ENDPOINT, row.id)}"
    errors = {"url": "", "events": "", "description": ""}
    for error in problem.errors if problem is not None else ():
        name = error.pointer.strip("/").partition("/")[0]
        errors[name if name in errors else "events"] = error.detail
    told = any(errors.values())
    return visitor.render(
        "endpoint_form.html",
        status=problem.status if problem is not None else 200,
        heading="Edit endpoint" if row is not None else "Add endpoint",
        button="Save" if row is not None else "Add endpoint",
        action=f"{home}/edit" if row is not None else f"{home}/endpoints/new",
        back_to=home,
        back_text="Back to the endpoint" if row is not None else "Endpoints",
        problem=problem.detail if problem is not None and not told else "",
        errors=errors,
        entered=entered,
        all_allowed="*" in allowed,
        families=choices.offered(allowed, entered["events"]),
        fixed=choices.fixed(allowed, row.events) if row is not None else [],
    )
