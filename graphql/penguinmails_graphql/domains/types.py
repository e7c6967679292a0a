"""Sending domains and the records that they should publish."""

from __future__ import annotations

from enum import StrEnum
from typing import Self
from uuid import UUID

import strawberry

from penguinmails_core.domains.dns_records import Observation, Purpose, Reason, Record, RecordStatus, to_publish
from penguinmails_core.domains.manage import DomainRecords
from penguinmails_core.kit import addresses, ids
from penguinmails_core.kit.ids import Prefix
from penguinmails_graphql.context import Info
from penguinmails_graphql.relay import Node
from penguinmails_graphql.scalars import DateTime
from penguinmails_graphql.workspaces.loaders import workspace_of
from penguinmails_graphql.workspaces.types import Workspace

strawberry.enum(Purpose, name="DomainRecordPurpose")
strawberry.enum(Reason, name="DomainRecordReason")
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


@strawberry.type(description="One DNS record: what should be published, and what was seen.")
class DomainRecord:
    purpose: Purpose
    type: str
    name: str = strawberry.field(description="The full name, without a final dot.")
    value: str = strawberry.field(description="Publish exactly this, in place of what is there.")
    required: bool = strawberry.field(description="Whether the domain is verified by it. The others make mail arrive.")
    status: RecordStatus
    observed: list[str] = strawberry.field(description="What the last look found, shortened.")
    reason: Reason | None = strawberry.field(description="What is wrong, for programs; null when nothing is.")
    detail: str | None = strawberry.field(description="What is wrong and what to do; null when nothing is.")

    @classmethod
    def of(cls, record: Record, observation: Observation) -> Self:
        return cls(
            purpose=record.purpose,
            type="TXT",
            name=record.name,
            value=to_publish(record, observation),
            required=record.proof,
            status=observation.status,
            observed=list(observation.values),
            reason=observation.reason,
            detail=observation.detail,
        )


@strawberry.type(description="A domain that mail is sent from.")
class Domain(Node):
    name: str = strawberry.field(description="In A-labels.")
    unicode_name: str = strawberry.field(description="For people to read.")
    status: DomainStatus
    workspace_id: strawberry.ID
    records: list[DomainRecord]
    verified_at: DateTime | None
    checked_at: DateTime | None = strawberry.field(description="When DNS was looked at last.")
    created_at: DateTime
    updated_at: DateTime
    workspace_uuid: strawberry.Private[UUID]

    @strawberry.field(description="Needs `workspaces:read`; null when the caller may not see it.")
    async def workspace(self, info: Info) -> Workspace | None:
        return await workspace_of(info, self.workspace_uuid)

    @classmethod
    def of(cls, domain: DomainRecords) -> Self:
        row = domain.row
        return cls(
            id=strawberry.ID(ids.encode(Prefix.DOMAIN, row.id)),
            name=row.name,
            unicode_name=addresses.to_unicode(row.name),
            status=DomainStatus(row.status),
            workspace_id=strawberry.ID(ids.encode(Prefix.WORKSPACE, row.workspace_id)),
            records=[DomainRecord.of(record, domain.observed[record.name]) for record in domain.records],
            verified_at=DateTime(row.verified_at) if row.verified_at else None,
            checked_at=DateTime(row.checked_at) if row.checked_at else None,
            created_at=DateTime(row.created_at),
            updated_at=DateTime(row.updated_at),
            workspace_uuid=row.workspace_id,
        )
