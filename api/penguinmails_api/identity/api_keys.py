"""API keys of the organization that one works in: see, make and revoke them. Making and revoking need sudo mode."""

from dataclasses import dataclass, field
from datetime import timedelta

from fastapi import APIRouter, Request, Response

from penguinmails_api.identity.browser import principal_of
from penguinmails_api.identity.links import field_errors
from penguinmails_api.identity.pages import (
    PageRoute,
    Visitor,
    VisitorDep,
    in_sudo,
    read_form,
    redirect,
    render,
    signed_in,
)
from penguinmails_core.api_keys import service
from penguinmails_core.api_keys.authority import status_of
from penguinmails_core.api_keys.presets import BY_NAME, PRESETS
from penguinmails_core.errors import Conflict, Forbidden, NotFound, Problem, Unprocessable
from penguinmails_core.identity.sessions import Session
from penguinmails_core.kit import ids
from penguinmails_core.kit.clock import utcnow
from penguinmails_core.kit.doorbell import EVENTS, KEYS
from penguinmails_core.kit.ids import IdError, Prefix
from penguinmails_core.scopes import Scope

router = APIRouter(route_class=PageRoute, include_in_schema=False)

HERE = "/account/api-keys"
MAX_SHOWN = 100
LIFETIMES = {"30": "30 days", "90": "90 days", "365": "one year", "": "no end"}


@dataclass(frozen=True, slots=True)
class _Entered:
    """What the form was sent with, to be shown again when something is wrong with it."""

    name: str = ""
    mode: str = "live"
    days: str = "90"
    presets: list[str] = field(default_factory=lambda: ["send_email"])


@router.get(HERE)
async def show_keys(visitor: VisitorDep) -> Response:
    return await _page(visitor, signed_in(visitor), _Entered())


async def _page(visitor: Visitor, session: Session, entered: _Entered, problem: Problem | None = None) -> Response:
    services = visitor.services
    principal = await principal_of(services, session)
    principal.require(Scope.API_KEYS_READ)
    async with services.database.tenant(principal.organization_id) as database:
        keys, more = await service.list_keys(database, principal, limit=MAX_SHOWN)
    return render(
        visitor,
        "api_keys.html",
        status=problem.status if problem else 200,
        keys=[(key, status_of(key)) for key in keys],
        more=more,
        may_write=Scope.API_KEYS_WRITE in principal.scopes,
        presets=[preset for preset in PRESETS if preset.scopes and set(preset.scopes) <= principal.scopes],
        lifetimes=LIFETIMES,
        entered=entered,
        errors=field_errors(problem),
    )


@router.post(HERE)
async def create_key(request: Request, visitor: VisitorDep) -> Response:
    """The secret is on the answer to this form and nowhere else."""
    session = await in_sudo(visitor, HERE)
    form = await read_form(request, visitor)
    entered = _Entered(form.get("name"), form.get("mode"), form.get("days"), form.all("preset"))
    principal = await principal_of(visitor.services, session)
    principal.require(Scope.API_KEYS_WRITE)
    try:
        values = _values(entered)
        async with visitor.services.database.tenant(principal.organization_id) as database:
            key, secret = await service.create(database, principal, values)
    except (Unprocessable, Forbidden, Conflict) as problem:
        return await _page(visitor, session, entered, problem)
    visitor.services.doorbell.ring(EVENTS)
    return render(visitor, "api_key.html", key=key, secret=secret)


def _values(entered: _Entered) -> dict[str, object]:
    if entered.days not in LIFETIMES or any(name not in BY_NAME for name in entered.presets):
        raise Unprocessable("Choose from what the form offers.")
    scopes = {scope for name in entered.presets for scope in BY_NAME[name].scopes}
    values: dict[str, object] = {"name": entered.name, "mode": entered.mode, "scopes": sorted(scopes)}
    if entered.days:
        values["expires_at"] = utcnow() + timedelta(days=int(entered.days))
    return values


@router.post(HERE + "/revoke")
async def revoke_key(request: Request, visitor: VisitorDep) -> Response:
    session = await in_sudo(visitor, HERE)
    form = await read_form(request, visitor)
    principal = await principal_of(visitor.services, session)
    principal.require(Scope.API_KEYS_WRITE)
    try:
        key_id = ids.decode(Prefix.API_KEY, form.get("key"))
    except IdError:
        raise NotFound("There is no such API key.") from None
    async with visitor.services.database.tenant(principal.organization_id) as database:
        await service.revoke(database, principal, key_id)
    visitor.services.doorbell.ring(KEYS, EVENTS)
    return redirect(HERE, notice="key-revoked")
