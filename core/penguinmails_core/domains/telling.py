"""A domain with its records, and how its changes are told: as events and in the audit log."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from penguinmails_core.audit import service as audit
from penguinmails_core.audit.actor import Actor, Resource
from penguinmails_core.domains.dns_records import Observation, Record, desired
from penguinmails_core.domains.policy import DnsPolicy, DomainOptions, KeyFacts, Wanted
from penguinmails_core.events import repository as events
from penguinmails_core.events.types import EventType
from penguinmails_core.kit.ids import Prefix, encode
from penguinmails_core.models import Domain, DomainKey
from penguinmails_core.principal import Principal


@dataclass(frozen=True, slots=True)
class DomainRecords:
    """A domain, what it should publish, and what was seen of each record, by its key."""

    row: Domain
    records: Sequence[Record]
    observed: Mapping[str, Observation]
    keys: Sequence[DomainKey] = ()

    @property
    def options(self) -> DomainOptions:
        return DomainOptions.of(self.row.options)


def with_records(row: Domain, keys: Sequence[DomainKey], policy: DnsPolicy) -> DomainRecords:
    facts = tuple(KeyFacts(key.selector, key.algorithm, key.public_key, key.state) for key in keys if _shown(key))
    records = desired(Wanted(row.name, facts, policy, DomainOptions.of(row.options)))
    seen = {record.key: Observation.of(row.observed.get(record.key)) for record in records}
    return DomainRecords(row, records, seen, keys)


def _shown(key: DomainKey) -> bool:
    """A key that an operator switched off by hand is asked for no more."""
    return key.active or key.state != "active"


def data_of(domain_id: UUID, name: str, status: str) -> dict[str, Any]:
    return {"domain_id": encode(Prefix.DOMAIN, domain_id), "name": name, "status": status}


def tell(session: AsyncSession, row: Domain, event: EventType, **what: Any) -> None:
    events.add(
        session,
        organization_id=row.organization_id,
        workspace_id=row.workspace_id,
        mode="live",
        event=event,
        resource_id=row.id,
        sequence=row.event_sequence,
        payload=data_of(row.id, row.name, row.status) | what,
    )


async def note(
    session: AsyncSession,
    who: Principal | Actor,
    row: Domain,
    verb: str,
    before: Mapping[str, Any] | None,
    after: Mapping[str, Any] | None,
) -> None:
    resource = Resource(Prefix.DOMAIN, row.id, row.workspace_id)
    await audit.record(session, who, f"domain.{verb}", resource, before, after)
