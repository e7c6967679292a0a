"""Domains as their owners manage them: add, look at DNS, delete. Every change is told as an event.

Who controls a name? Any organization may add it and gets keys of its own. It is verified when DNS holds *its* key, and
one organization at a time can have it verified. Whoever publishes their key later has taken the name over: the earlier
holder, whose key is gone from DNS, loses it in that moment, and is told. As long as the earlier key is there, the name
stays where it is.

Domains are facts of DNS, so live and test data share them; a test key may read them and change nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import func
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from penguinmails_core.audit import service as audit
from penguinmails_core.audit.actor import Actor, Resource
from penguinmails_core.domains import manage_repository as repository
from penguinmails_core.domains.dns_records import Observation, Record, RecordStatus, desired, public_key
from penguinmails_core.domains.service import NewKeys
from penguinmails_core.errors import Conflict, FieldError, Forbidden, NotFound, Unprocessable
from penguinmails_core.events import repository as events
from penguinmails_core.events.types import EventType
from penguinmails_core.kit.addresses import AddressError, to_ascii
from penguinmails_core.kit.db import Database
from penguinmails_core.kit.ids import Prefix, encode, new_uuid
from penguinmails_core.kit.pages import cut
from penguinmails_core.limits.catalogue import Limit
from penguinmails_core.limits.service import require_room
from penguinmails_core.models import Domain, DomainKey
from penguinmails_core.principal import Principal


@dataclass(frozen=True, slots=True)
class DomainRecords:
    """A domain, what it should publish, and what was seen of each record, by name."""

    row: Domain
    records: Sequence[Record]
    observed: Mapping[str, Observation]


def read_name(name: str) -> str:
    """A-labels. Raises `Unprocessable` for what is no domain name."""
    try:
        return to_ascii(name)
    except AddressError as error:
        raise Unprocessable(error.detail, errors=[FieldError("/name", error.code, error.detail)]) from None


def require_live(principal: Principal) -> None:
    """Raises `Forbidden` for test keys."""
    if principal.mode != "live":
        raise Forbidden("Live and test data share the domains, so a test key may not change them. Use a live key.")


async def create(
    session: AsyncSession, principal: Principal, keys: NewKeys, *, workspace_id: UUID | None = None, spf: str = ""
) -> DomainRecords:
    """Add the domain that `keys` were made for, in `workspace_id` or the caller's own. Raises `Conflict` when the
    organization has it already, `LimitReached`."""
    require_live(principal)
    target = await _workspace(session, principal, workspace_id)
    await require_room(session, principal.organization_id, Limit.MAX_DOMAINS)
    row = Domain(
        organization_id=principal.organization_id,
        id=keys.domain_id,
        workspace_id=target,
        name=keys.name,
        event_sequence=1,
    )
    session.add(row)
    try:
        await session.flush()
    except IntegrityError:
        raise Conflict(f"{keys.name} has been added to this organization already.") from None
    made = [
        DomainKey(
            organization_id=row.organization_id,
            id=key.id,
            domain_id=row.id,
            selector=key.selector,
            algorithm=key.algorithm,
            public_key=key.record,
            private_key=key.sealed,
        )
        for key in keys.keys
    ]
    session.add_all(made)
    await session.flush()
    await session.refresh(row)
    _tell(session, row, EventType.DOMAIN_CREATED)
    await _audit(session, principal, row, "created", None, {"name": row.name, "status": row.status})
    return _with_records(row, made, spf)


async def get(
    session: AsyncSession, principal: Principal, domain_id: UUID, *, spf: str = "", lock: bool = False
) -> DomainRecords:
    """Raises `NotFound`, also for what the caller may not see."""
    row = await repository.get(session, principal, domain_id, lock=lock)
    if row is None:
        raise NotFound("There is no such domain.")
    keys = await repository.keys_of(session, row.organization_id, [row.id])
    return _with_records(row, keys[row.id], spf)


async def list_domains(
    session: AsyncSession,
    principal: Principal,
    *,
    statuses: Sequence[str] = (),
    name: str | None = None,
    spf: str = "",
    limit: int,
    after: UUID | None = None,
    before: UUID | None = None,
) -> tuple[list[DomainRecords], bool]:
    """A page, the newest first, and whether there is more in the direction of travel."""
    found = await repository.list_domains(
        session, principal, statuses=statuses, name=name, limit=limit + 1, after=after, before=before
    )
    rows, has_more = cut(found, limit, backwards=before is not None)
    keys = await repository.keys_of(session, principal.organization_id, [row.id for row in rows])
    return [_with_records(row, keys[row.id], spf) for row in rows], has_more


def proved(domain: DomainRecords, observed: Mapping[str, Observation]) -> bool | None:
    """Whether DNS holds the organization's key; None when DNS did not answer."""
    found = [observed[record.name].status for record in domain.records if record.proof and record.name in observed]
    if RecordStatus.FOUND in found:
        return True
    return None if not found or RecordStatus.UNAVAILABLE in found else False


async def take_over(database: Database, domain: DomainRecords, observed: Mapping[str, Observation]) -> None:
    """Before a proved name is marked as verified: another organization that has it verified loses it, unless its own
    key is what DNS holds. In a transaction of its own, for it spans two organizations."""
    names = [record.name for record in domain.records if record.proof]
    published = {public_key(value) for name in names for value in observed[name].values}
    async with database.worker.acquire() as connection, connection.transaction():
        other = await repository.verified_elsewhere(connection, domain.row.organization_id, domain.row.name)
        if other is None or published & {public_key(proof) for proof in other["proofs"]}:
            return
        data = _data(other["id"], domain.row.name, "failed") | {"reason": "taken_over"}
        await repository.lose(connection, other, new_uuid(), data)
        system = Actor.system(other["organization_id"], "domain verification")
        lost = Resource(Prefix.DOMAIN, other["id"])
        was, became = {"status": "verified"}, {"status": "failed", "reason": "taken_over"}
        await audit.record_on(connection, system, "domain.failed", lost, was, became)


async def record_look(
    session: AsyncSession,
    principal: Principal,
    domain_id: UUID,
    observed: Mapping[str, Observation],
    *,
    spf: str = "",
) -> DomainRecords:
    """Keep what was seen, and what follows from it. A look that DNS did not answer changes no status.

    Raises `Conflict` when another organization has the name verified and its key is still in DNS.
    """
    require_live(principal)
    domain = await get(session, principal, domain_id, spf=spf, lock=True)
    row = domain.row
    before, proof = row.status, proved(domain, observed)
    row.observed = {name: observation.to_json() for name, observation in observed.items()}
    row.checked_at = func.now()
    row.updated_at = func.now()
    if proof is not None:
        row.status = "verified" if proof else "failed"
    changed = row.status != before
    if changed:
        row.verified_at = func.now() if proof else None
        row.event_sequence += 1
    try:
        await session.flush()
    except IntegrityError:
        raise Conflict(
            f"{row.name} is verified by another organization, whose key is in DNS. It comes to you when only your "
            "records are published; then verify again."
        ) from None
    await session.refresh(row)
    if changed and proof:
        _tell(session, row, EventType.DOMAIN_VERIFIED)
    elif changed:
        _tell(session, row, EventType.DOMAIN_FAILED, reason="records_missing")
    if changed:
        verb = "verified" if proof else "failed"
        await _audit(session, principal, row, verb, {"status": before}, {"status": row.status})
    return DomainRecords(row, domain.records, observed)


async def delete(session: AsyncSession, principal: Principal, domain_id: UUID) -> None:
    """With its keys. Nothing more is accepted from it, and what still waits fails when its turn comes."""
    require_live(principal)
    domain = await get(session, principal, domain_id, lock=True)
    domain.row.event_sequence += 1
    _tell(session, domain.row, EventType.DOMAIN_DELETED)
    await session.flush()
    was = {"name": domain.row.name, "status": domain.row.status}
    await repository.delete_domain(session, domain.row)
    await _audit(session, principal, domain.row, "deleted", was, None)


async def _workspace(session: AsyncSession, principal: Principal, wanted: UUID | None) -> UUID:
    if wanted is None or wanted == principal.target_workspace_id:
        return principal.target_workspace_id
    foreign = principal.workspace_id is not None
    if foreign or not await repository.workspace_exists(session, principal.organization_id, wanted):
        detail = "`workspace_id` names no workspace that these credentials may use."
        raise Unprocessable(detail, errors=[FieldError("/workspace_id", "not_found", detail)])
    return wanted


def _with_records(row: Domain, keys: Sequence[DomainKey], spf: str) -> DomainRecords:
    records = desired(row.name, [(key.selector, key.algorithm, key.public_key) for key in keys], spf)
    return DomainRecords(row, records, {r.name: Observation.of(row.observed.get(r.name)) for r in records})


def _data(domain_id: UUID, name: str, status: str) -> dict[str, str]:
    return {"domain_id": encode(Prefix.DOMAIN, domain_id), "name": name, "status": status}


def _tell(session: AsyncSession, row: Domain, event: EventType, **what: str) -> None:
    events.add(
        session,
        organization_id=row.organization_id,
        workspace_id=row.workspace_id,
        mode="live",
        event=event,
        resource_id=row.id,
        sequence=row.event_sequence,
        payload=_data(row.id, row.name, row.status) | what,
    )


async def _audit(
    session: AsyncSession,
    principal: Principal,
    row: Domain,
    verb: str,
    before: Mapping[str, str] | None,
    after: Mapping[str, str] | None,
) -> None:
    resource = Resource(Prefix.DOMAIN, row.id, row.workspace_id)
    await audit.record(session, principal, f"domain.{verb}", resource, before, after)
