"""Domains as their owners manage them: add, look at DNS, delete. Every change is told as an event.

Who controls a name? Any organization may add it and gets keys of its own. It is verified when DNS holds *its* key, and
one organization at a time can have it verified. Whoever publishes their key later has taken the name over: the earlier
holder, whose key is gone from DNS, loses it in that moment, and is told. As long as the earlier key is there, the name
stays where it is.

Domains are facts of DNS, so live and test data share them; a test key may read them and change nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import func
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from penguinmails_core.audit import service as audit
from penguinmails_core.audit.actor import Actor, Resource
from penguinmails_core.domains import manage_repository as repository
from penguinmails_core.domains.dns_records import Observation, RecordStatus
from penguinmails_core.domains.judging import public_key
from penguinmails_core.domains.policy import DnsPolicy
from penguinmails_core.domains.service import NewKeys
from penguinmails_core.domains.telling import DomainRecords, data_of, note, tell, with_records
from penguinmails_core.errors import Conflict, FieldError, Forbidden, NotFound, Unprocessable
from penguinmails_core.events.types import EventType
from penguinmails_core.kit.addresses import AddressError, to_ascii
from penguinmails_core.kit.db import Database
from penguinmails_core.kit.ids import Prefix, new_uuid
from penguinmails_core.kit.pages import cut
from penguinmails_core.limits.catalogue import Limit
from penguinmails_core.limits.service import require_room
from penguinmails_core.models import Domain, DomainKey
from penguinmails_core.principal import Principal

_PICTURE = re.compile(r"https://[A-Za-z0-9.-]+(:[0-9]+)?/[A-Za-z0-9._~/%+-]*")
NO_POLICY = DnsPolicy()
SOON = timedelta(minutes=30)  # between looks at a domain that somebody waits for


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
    session: AsyncSession,
    principal: Principal,
    keys: NewKeys,
    *,
    workspace_id: UUID | None = None,
    policy: DnsPolicy = NO_POLICY,
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
    tell(session, row, EventType.DOMAIN_CREATED)
    await note(session, principal, row, "created", None, {"name": row.name, "status": row.status})
    return with_records(row, made, policy)


async def get(
    session: AsyncSession, principal: Principal, domain_id: UUID, *, policy: DnsPolicy = NO_POLICY, lock: bool = False
) -> DomainRecords:
    """Raises `NotFound`, also for what the caller may not see."""
    row = await repository.get(session, principal, domain_id, lock=lock)
    if row is None:
        raise NotFound("There is no such domain.")
    keys = await repository.keys_of(session, row.organization_id, [row.id])
    return with_records(row, keys[row.id], policy)


async def load(
    session: AsyncSession, organization_id: UUID, domain_id: UUID, policy: DnsPolicy, *, lock: bool = False
) -> DomainRecords | None:
    """For the worker, which asks for itself."""
    row = await repository.of_organization(session, organization_id, domain_id, lock=lock)
    if row is None:
        return None
    keys = await repository.keys_of(session, organization_id, [row.id])
    return with_records(row, keys[row.id], policy)


async def list_domains(
    session: AsyncSession,
    principal: Principal,
    *,
    statuses: Sequence[str] = (),
    name: str | None = None,
    policy: DnsPolicy = NO_POLICY,
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
    return [with_records(row, keys[row.id], policy) for row in rows], has_more


def proved(domain: DomainRecords, observed: Mapping[str, Observation]) -> bool | None:
    """Whether DNS holds the organization's key; None when DNS did not answer."""
    found = [observed[record.key].status for record in domain.records if record.proof and record.key in observed]
    if RecordStatus.FOUND in found:
        return True
    unsure = {RecordStatus.UNAVAILABLE, RecordStatus.PROPAGATING}
    return None if not found or unsure & set(found) else False


async def take_over(database: Database, domain: DomainRecords, observed: Mapping[str, Observation]) -> None:
    """Before a proved name is marked as verified: another organization that has it verified loses it, unless its own
    key is what DNS holds. In a transaction of its own, for it spans two organizations."""
    names = [record.name for record in domain.records if record.proof]
    published = {public_key(value) for name in names for value in observed[name].values}
    async with database.worker.acquire() as connection, connection.transaction():
        other = await repository.verified_elsewhere(connection, domain.row.organization_id, domain.row.name)
        if other is None or published & {public_key(proof) for proof in other["proofs"]}:
            return
        data = data_of(other["id"], domain.row.name, "failed") | {"reason": "taken_over"}
        await repository.lose(connection, other, new_uuid(), data)
        system = Actor.system(other["organization_id"], "domain verification")
        lost = Resource(Prefix.DOMAIN, other["id"])
        was, became = {"status": "verified"}, {"status": "failed", "reason": "taken_over"}
        await audit.record_on(connection, system, "domain.failed", lost, was, became)


async def update(
    session: AsyncSession, principal: Principal, domain_id: UUID, changes: Mapping[str, Any], policy: DnsPolicy
) -> DomainRecords:
    """Change the owner's options (`DomainOptions`); which records there should be follows from them. Raises
    `NotFound`, `Unprocessable`."""
    require_live(principal)
    domain = await get(session, principal, domain_id, policy=policy, lock=True)
    row = domain.row
    before = dict(row.options)
    after = before | dict(changes)
    for name in ("bimi_logo", "bimi_certificate"):
        if after.get(name) and not (len(after[name]) <= 500 and _PICTURE.fullmatch(after[name])):
            detail = f"`{name}` must be an https:// address of at most 500 characters, without a query."
            raise Unprocessable(detail, errors=[FieldError(f"/{name}", "invalid_url", detail)])
    if after.get("bimi_certificate") and not after.get("bimi_logo"):
        detail = "`bimi_certificate` certifies a logo: give `bimi_logo` too."
        raise Unprocessable(detail, errors=[FieldError("/bimi_logo", "missing", detail)])
    if after != before:
        row.options, row.updated_at = after, func.now()
        await session.flush()
        await session.refresh(row)
        await note(session, principal, row, "updated", before, after)
    return await get(session, principal, domain_id, policy=policy)


async def delete(session: AsyncSession, principal: Principal, domain_id: UUID) -> None:
    """With its keys. Nothing more is accepted from it, and what still waits fails when its turn comes."""
    require_live(principal)
    domain = await get(session, principal, domain_id, lock=True)
    domain.row.event_sequence += 1
    tell(session, domain.row, EventType.DOMAIN_DELETED)
    await session.flush()
    was = {"name": domain.row.name, "status": domain.row.status}
    await repository.delete_domain(session, domain.row)
    await note(session, principal, domain.row, "deleted", was, None)


async def _workspace(session: AsyncSession, principal: Principal, wanted: UUID | None) -> UUID:
    if wanted is None or wanted == principal.target_workspace_id:
        return principal.target_workspace_id
    foreign = principal.workspace_id is not None
    if foreign or not await repository.workspace_exists(session, principal.organization_id, wanted):
        detail = "`workspace_id` names no workspace that these credentials may use."
        raise Unprocessable(detail, errors=[FieldError("/workspace_id", "not_found", detail)])
    return wanted
