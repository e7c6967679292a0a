"""Suppressions as the API shows them, and what may be asked of them."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated, Any, Self
from uuid import UUID

from pydantic import AfterValidator, Field

from penguinmails_api.v1.common import (
    Moment,
    Page,
    QueryParameters,
    RequestBody,
    Resource,
    Timestamp,
    from_path,
    typeid,
)
from penguinmails_api.v1.paging import OF_WORKSPACE, PageQuery, WorkspaceFilter, next_cursor
from penguinmails_core import models
from penguinmails_core.kit import addresses, ids
from penguinmails_core.kit.clock import utcnow
from penguinmails_core.kit.ids import Prefix
from penguinmails_core.suppressions import service
from penguinmails_core.suppressions.repository import SuppressionFilter

SuppressionIdInPath = Annotated[UUID, from_path(Prefix.SUPPRESSION, "suppression"), typeid(Prefix.SUPPRESSION)]

MAX_NOTE = 500


class SuppressionReason(StrEnum):
    """`hard_bounce` and `complaint` come from the mail system, `unsubscribe` from the person, `manual` from you."""

    HARD_BOUNCE = "hard_bounce"
    COMPLAINT = "complaint"
    UNSUBSCRIBE = "unsubscribe"
    MANUAL = "manual"


class SuppressionStatus(StrEnum):
    """`expired`: its `expires_at` has passed; `lifted`: taken off the list."""

    ACTIVE = "active"
    EXPIRED = "expired"
    LIFTED = "lifted"


def _without_nul(value: str) -> str:
    if "\0" in value:
        raise ValueError("remove U+0000 NUL")
    return value


def _address(value: str) -> str:
    return addresses.parse_address(value).canonical


class SuppressionListQuery(PageQuery):
    reason: list[SuppressionReason] = Field([], max_length=4, description="For this reason; may be repeated.")
    status: list[SuppressionStatus] = Field(
        [], max_length=3, description="In this status; may be repeated. Left out: `active`."
    )
    address: Annotated[str, Field(max_length=1024), AfterValidator(_address)] | None = Field(
        None, description="Of this address, however it is written. To ask for many, POST to `/check`."
    )
    q: str | None = Field(None, min_length=2, max_length=254, description="Any part of the address.")
    workspace_id: WorkspaceFilter = OF_WORKSPACE
    created_after: Moment | None = Field(None, description="Suppressed at this time or later (RFC 3339).")
    created_before: Moment | None = Field(None, description="Suppressed before this time (RFC 3339).")

    def to_filter(self) -> SuppressionFilter:
        return SuppressionFilter(
            reasons=self.reason,
            statuses=self.status or [SuppressionStatus.ACTIVE],
            address=self.address,
            text=self.q.lower() if self.q else None,
            created_after=self.created_after,
            created_before=self.created_before,
        )


class SuppressionLiftQuery(QueryParameters):
    consent: bool = Field(
        False,
        description="States that the person has asked to be mailed again; needed for `unsubscribe` and `complaint`, "
        "and kept in the event.",
    )


class SuppressionCreate(RequestBody):
    """An address that is not to be mailed any more."""

    address: str = Field(max_length=1024, description="Without a display name.", examples=["ada@example.com"])
    reason: SuppressionReason = Field(
        SuppressionReason.MANUAL, description="Why; the others are for lists that come from elsewhere."
    )
    note: Annotated[str, AfterValidator(_without_nul)] | None = Field(
        None, max_length=MAX_NOTE, description="For people.", examples=["Asked by phone"]
    )
    expires_at: Moment | None = Field(None, description="When it ends by itself; left out: never.")

    def to_new(self) -> service.NewSuppression:
        return service.NewSuppression(self.address, self.reason, self.note, self.expires_at)


class SuppressionBatchCreate(RequestBody):
    suppressions: list[SuppressionCreate] = Field(
        min_length=1, max_length=service.MAX_MANY, description=f"1 to {service.MAX_MANY}."
    )


class SuppressionCheckRequest(RequestBody):
    addresses: list[Annotated[str, Field(max_length=1024)]] = Field(
        min_length=1,
        max_length=service.MAX_MANY,
        description=f"1 to {service.MAX_MANY} addresses, without display names.",
        examples=[["ada@example.com", "bob@example.com"]],
    )


class SuppressionUndoRequest(RequestBody):
    """A span of time whose suppressions were a mistake, such as that of an outage at a provider."""

    from_: Moment = Field(
        alias="from", description="Suppressed at this time or later (RFC 3339).", examples=["2026-11-24T12:00:00Z"]
    )
    to: Moment = Field(description="Suppressed before this time (RFC 3339).", examples=["2026-11-24T13:00:00Z"])
    reasons: list[SuppressionReason] = Field(
        [SuppressionReason.HARD_BOUNCE],
        min_length=1,
        max_length=4,
        description="`hard_bounce`, `manual`, or both. What a person wished (`unsubscribe`, `complaint`) is lifted one "
        "by one, with consent.",
    )

    def to_undo(self) -> service.Undo:
        return service.Undo(self.from_, self.to, self.reasons)


class SuppressionUndo(Resource):
    """What was lifted."""

    lifted: int = Field(description=f"How many, at most {service.MAX_MANY} at a time.", examples=[17])
    has_more: bool = Field(description="Whether there are more in the span: ask again.")


class SuppressionScope(StrEnum):
    """What is not sent to the address: all mail, a category of it, or one list."""

    ORGANIZATION = "organization"
    CATEGORY = "category"
    LIST = "list"


class SuppressionEvidence(Resource):
    """What the mail system saw."""

    email_id: Annotated[str, typeid(Prefix.EMAIL)] | None
    recipient_id: Annotated[str, typeid(Prefix.RECIPIENT)] | None
    code: int | None = Field(description="SMTP status code.", examples=[550])
    enhanced_code: str | None = Field(description="Enhanced status code (RFC 3463).", examples=["5.1.1"])
    reply: str | None = Field(description="The server's words.", examples=["5.1.1 The mailbox does not exist"])
    remote_host: str | None = Field(description="The server that said it.", examples=["mx.example.com"])
    observed_at: Timestamp | None

    @classmethod
    def of(cls, evidence: dict[str, Any]) -> Self | None:
        return cls(**{name: evidence.get(name) for name in cls.model_fields}) if evidence else None


class Suppression(Resource):
    """An address that the organization does not mail, and why."""

    id: Annotated[str, typeid(Prefix.SUPPRESSION)]
    address: str = Field(
        description="In the form that addresses are compared in: lower case, A-labels.", examples=["ada@example.com"]
    )
    reason: SuppressionReason
    status: SuppressionStatus
    scope: SuppressionScope
    scope_value: str | None = Field(
        description="Which category (`campaign`) or list; null for all mail.", examples=["product-news"]
    )
    note: str | None = Field(examples=["Asked by phone"])
    evidence: SuppressionEvidence | None = Field(description="Null for those that were added by hand.")
    workspace_id: Annotated[str, typeid(Prefix.WORKSPACE)] | None = Field(
        description="Where it came from. It holds in all of the organization."
    )
    created_by: str | None = Field(
        description="Id of the key, grant or user; null for the mail system.",
        examples=["key_01kaz6yzwhe1xrqm3c8s4q3m8r"],
    )
    created_at: Timestamp
    expires_at: Timestamp | None = Field(description="When it ends by itself.")
    lifted_at: Timestamp | None
    lifted_by: str | None = Field(description="As `created_by`; null when the mail system did it.")

    @classmethod
    def of(cls, row: models.Suppression) -> Self:
        return cls(
            id=ids.encode(Prefix.SUPPRESSION, row.id),
            address=row.address,
            reason=SuppressionReason(row.reason),
            status=_status(row),
            scope=SuppressionScope(row.scope),
            scope_value=row.scope_value or None,
            note=row.note,
            evidence=SuppressionEvidence.of(row.evidence),
            workspace_id=ids.encode(Prefix.WORKSPACE, row.workspace_id) if row.workspace_id else None,
            created_by=row.created_by,
            created_at=row.created_at,
            expires_at=row.expires_at,
            lifted_at=row.lifted_at,
            lifted_by=row.lifted_by,
        )


def _status(row: models.Suppression) -> SuppressionStatus:
    if row.lifted_at is not None:
        return SuppressionStatus.LIFTED
    ended = row.expires_at is not None and row.expires_at <= utcnow()
    return SuppressionStatus.EXPIRED if ended else SuppressionStatus.ACTIVE


class SuppressionList(Page[Suppression]):
    """Suppressions, the newest first."""

    @classmethod
    def of(cls, rows: Sequence[models.Suppression], has_more: bool, *, backwards: bool) -> Self:
        return cls(
            data=[Suppression.of(row) for row in rows],
            has_more=has_more,
            next_cursor=next_cursor([row.id for row in rows], has_more, backwards=backwards),
        )


class SuppressionBatchResult(Resource):
    """What became of one item: `suppression` when the address is suppressed now, `problem` when it is none."""

    index: int = Field(description="Place in the request, from 0.")
    status: int = Field(description="201 made, 200 was there already, 422 not usable.", examples=[201])
    suppression: Suppression | None = Field(
        description="Null with 200 when it belongs to a workspace that the credential may not look into."
    )
    problem: dict[str, Any] | None = Field(description="A problem document (RFC 9457).")


class SuppressionBatch(Resource):
    """Each item's own result, in the order of the request."""

    data: list[SuppressionBatchResult]
    created: int
    existing: int = Field(description="Addresses that were suppressed already; they keep their record.")
    failed: int


class SuppressionCheckResult(Resource):
    """Whether mail to one address would be stopped now."""

    address: str = Field(description="As asked.", examples=["Ada@Example.com"])
    suppressed: bool
    reason: SuppressionReason | None = Field(description="Null when the address is not suppressed.")
    suppression: Suppression | None = Field(
        description="Null too when it belongs to a workspace that the credential may not look into."
    )
    error: str | None = Field(description="Why this is not an address that can be mailed; else null.")

    @classmethod
    def of(cls, checked: service.Checked) -> Self:
        row = checked.row
        return cls(
            address=checked.address,
            suppressed=row is not None,
            reason=SuppressionReason(row.reason) if row else None,
            suppression=Suppression.of(row) if row and checked.visible else None,
            error=checked.error,
        )


class SuppressionCheck(Resource):
    """One result for each address, in the order of the request."""

    data: list[SuppressionCheckResult]
