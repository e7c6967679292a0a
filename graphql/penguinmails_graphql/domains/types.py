"""Sending domains and the records that they should publish."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from enum import StrEnum
from typing import Any, Self
from uuid import UUID

import strawberry
from sqlalchemy.ext.asyncio import AsyncSession

from penguinmails_core.domains.dns_records import (
    Observation,
    Publisher,
    Purpose,
    Reason,
    Record,
    RecordStatus,
    to_publish,
)
from penguinmails_core.domains.policy import DomainOptions
from penguinmails_core.domains.reports import service
from penguinmails_core.domains.reports.service import Sources
from penguinmails_core.domains.telling import DomainRecords
from penguinmails_core.errors import FieldError, Unprocessable
from penguinmails_core.kit import addresses, ids
from penguinmails_core.kit.ids import Prefix
from penguinmails_core.scopes import Scope
from penguinmails_graphql.context import Info, caller_of
from penguinmails_graphql.relay import Node, uuid_of
from penguinmails_graphql.scalars import DateTime
from penguinmails_graphql.workspaces.loaders import workspace_of
from penguinmails_graphql.workspaces.types import Workspace

strawberry.enum(Reason, name="DomainRecordReason")
strawberry.enum(Publisher, name="DomainRecordPublisher")
strawberry.enum(Purpose, name="DomainRecordPurpose")
strawberry.enum(
    RecordStatus,
    name="DomainRecordStatus",
    description="`MISMATCH`: there is something else, or several; `UNAVAILABLE`: DNS gave no answer.",
)


@strawberry.enum(description="`FAILED`: the last look at DNS did not find the key that proves control.")
class DomainStatus(StrEnum):
    PENDING = "pending"
    VERIFIED = "verified"
    FAILED = "failed"


@strawberry.type(description="What one DNS server said of a record.")
class DomainRecordResolver:
    resolver: str
    status: RecordStatus
    observed: list[str]
    ttl: int | None


@strawberry.type(description="One DNS record: what should be published, and what was seen.")
class DomainRecord:
    purpose: Purpose
    type: str
    name: str = strawberry.field(description="The full name, without a final dot.")
    value: str = strawberry.field(description="Publish exactly this.")
    required: bool = strawberry.field(description="Whether the domain is verified by it. The others make mail arrive.")
    publisher: Publisher = strawberry.field(description="Whose zone it belongs in.")
    status: RecordStatus
    observed: list[str] = strawberry.field(description="What the last look found, shortened.")
    reason: Reason | None = strawberry.field(description="What is wrong, for programs; null when nothing is.")
    detail: str | None = strawberry.field(description="The same in words; null when nothing is wrong.")
    fix: str | None = strawberry.field(description="What to do.")
    conflicts: list[str] = strawberry.field(description="Records that must go first.")
    ttl: int | None = strawberry.field(description="For how many seconds what was seen is kept; null: unknown.")
    visible_by: DateTime | None = strawberry.field(description="When a change would be seen everywhere.")
    dns_lookups: int | None = strawberry.field(description="Of SPF: lookups that evaluating takes; 10 are allowed.")
    void_lookups: int | None = strawberry.field(description="Of SPF: lookups that find nothing; 2 are allowed.")
    resolvers: list[DomainRecordResolver] = strawberry.field(description="What each resolver said.")

    @classmethod
    def of(cls, record: Record, observation: Observation) -> Self:
        return cls(
            purpose=record.purpose,
            type=record.type,
            name=record.name,
            value=to_publish(record, observation),
            required=record.proof,
            publisher=record.publisher,
            status=observation.status,
            observed=list(observation.values),
            reason=observation.reason,
            detail=observation.detail,
            fix=observation.fix,
            conflicts=list(observation.conflicts),
            ttl=observation.ttl,
            visible_by=DateTime(datetime.fromisoformat(observation.visible_by)) if observation.visible_by else None,
            dns_lookups=observation.lookups,
            void_lookups=observation.void,
            resolvers=[
                DomainRecordResolver(
                    resolver=seen.resolver, status=seen.status, observed=list(seen.values), ttl=seen.ttl
                )
                for seen in observation.resolvers
            ],
        )


@strawberry.enum
class DmarcPolicy(StrEnum):
    NONE = "none"
    QUARANTINE = "quarantine"
    REJECT = "reject"


@strawberry.enum
class MtaStsMode(StrEnum):
    OFF = "off"
    TESTING = "testing"
    ENFORCE = "enforce"


@strawberry.type(description="What the owner chose; which records there should be follows from it.")
class DomainSettings:
    dmarc_policy: DmarcPolicy
    return_path: bool
    tracking: bool
    mta_sts: MtaStsMode
    tls_reports: bool
    bimi_logo: str | None
    bimi_certificate: str | None

    @classmethod
    def of(cls, options: DomainOptions) -> Self:
        values = asdict(options)
        policy, mode = DmarcPolicy(values.pop("dmarc_policy")), MtaStsMode(values.pop("mta_sts"))
        return cls(dmarc_policy=policy, mta_sts=mode, **values)


def _shown(value: Any) -> Any:
    """GraphQL's `Int` ends at 32 bits."""
    return min(value, 2**31 - 1) if isinstance(value, int) else value


@strawberry.type(description="A server that sent mail in the domain's name.")
class DmarcSource:
    source_ip: str
    messages: int
    aligned: int = strawberry.field(description="Passed DMARC, by DKIM or SPF.")
    dkim_aligned: int
    spf_aligned: int
    quarantined: int
    rejected: int
    reporters: list[str]


@strawberry.type(description="Whether the reports allow the next step of none, quarantine, reject.")
class DmarcProposal:
    policy: DmarcPolicy
    next: DmarcPolicy | None
    ready: bool
    reasons: list[str]


@strawberry.type(description="Who sends in the domain's name, by the reports of receivers.")
class DmarcSources:
    days: int
    messages: int
    aligned: int
    proposal: DmarcProposal
    sources: list[DmarcSource] = strawberry.field(description="The 100 largest.")

    @classmethod
    def of(cls, found: Sources) -> Self:
        step = found.proposal
        return cls(
            days=found.days,
            messages=_shown(found.totals.messages),
            aligned=_shown(found.totals.aligned),
            proposal=DmarcProposal(
                policy=DmarcPolicy(step.now),
                next=DmarcPolicy(step.next) if step.next else None,
                ready=step.ready,
                reasons=list(step.reasons),
            ),
            sources=[
                DmarcSource(**{name: _shown(value) for name, value in row._mapping.items()}) for row in found.sources
            ],
        )


@strawberry.type(description="A domain that mail is sent from.")
class Domain(Node):
    name: str = strawberry.field(description="In A-labels.")
    unicode_name: str = strawberry.field(description="For people to read.")
    status: DomainStatus
    workspace_id: strawberry.ID
    records: list[DomainRecord]
    settings: DomainSettings
    verified_at: DateTime | None
    failing_since: DateTime | None = strawberry.field(
        description="Since when DNS does not hold the key that proves control."
    )
    grace_until: DateTime | None = strawberry.field(description="Until when mail is still sent nevertheless.")
    checked_at: DateTime | None = strawberry.field(description="When DNS was looked at last.")
    created_at: DateTime
    updated_at: DateTime
    workspace_uuid: strawberry.Private[UUID]

    @strawberry.field(description="Needs `workspaces:read`; null when the caller may not see it.")
    async def workspace(self, info: Info) -> Workspace | None:
        return await workspace_of(info, self.workspace_uuid)

    @strawberry.field(description="Who sends in its name, by the DMARC reports of the last `days` (1 to 365).")
    async def dmarc_sources(self, info: Info, days: int = 30) -> DmarcSources:
        caller, policy = caller_of(info, Scope.DOMAINS_READ), info.context.services.dns_policy
        if not 1 <= days <= 365:
            detail = "`days` must be 1 to 365."
            raise Unprocessable(detail, errors=[FieldError("/days", "out_of_range", detail)])

        async def work(session: AsyncSession) -> Sources:
            domain_id = uuid_of(Prefix.DOMAIN, self.id, "domain")
            return await service.sources_of(session, caller, domain_id, days, policy=policy)

        return DmarcSources.of(await info.context.read(work))

    @classmethod
    def of(cls, domain: DomainRecords) -> Self:
        row = domain.row
        return cls(
            id=strawberry.ID(ids.encode(Prefix.DOMAIN, row.id)),
            name=row.name,
            unicode_name=addresses.to_unicode(row.name),
            status=DomainStatus(row.status),
            workspace_id=strawberry.ID(ids.encode(Prefix.WORKSPACE, row.workspace_id)),
            records=[DomainRecord.of(record, domain.observed[record.key]) for record in domain.records],
            settings=DomainSettings.of(domain.options),
            failing_since=DateTime(row.failing_since) if row.failing_since else None,
            grace_until=DateTime(row.grace_until) if row.grace_until else None,
            verified_at=DateTime(row.verified_at) if row.verified_at else None,
            checked_at=DateTime(row.checked_at) if row.checked_at else None,
            created_at=DateTime(row.created_at),
            updated_at=DateTime(row.updated_at),
            workspace_uuid=row.workspace_id,
        )
