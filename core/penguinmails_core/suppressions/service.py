"""The list of those who are not mailed: look, add, lift, and take a lift back. Every change is told as an event.

A suppression holds for all mail of the organization, for campaign mail, or for one list (the last two are of people who
unsubscribed), and in one mode: what a test key adds stops test mail only. Nothing is deleted: a lifted one stays with
its evidence. The sender reads the list again when it claims a recipient.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import func
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from penguinmails_core.audit import service as audit
from penguinmails_core.audit.actor import Resource
from penguinmails_core.errors import Conflict, FieldError, NotFound, Unprocessable
from penguinmails_core.events.types import EventType
from penguinmails_core.kit.addresses import AddressError, parse_address
from penguinmails_core.kit.clock import rfc3339, utcnow
from penguinmails_core.kit.ids import Prefix, encode, new_uuid
from penguinmails_core.kit.pages import cut
from penguinmails_core.models import Suppression
from penguinmails_core.principal import Principal, PrincipalKind
from penguinmails_core.suppressions import repository
from penguinmails_core.suppressions.repository import SuppressionFilter
from penguinmails_core.suppressions.telling import tell

MAX_MANY = 1000
OWN_WISH = frozenset({"unsubscribe", "complaint"})  # lifted only when the person asks for it

_PREFIXES = {
    PrincipalKind.API_KEY: Prefix.API_KEY,
    PrincipalKind.OAUTH: Prefix.OAUTH_GRANT,
    PrincipalKind.SESSION: Prefix.USER,
    PrincipalKind.PORTAL_LINK: Prefix.WEBHOOK_PORTAL_LINK,
}


@dataclass(frozen=True, slots=True)
class NewSuppression:
    address: str
    reason: str = "manual"
    note: str | None = None
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Undo:
    """Made from `start` and before `end`, for one of `reasons`."""

    start: datetime
    end: datetime
    reasons: Sequence[str]


@dataclass(frozen=True, slots=True)
class Undone:
    """`has_more`: there were more than fit in one go."""

    lifted: int
    has_more: bool


@dataclass(frozen=True, slots=True)
class Made:
    """`row` is in force now; `created` is False when it was before."""

    row: Suppression
    created: bool


@dataclass(frozen=True, slots=True)
class Checked:
    """`canonical` is what the list is searched for, `error` why the address is none. `row` is the suppression in force;
    the caller may not be allowed to look at it (`visible`)."""

    address: str
    canonical: str | None
    error: str | None
    row: Suppression | None
    visible: bool


async def get(session: AsyncSession, principal: Principal, suppression_id: UUID, *, lock: bool = False) -> Suppression:
    """Raises `NotFound`, also for what the caller may not see."""
    row = await repository.get(session, principal, suppression_id, lock=lock)
    if row is None:
        raise NotFound("There is no such suppression.")
    return row


async def list_suppressions(
    session: AsyncSession,
    principal: Principal,
    wanted: SuppressionFilter,
    *,
    limit: int,
    after: UUID | None = None,
    before: UUID | None = None,
) -> tuple[list[Suppression], bool]:
    """A page, the newest first, and whether there is more in the direction of travel."""
    found = await repository.list_suppressions(session, principal, wanted, limit=limit + 1, after=after, before=before)
    return cut(found, limit, backwards=before is not None)


async def create(session: AsyncSession, principal: Principal, new: NewSuppression) -> Suppression:
    """Raises `Unprocessable` for what is no address or ends in the past, `Conflict` when the address is suppressed
    already for at least as long."""
    [made] = await create_many(session, principal, [new])
    if isinstance(made, FieldError):
        raise Unprocessable(made.detail, errors=[made])
    if not made.created:
        until = f"until {rfc3339(made.row.expires_at)}" if made.row.expires_at else "without an end"
        extra = {"suppression_id": encode(Prefix.SUPPRESSION, made.row.id)} if may_see(principal, made.row) else {}
        raise Conflict(f"The address is suppressed already ({made.row.reason}, {until}).", extra=extra)
    return made.row


async def create_many(
    session: AsyncSession, principal: Principal, items: Sequence[NewSuppression]
) -> list[Made | FieldError]:
    """One result for each item, in order: what is in force for its address now, or what is wrong with it.

    One with an end gives way to one that lasts longer.
    """
    wanted, keys = _canonical(items)
    held = await repository.holding(session, principal, list(wanted), lock=True)
    weaker = [row for address, row in held.items() if _outlasts(wanted[address], row)]
    await repository.make_way(session, weaker, _by(principal))
    free = [address for address in wanted if address not in held or held[address] in weaker]
    values = [_values(principal, address, wanted[address]) for address in free]
    made = await repository.insert_many(session, values)
    for row in made.values():
        tell(session, row, EventType.SUPPRESSION_CREATED)
    raced = [address for address in free if address not in made]
    if raced:  # somebody else was first
        held |= await repository.holding(session, principal, raced)
    results: list[Made | FieldError] = []
    first: set[str] = set()
    for key in keys:
        if isinstance(key, FieldError):
            results.append(key)
            continue
        row = made.get(key) or held[key]
        results.append(Made(row, created=key in made and key not in first))
        first.add(key)
    return results


async def check(session: AsyncSession, principal: Principal, addresses: Sequence[str]) -> list[Checked]:
    """For each address whether mail to it would be stopped now, in the whole organization."""
    read: list[tuple[str, str | None, str | None]] = []
    for address in addresses:
        try:
            read.append((address, parse_address(address).canonical, None))
        except AddressError as error:
            read.append((address, None, error.detail))
    found = await repository.in_force(session, principal, list({key for _, key, _ in read if key is not None}))
    rows = [(address, key, error, found.get(key) if key else None) for address, key, error in read]
    return [
        Checked(address, key, error, row, row is not None and may_see(principal, row))
        for address, key, error, row in rows
    ]


async def lift(session: AsyncSession, principal: Principal, suppression_id: UUID, *, consent: bool) -> Suppression:
    """Mail may be sent to the address again; the record stays. Lifting a lifted one changes nothing.

    Raises `Conflict` for an `unsubscribe` or `complaint` without `consent`: the person's own wish.
    """
    row = await get(session, principal, suppression_id, lock=True)
    if row.lifted_at is not None:
        return row
    if row.reason in OWN_WISH and not consent:
        raise Conflict(
            f"The person asked not to be mailed ({row.reason}). If they have asked to be mailed again, say so with "
            "`?consent=true`; it is recorded."
        )
    row.lifted_at = func.now()
    row.lifted_by = _by(principal)
    row.event_sequence += 1
    await session.flush()
    await session.refresh(row)
    tell(session, row, EventType.SUPPRESSION_LIFTED, consent=consent)
    await _audit(session, principal, row, "suppression.lifted", {"consent": consent})
    return row


async def undo(session: AsyncSession, principal: Principal, wanted: Undo) -> Undone:
    """Lift what was suppressed in a span of time, such as during an outage whose bounces were not true. Up to
    `MAX_MANY` at a time, the oldest first; each can be restored. Raises `Unprocessable` for a span that does not end
    after its start, and for a person's own wish."""
    wishes = sorted(OWN_WISH.intersection(wanted.reasons))
    if wishes:
        detail = f"A person's own wish ({', '.join(wishes)}) is lifted one by one, with consent."
        raise Unprocessable(detail, errors=[FieldError("/reasons", "own_wish", detail)])
    if wanted.start >= wanted.end:
        detail = "`to` must be later than `from`."
        raise Unprocessable(detail, errors=[FieldError("/to", "not_after_from", detail)])
    found = await repository.made_between(session, principal, wanted.start, wanted.end, wanted.reasons, MAX_MANY + 1)
    rows = found[:MAX_MANY]
    now = utcnow()
    for row in rows:
        row.lifted_at = now
        row.lifted_by = _by(principal)
        row.event_sequence += 1
        tell(session, row, EventType.SUPPRESSION_LIFTED, consent=False)
    await session.flush()
    if rows:
        after = {"from": rfc3339(wanted.start), "to": rfc3339(wanted.end), "reasons": list(wanted.reasons)}
        resource = Resource(Prefix.ORGANIZATION, principal.organization_id)
        await audit.record(session, principal, "suppression.undone", resource, after=after | {"lifted": len(rows)})
    return Undone(len(rows), len(found) > MAX_MANY)


async def restore(session: AsyncSession, principal: Principal, suppression_id: UUID) -> Suppression:
    """Take a lift back. Raises `Conflict` when it is not lifted, or when the address is suppressed anew meanwhile."""
    row = await get(session, principal, suppression_id, lock=True)
    if row.lifted_at is None:
        raise Conflict("It was not lifted, so there is nothing to take back.")
    if row.expires_at is not None and row.expires_at <= utcnow():
        raise Conflict("It has ended by its own `expires_at`. Create a new suppression.")
    row.lifted_at = None
    row.lifted_by = None
    row.event_sequence += 1
    try:
        await session.flush()
    except IntegrityError:  # another one holds the address's place
        raise Conflict("The address has been suppressed anew since; that suppression stands.") from None
    tell(session, row, EventType.SUPPRESSION_RESTORED)
    await _audit(session, principal, row, "suppression.restored", {})
    return row


def _canonical(items: Sequence[NewSuppression]) -> tuple[dict[str, NewSuppression], list[str | FieldError]]:
    """(the first item of each canonical address, for each item its canonical address or what is wrong)."""
    wanted: dict[str, NewSuppression] = {}
    keys: list[str | FieldError] = []
    now = utcnow()
    for item in items:
        try:
            key = parse_address(item.address).canonical
        except AddressError as error:
            keys.append(FieldError("/address", error.code, error.detail))
            continue
        if item.expires_at is not None and item.expires_at <= now:
            keys.append(FieldError("/expires_at", "in_the_past", "`expires_at` must be in the future."))
            continue
        wanted.setdefault(key, item)
        keys.append(key)
    return wanted, keys


def _outlasts(new: NewSuppression, old: Suppression) -> bool:
    return old.expires_at is not None and (new.expires_at is None or new.expires_at > old.expires_at)


def _values(principal: Principal, address: str, new: NewSuppression) -> dict[str, Any]:
    return {
        "organization_id": principal.organization_id,
        "id": new_uuid(),
        "mode": principal.mode,
        "workspace_id": principal.workspace_id,
        "address": address,
        "reason": new.reason,
        "note": new.note,
        "expires_at": new.expires_at,
        "created_by": _by(principal),
        "event_sequence": 1,
    }


def _by(principal: Principal) -> str:
    return encode(_PREFIXES[principal.kind], principal.id)


def may_see(principal: Principal, row: Suppression) -> bool:
    """A credential bound to a workspace looks at what came from there; what holds, holds for it all the same."""
    return principal.workspace_id is None or row.workspace_id == principal.workspace_id


async def _audit(
    session: AsyncSession, principal: Principal, row: Suppression, action: str, more: dict[str, Any]
) -> None:
    resource = Resource(Prefix.SUPPRESSION, row.id, row.workspace_id)
    facts = audit.facts(row, "address", "reason", "scope", "scope_value")
    await audit.record(session, principal, action, resource, after=facts | more)
