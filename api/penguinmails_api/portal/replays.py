"""Send events again: a job that a worker does, with its progress on the page of the endpoint."""

from __future__ import annotations

from datetime import UTC, datetime

from fastapi import APIRouter, Request, Response

from penguinmails_api.portal.endpoints import endpoint_id
from penguinmails_api.portal.pages import PortalRoute, Visitor, read_form, visiting
from penguinmails_api.rate_limits.special import limit
from penguinmails_api.v1.common import read_id
from penguinmails_core.errors import BadRequest, Conflict, NotFound, Unprocessable
from penguinmails_core.kit.doorbell import REPLAYS
from penguinmails_core.kit.ids import Prefix
from penguinmails_core.webhook_replays import service as replays
from penguinmails_core.webhook_replays.service import Only, Wish

router = APIRouter(route_class=PortalRoute, include_in_schema=False)

KINDS = {
    "missing": ("What was missed", "Everything that was not delivered, for whichever reason."),
    "failed": ("What failed", "What was given up after the last attempt."),
    "all": ("Everything", "Also what was delivered before: your receiver gets it once more."),
}


@router.get("/portal/s/{token}/endpoints/{endpoint}/replay")
async def show_replay(request: Request, token: str, endpoint: str) -> Response:
    async with visiting(request, token, write=True) as visitor:
        return await _page(visitor, endpoint, "missing", "")


@router.post("/portal/s/{token}/endpoints/{endpoint}/replay")
@limit("20/minute", by="address")
async def replay(request: Request, token: str, endpoint: str) -> Response:
    form = await read_form(request)
    which, text = form.get("which"), form.get("since").strip()
    if which not in KINDS:
        raise BadRequest("The form says nothing of what to replay.")
    since = _moment(text)
    error = problem = ""
    if text and since is None:
        error = "Give a time such as 2026-11-24T12:00."
    else:
        try:
            async with visiting(request, token, write=True) as visitor:
                wish = Wish(only=Only(which), since=since)
                await replays.create(visitor.session, visitor.principal, endpoint_id(endpoint), wish)
                visitor.ring(REPLAYS)
                return visitor.go(f"/endpoints/{endpoint}", notice="replaying")
        except Unprocessable as refusal:
            error = refusal.detail
        except Conflict as refusal:
            problem = refusal.detail
    async with visiting(request, token, write=True) as visitor:
        return await _page(visitor, endpoint, which, text, error, problem=problem)


@router.post("/portal/s/{token}/endpoints/{endpoint}/replays/{replay}/cancel")
async def cancel(request: Request, token: str, endpoint: str, replay: str) -> Response:
    await read_form(request)
    async with visiting(request, token, write=True) as visitor:
        row = await visitor.endpoints.get(visitor.session, visitor.principal, endpoint_id(endpoint))
        replay_id = read_id(Prefix.WEBHOOK_REPLAY, "replay", replay)
        found = await replays.get(visitor.session, visitor.principal, replay_id)
        if found.row.endpoint_id != row.id:
            raise NotFound("There is no such replay of this endpoint.")
        await replays.cancel(visitor.session, visitor.principal, replay_id)
        return visitor.go(f"/endpoints/{endpoint}", notice="replay-cancelled")


def _moment(text: str) -> datetime | None:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    found = found if found.tzinfo is not None else found.replace(tzinfo=UTC)
    return found if 1970 < found.year < 9000 else None


async def _page(
    visitor: Visitor, endpoint: str, which: str, since: str, error: str = "", *, problem: str = ""
) -> Response:
    row = await visitor.endpoints.get(visitor.session, visitor.principal, endpoint_id(endpoint))
    return visitor.render(
        "replay.html",
        status=422 if error else 409 if problem else 200,
        endpoint=row,
        here=f"{visitor.base}/endpoints/{endpoint}",
        kinds=KINDS,
        entered={"which": which, "since": since},
        errors={"since": error},
        problem=problem,
    )
