"""Sending domains as the API shows them, and what may be asked of them."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Self
from uuid import UUID

from pydantic import AfterValidator, Field

from penguinmails_api.v1.common import Page, QueryParameters, RequestBody, Resource, Timestamp, from_path, typeid
from penguinmails_api.v1.paging import OF_WORKSPACE, PageQuery, WorkspaceFilter, next_cursor
from penguinmails_core.domains.dns_records import (
    Observation,
    Publisher,
    Purpose,
    Reason,
    Record,
    RecordStatus,
    to_publish,
)
from penguinmails_core.domains.exports import ExportFormat
from penguinmails_core.domains.policy import DomainOptions
from penguinmails_core.domains.telling import DomainRecords
from penguinmails_core.kit import addresses, ids
from penguinmails_core.kit.ids import Prefix

DomainIdInPath = Annotated[UUID, from_path(Prefix.DOMAIN, "domain"), typeid(Prefix.DOMAIN)]


def unset() -> Any:
    """Of a field that may be left out and may not be null. Never read: see `given`."""


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


class ResolverView(Resource):
    """What one DNS server said of a record."""

    resolver: str = Field(description="Its address, or `system`.", examples=["9.9.9.9"])
    status: RecordStatus
    observed: list[str]
    ttl: int | None = Field(description="In seconds; null: unknown.")


class DomainRecord(Resource):
    """One DNS record: what should be published, and what was seen."""

    purpose: Purpose
    type: str = Field(examples=["TXT"])
    name: str = Field(description="The full name, without a final dot.", examples=["pm1._domainkey.mail.acme.example"])
    value: str = Field(
        description="Publish exactly this; some DNS hosts want TXT in quotes. Where there is an SPF or DMARC record "
        "already, it is that one with what it lacks."
    )
    required: bool = Field(description="Whether the domain is verified by it. The others make mail arrive.")
    publisher: Publisher = Field(description="Whose zone it belongs in: `operator` means whoever runs this server.")
    status: RecordStatus = Field(
        description="`mismatch`: there is something else, or several; `propagating`: some resolvers see it; "
        "`unavailable`: DNS gave no answer."
    )
    observed: list[str] = Field(description="What the last look found, shortened.")
    reason: Reason | None = Field(description="What is wrong, for programs; null when nothing is. More may be added.")
    detail: str | None = Field(description="The same in words; null when nothing is wrong.")
    fix: str | None = Field(description="What to do.")
    conflicts: list[str] = Field(description="Records that must go first: several of one kind, or beside a CNAME.")
    ttl: int | None = Field(
        description="For how many seconds resolvers keep what was seen, or that there is none; null: unknown."
    )
    visible_by: Timestamp | None = Field(
        description="When a change made at the last look would be seen everywhere; null: unknown, or found."
    )
    dns_lookups: int | None = Field(description="Of SPF: lookups that evaluating takes; 10 are allowed.")
    void_lookups: int | None = Field(description="Of SPF: lookups that find nothing; 2 are allowed.")
    resolvers: list[ResolverView] = Field(description="What each resolver said; one without an answer counts nothing.")

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
            visible_by=datetime.fromisoformat(observation.visible_by) if observation.visible_by else None,
            dns_lookups=observation.lookups,
            void_lookups=observation.void,
            resolvers=[
                ResolverView(resolver=seen.resolver, status=seen.status, observed=list(seen.values), ttl=seen.ttl)
                for seen in observation.resolvers
            ],
        )


Logo = Annotated[
    str,
    Field(
        max_length=500,
        pattern=r"^https://[A-Za-z0-9.-]+(:[0-9]+)?/[A-Za-z0-9._~/%+-]*$",
        examples=["https://acme.example/logo.svg"],
    ),
]


class DmarcPolicy(StrEnum):
    """What the DMARC record asks of receivers. Go up when reports show no surprise."""

    NONE = "none"
    QUARANTINE = "quarantine"
    REJECT = "reject"


class MtaStsMode(StrEnum):
    """TLS policy for mail that comes to the domain; where this server offers to serve it."""

    OFF = "off"
    TESTING = "testing"
    ENFORCE = "enforce"


LeastPolicy = Annotated[DmarcPolicy, Field(description="The least that the DMARC record should ask of receivers.")]
MtaSts = Annotated[
    MtaStsMode, Field(description="Policy for mail that comes to the domain, where this server has one.")
]
ReturnPath = Annotated[
    bool, Field(strict=True, description="A name of the domain for bounces, where this server has a host for it.")
]
Tracking = Annotated[
    bool, Field(strict=True, description="A name of the domain for links, where this server has a host for it.")
]
TlsReports = Annotated[
    bool, Field(strict=True, description="Have other servers report about TLS to this one, where it offers to.")
]
BimiLogo = Annotated[Logo | None, Field(description="Shown beside mail, once DMARC is `quarantine` or `reject`.")]
BimiCertificate = Annotated[Logo | None, Field(description="That the logo is yours (VMC or CMC).")]


class DomainUpdate(RequestBody):
    """Only what is given is changed."""

    dmarc_policy: LeastPolicy = Field(default_factory=unset, examples=["quarantine"])
    return_path: ReturnPath = Field(default_factory=unset)
    tracking: Tracking = Field(default_factory=unset)
    mta_sts: MtaSts = Field(default_factory=unset)
    tls_reports: TlsReports = Field(default_factory=unset)
    bimi_logo: BimiLogo = Field(default_factory=unset)
    bimi_certificate: BimiCertificate = Field(default_factory=unset)

    def given(self) -> dict[str, Any]:
        values = {name: getattr(self, name) for name in self.model_fields_set}
        return {name: str(value) if isinstance(value, StrEnum) else value for name, value in values.items()}


class DomainSettings(Resource):
    """What the owner chose; which records there should be follows from it."""

    dmarc_policy: LeastPolicy
    return_path: ReturnPath
    tracking: Tracking
    mta_sts: MtaSts
    tls_reports: TlsReports
    bimi_logo: BimiLogo
    bimi_certificate: BimiCertificate

    @classmethod
    def of(cls, options: DomainOptions) -> Self:
        return cls.model_validate(asdict(options))


class Domain(Resource):
    """A domain that mail is sent from."""

    id: Annotated[str, typeid(Prefix.DOMAIN)]
    name: str = Field(description="In A-labels.", examples=["mail.acme.example"])
    unicode_name: str = Field(description="For people to read.", examples=["mail.acme.example"])
    status: DomainStatus
    workspace_id: Annotated[str, typeid(Prefix.WORKSPACE)]
    records: list[DomainRecord] = Field(description="What to publish. Bounces come back to the domain itself.")
    settings: DomainSettings
    verified_at: Timestamp | None
    failing_since: Timestamp | None = Field(description="Since when DNS does not hold the key that proves control.")
    grace_until: Timestamp | None = Field(description="Until when mail is still sent nevertheless.")
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
            records=[DomainRecord.of(record, domain.observed[record.key]) for record in domain.records],
            settings=DomainSettings.of(domain.options),
            verified_at=row.verified_at,
            failing_since=row.failing_since,
            grace_until=row.grace_until,
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
