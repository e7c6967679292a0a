"""Reports of receivers, handed in; and what they say of each source of mail."""

from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field

from penguinmails_api.v1.common import QueryParameters, RequestBody, Resource, Timestamp
from penguinmails_api.v1.domains.schemas import DmarcPolicy
from penguinmails_core.domains.reports.ladder import Proposal
from penguinmails_core.domains.reports.service import Sources, Taken


class ReportKind(StrEnum):
    """`dmarc`: who sent in the domain's name; `tls`: how mail to it was protected on its way."""

    DMARC = "dmarc"
    TLS = "tls"


Count = Annotated[int, Field(ge=0)]


class DomainReportCreate(RequestBody):
    """A report as it came by mail: the attachment."""

    content: str = Field(
        max_length=1_400_000,
        description="The file in base64: XML of DMARC or JSON of TLS, plain, gzip or zip. Packed it may have 1 MB, "
        "unpacked 20 MB.",
        examples=["PGZlZWRiYWNrPg=="],
    )


class DomainReport(Resource):
    """A report that was taken in."""

    kind: ReportKind
    reporter: str = Field(description="Who wrote it.", examples=["google.com"])
    report_id: str = Field(description="What they call it.")
    begins_at: Timestamp
    ends_at: Timestamp
    rows: Count = Field(description="Sources (DMARC) or policies (TLS) in it.")
    duplicate: bool = Field(description="It was there already; nothing is counted twice.")

    @classmethod
    def of(cls, taken: Taken) -> Self:
        report = taken.report
        return cls(
            kind=ReportKind(report.kind),
            reporter=report.reporter,
            report_id=report.report_id,
            begins_at=report.begins_at,
            ends_at=report.ends_at,
            rows=len(report.rows),
            duplicate=not taken.new,
        )


class DmarcSourcesQuery(QueryParameters):
    days: int = Field(30, ge=1, le=365, description="How far back.")


class DmarcSource(Resource):
    """A server that sent mail in the domain's name."""

    source_ip: str = Field(examples=["192.0.2.1"])
    messages: Count
    aligned: Count = Field(description="Passed DMARC, by DKIM or SPF.")
    dkim_aligned: Count
    spf_aligned: Count
    quarantined: Count
    rejected: Count
    reporters: list[str] = Field(description="Who saw it.")


class DmarcProposal(Resource):
    """Whether the reports allow the next step of `none`, `quarantine`, `reject`; you take it with `settings`."""

    policy: DmarcPolicy = Field(description="Of `settings` now.")
    next: DmarcPolicy | None = Field(description="Null at the top.")
    ready: bool
    reasons: list[str] = Field(
        description="What is missing: `too_few_days`, `too_few_messages`, `too_many_fail`; more may be added."
    )

    @classmethod
    def of(cls, proposal: Proposal) -> Self:
        return cls.model_validate(
            {
                "policy": proposal.now,
                "next": proposal.next,
                "ready": proposal.ready,
                "reasons": list(proposal.reasons),
            }
        )


class DmarcSources(Resource):
    """Who sends in the domain's name, by the reports of receivers."""

    days: int
    messages: Count
    aligned: Count
    proposal: DmarcProposal
    sources: list[DmarcSource] = Field(description="The 100 largest.")

    @classmethod
    def of(cls, found: Sources) -> Self:
        return cls(
            days=found.days,
            messages=found.totals.messages,
            aligned=found.totals.aligned,
            proposal=DmarcProposal.of(found.proposal),
            sources=[DmarcSource(**row._mapping) for row in found.sources],
        )
