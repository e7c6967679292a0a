"""Sending domains as the API shows them, and what may be asked of them."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated, Self
from uuid import UUID

from pydantic import AfterValidator, Field

from penguinmails_api.v1.common import Page, QueryParameters, RequestBody, Resource, Timestamp, from_path, typeid
from penguinmails_api.v1.paging import OF_WORKSPACE, PageQuery, WorkspaceFilter, next_cursor
from penguinmails_core.domains.dns_records import Observation, Purpose, Reason, Record, RecordStatus, to_publish
from penguinmails_core.domains.exports import ExportFormat
from penguinmails_core.domains.manage import DomainRecords
from penguinmails_core.kit import addresses, ids
from penguinmails_core.kit.ids import Prefix

DomainIdInPath = Annotated[UUID, from_path(Prefix.DOMAIN, "domain"), typeid(Prefix.DOMAIN)]


class DomainStatus(StrEnum):
    """`pending`: never verified; `verified`: mail can be sent from it; `failed`: the last look at DNS did not find the
    key that proves control."""

    PENDING = "pending"
    VERIFIED = "verified"
    FAILED = "failed"


class DomainListQuery(PageQuery):
    status: list[DomainStatus] = Field([], max_length=3, description="In this status; may be repeated.")
    name: Annotated[str, Field(max_length=255), AfterValidator(addresses.to_ascii)] | None = Field(
        None, description="Of this name, in any script."
    )
    workspace_id: WorkspaceFilter = OF_WORKSPACE


class DomainExportQuery(QueryParameters):
    format: ExportFormat = Field(
        ExportFormat.ZONE,
        description="`zone`: lines of a zone file; `cloudflare`: the body for "
        "`POST /zones/{zone_id}/dns_records/batch`; `terraform`: resources of the Cloudflare provider, version 5.",
    )


class DomainCreate(RequestBody):
    """A domain to send from."""

    name: str = Field(
        max_length=255, description="The part after the @ of senders, in any script.", examples=["mail.acme.example"]
    )
    workspace_id: Annotated[str, typeid(Prefix.WORKSPACE)] | None = Field(
        None, description="Which workspace it belongs to; left out: the credential's own, or the default one."
    )


class DomainRecord(Resource):
    """One DNS record: what should be published, and what was seen."""

    purpose: Purpose
    type: str = Field(examples=["TXT"])
    name: str = Field(description="The full name, without a final dot.", examples=["pm1._domainkey.mail.acme.example"])
    value: str = Field(
        description="Publish exactly this, in place of what is there; some DNS hosts want it in quotes. An SPF record "
        "that the domain has already is kept, and gets what it lacks."
    )
    required: bool = Field(description="Whether the domain is verified by it. The others make mail arrive.")
    status: RecordStatus = Field(
        description="`mismatch`: there is something else, or several; `unavailable`: DNS gave no answer."
    )
    observed: list[str] = Field(description="What the last look found, shortened.")
    reason: Reason | None = Field(description="What is wrong, for programs; null when nothing is. More may be added.")
    detail: str | None = Field(description="What is wrong and what to do; null when nothing is.")

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


class Domain(Resource):
    """A domain that mail is sent from."""

    id: Annotated[str, typeid(Prefix.DOMAIN)]
    name: str = Field(description="In A-labels.", examples=["mail.acme.example"])
    unicode_name: str = Field(description="For people to read.", examples=["mail.acme.example"])
    status: DomainStatus
    workspace_id: Annotated[str, typeid(Prefix.WORKSPACE)]
    records: list[DomainRecord] = Field(description="What to publish. Bounces come back to the domain itself.")
    verified_at: Timestamp | None
    checked_at: Timestamp | None = Field(description="When DNS was looked at last.")
    created_at: Timestamp
    updated_at: Timestamp

    @classmethod
    def of(cls, domain: DomainRecords) -> Self:
        row = domain.row
        return cls(
            id=ids.encode(Prefix.DOMAIN, row.id),
            name=row.name,
            unicode_name=addresses.to_unicode(row.name),
            status=DomainStatus(row.status),
            workspace_id=ids.encode(Prefix.WORKSPACE, row.workspace_id),
            records=[DomainRecord.of(record, domain.observed[record.name]) for record in domain.records],
            verified_at=row.verified_at,
            checked_at=row.checked_at,
            created_at=row.created_at,
            updated_at=row.updated_at,
        )


class DomainList(Page[Domain]):
    """Domains, the newest first."""

    @classmethod
    def of(cls, domains: Sequence[DomainRecords], has_more: bool, *, backwards: bool) -> Self:
        return cls(
            data=[Domain.of(domain) for domain in domains],
            has_more=has_more,
            next_cursor=next_cursor([row.row.id for row in domains], has_more, backwards=backwards),
        )
