"""Changing DKIM keys without a message that fails: publish the new pair, wait until every resolver can see it, sign
with it, keep the old pair published for mail on its way, then withdraw it (an empty `p=`, RFC 6376 §3.6.1).

The steps are taken after looks at DNS: a new key that is not published yet never signs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from penguinmails_core.audit.actor import Actor
from penguinmails_core.domains import manage, manage_repository
from penguinmails_core.domains.dns_records import Observation, RecordStatus
from penguinmails_core.domains.policy import DnsPolicy
from penguinmails_core.domains.service import NewKeys
from penguinmails_core.domains.telling import DomainRecords, note
from penguinmails_core.errors import Conflict
from penguinmails_core.kit.clock import utcnow
from penguinmails_core.models import Domain, DomainKey
from penguinmails_core.principal import Principal

_FORGET = timedelta(days=30)  # a revoked key is asked for no longer


async def rotate(
    session: AsyncSession, principal: Principal, domain_id: UUID, new: NewKeys, policy: DnsPolicy
) -> DomainRecords:
    """Add the pair `new` to be published. Raises `Conflict` while another one waits, or when nothing signs yet."""
    manage.require_live(principal)
    domain = await manage.get(session, principal, domain_id, policy=policy, lock=True)
    row = domain.row
    if row.status != "verified":
        raise Conflict("Verify the domain first: no key of it signs mail yet, so there is none to replace.")
    if any(key.state == "next" for key in domain.keys):
        raise Conflict("A new pair of keys waits to be published already; look at `records`.")
    first = 1 + max([int(key.selector.removeprefix("pm")) for key in domain.keys], default=0)
    made = [
        DomainKey(
            organization_id=row.organization_id,
            id=key.id,
            domain_id=row.id,
            selector=f"pm{first + place}",
            algorithm=key.algorithm,
            public_key=key.record,
            private_key=key.sealed,
            active=False,
            state="next",
        )
        for place, key in enumerate(new.keys)
    ]
    session.add_all(made)
    row.next_look_at = row.updated_at = utcnow()
    await session.flush()
    await note(session, principal, row, "dkim_rotated", None, {"selectors": [key.selector for key in made]})
    await session.refresh(row)
    return await manage.get(session, principal, domain_id, policy=policy)


async def advance(
    session: AsyncSession,
    who: Principal | Actor,
    domain: DomainRecords,
    observed: Mapping[str, Observation],
    policy: DnsPolicy,
    now: datetime,
) -> None:
    """The step that is due, if any, of a locked domain."""
    await _promote(session, who, domain, observed, policy, now)
    for key in domain.keys:
        if key.state == "retiring" and key.state_at + policy.keep_old <= now:
            key.state, key.state_at, key.private_key = "revoked", now, b""
            await note(session, who, domain.row, "dkim_revoked", None, {"selector": key.selector})
        elif key.state == "revoked" and key.state_at + _FORGET <= now:
            await manage_repository.delete_key(session, key)


async def _promote(
    session: AsyncSession,
    who: Principal | Actor,
    domain: DomainRecords,
    observed: Mapping[str, Observation],
    policy: DnsPolicy,
    now: datetime,
) -> None:
    waiting = [key for key in domain.keys if key.state == "next"]
    seen = [key for key in waiting if _found(domain.row, key, observed)]
    for key in seen:
        key.usable_at = key.usable_at or now + max(policy.rotation_wait, _ttl(domain.row, key, observed))
    # All of the pair or none: RSA is what every receiver needs, and half a change is hard to follow.
    if not waiting or len(seen) < len(waiting) or any(key.usable_at and key.usable_at > now for key in seen):
        return
    before = _selectors(domain.keys)
    for key in domain.keys:
        if key.state == "active":
            key.state, key.active, key.state_at = "retiring", False, now
    for key in waiting:
        key.state, key.active, key.state_at = "active", True, now
    await note(session, who, domain.row, "dkim_changed", {"selectors": before}, {"selectors": _selectors(domain.keys)})


def _selectors(keys: Sequence[DomainKey]) -> list[str]:
    return sorted(key.selector for key in keys if key.state == "active")


def _seen(row: Domain, key: DomainKey, observed: Mapping[str, Observation]) -> Observation | None:
    return observed.get(f"{key.selector}._domainkey.{row.name}")


def _found(row: Domain, key: DomainKey, observed: Mapping[str, Observation]) -> bool:
    seen = _seen(row, key, observed)
    return seen is not None and seen.status is RecordStatus.FOUND


def _ttl(row: Domain, key: DomainKey, observed: Mapping[str, Observation]) -> timedelta:
    seen = _seen(row, key, observed)
    return timedelta(seconds=min(seen.ttl or 0, 172_800) if seen else 0)
