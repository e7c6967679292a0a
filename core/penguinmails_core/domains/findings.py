"""What follows from a look at DNS: verified, drifted, failed; and a DKIM rotation's next step.

The gate of sending has a grace clock. When the key of a verified domain is simply not there any more (a zone that was
moved, a record deleted by mistake), mail still leaves for `DnsPolicy.grace`, and the owner is told at once. Another
key, or an empty one, in its place is no accident: the domain fails there and then. No answer is no news: it starts no
clock and ends no grace.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from penguinmails_core.audit.actor import Actor
from penguinmails_core.domains import manage, rotation
from penguinmails_core.domains.dns_records import Observation, Publisher, Record, RecordStatus
from penguinmails_core.domains.policy import DnsPolicy
from penguinmails_core.domains.telling import DomainRecords, note, tell
from penguinmails_core.errors import Conflict
from penguinmails_core.events.types import EventType
from penguinmails_core.kit.clock import rfc3339, utcnow
from penguinmails_core.principal import Principal

_GONE = (RecordStatus.MISSING, RecordStatus.MISMATCH)
_UNSURE = (RecordStatus.UNAVAILABLE, RecordStatus.PROPAGATING)


async def record_look(
    session: AsyncSession,
    principal: Principal,
    domain_id: UUID,
    observed: Mapping[str, Observation],
    *,
    policy: DnsPolicy = manage.NO_POLICY,
    now: datetime | None = None,
) -> DomainRecords:
    """Keep what was seen, and what follows from it. A look that DNS did not answer changes no status.

    Raises `Conflict` when another organization has the name verified and its key is still in DNS.
    """
    manage.require_live(principal)
    domain = await manage.get(session, principal, domain_id, policy=policy, lock=True)
    await conclude(session, principal, domain, observed, policy, now or utcnow())
    return await manage.get(session, principal, domain_id, policy=policy)


async def conclude(
    session: AsyncSession,
    who: Principal | Actor,
    domain: DomainRecords,
    observed: Mapping[str, Observation],
    policy: DnsPolicy,
    now: datetime,
) -> None:
    """Of a locked domain. Raises `Conflict` as `record_look` does."""
    row, before = domain.row, domain.row.status
    new_clock = _set_status(domain, observed, policy, now)
    drifted = _drifted(domain, observed, all_proofs=new_clock) if before == "verified" else []
    row.observed = {key: _kept(observed[key], row.observed.get(key)) for key in observed}
    row.checked_at = row.updated_at = now
    calm = row.status == "verified" and row.failing_since is None
    row.next_look_at = now + (policy.check_every if calm else min(policy.check_every, _hurry(row.created_at, now)))
    changed = row.status != before
    row.event_sequence += changed
    try:
        await session.flush()
    except IntegrityError:
        raise Conflict(
            f"{row.name} is verified by another organization, whose key is in DNS. It comes to you when only your "
            "records are published; then verify again."
        ) from None
    if changed and row.status == "verified":
        tell(session, row, EventType.DOMAIN_VERIFIED)
    elif changed:
        tell(session, row, EventType.DOMAIN_FAILED, reason="records_missing")
    elif drifted:
        row.event_sequence += 1
        ends_at = rfc3339(row.grace_until) if row.grace_until is not None else None
        tell(session, row, EventType.DOMAIN_DRIFT, records=drifted, sending_ends_at=ends_at)
    if changed:
        await note(session, who, row, row.status, {"status": before}, {"status": row.status})
    await rotation.advance(session, who, domain, observed, policy, now)
    await session.flush()
    await session.refresh(row)


def _set_status(domain: DomainRecords, observed: Mapping[str, Observation], policy: DnsPolicy, now: datetime) -> bool:
    """Whether a grace clock was started."""
    row, proof = domain.row, manage.proved(domain, observed)
    if proof is None:
        return False
    if proof:
        row.verified_at = row.verified_at or now
        row.status, row.failing_since, row.grace_until = "verified", None, None
        return False
    if row.status == "verified" and not _replaced(domain, observed):
        if row.grace_until is None:
            row.failing_since, row.grace_until = now, now + policy.grace
            return True
        if now < row.grace_until:
            return False
    row.status, row.verified_at, row.failing_since, row.grace_until = "failed", None, None, None
    return False


def _replaced(domain: DomainRecords, observed: Mapping[str, Observation]) -> bool:
    return any(observed[r.key].status is RecordStatus.MISMATCH for r in domain.records if r.proof and r.key in observed)


def _drifted(domain: DomainRecords, observed: Mapping[str, Observation], *, all_proofs: bool) -> list[dict[str, Any]]:
    """Records that were as they should be at the last look and are not now; with `all_proofs` those that prove
    control even if nobody had looked before."""
    return [
        _difference(record, observed[record.key])
        for record in domain.records
        if record.publisher is Publisher.DOMAIN
        and record.key in observed
        and ((record.proof and all_proofs) or was_there(domain.row.observed.get(record.key)))
        and observed[record.key].status in _GONE
    ]


def _difference(record: Record, seen: Observation) -> dict[str, Any]:
    expected = seen.publish or record.value
    return {"type": record.type, "name": record.name, "expected": expected, "found": list(seen.values)}


def _kept(seen: Observation, before: Any) -> dict[str, Any]:
    """A look without an answer does not wipe out that the record was there: or its loss would go unnoticed."""
    found = seen.to_json()
    return {**found, "was_found": True} if seen.status in _UNSURE and was_there(before) else found


def was_there(before: Any) -> bool:
    return bool(before) and (before["status"] == RecordStatus.FOUND or before.get("was_found", False))


def _hurry(created_at: datetime, now: datetime) -> timedelta:
    """People who have just added a domain, or lost a record, wait for it; who gave up weeks ago does not."""
    return max((now - created_at) / 24, manage.SOON)
