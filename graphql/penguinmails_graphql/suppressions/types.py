"""Who is not mailed, and why."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Self

import strawberry

from penguinmails_core.kit import ids
from penguinmails_core.kit.clock import utcnow
from penguinmails_core.kit.ids import Prefix
from penguinmails_core.models import Suppression as SuppressionRow
from penguinmails_graphql.relay import Node
from penguinmails_graphql.scalars import DateTime


@strawberry.enum
class SuppressionReason(StrEnum):
    HARD_BOUNCE = "hard_bounce"
    COMPLAINT = "complaint"
    UNSUBSCRIBE = "unsubscribe"
    MANUAL = "manual"


@strawberry.enum(description="`EXPIRED`: its `expiresAt` has passed; `LIFTED`: taken off the list.")
class SuppressionStatus(StrEnum):
    ACTIVE = "active"
    EXPIRED = "expired"
    LIFTED = "lifted"


@strawberry.enum(description="What is not sent: all mail of the organization, a category of it, or one list.")
class SuppressionScope(StrEnum):
    ORGANIZATION = "organization"
    CATEGORY = "category"
    LIST = "list"


@strawberry.type(description="What the mail system saw.")
class SuppressionEvidence:
    email_id: strawberry.ID | None
    recipient_id: strawberry.ID | None
    code: int | None
    enhanced_code: str | None
    reply: str | None
    remote_host: str | None
    observed_at: str | None


@strawberry.type(description="An address that the organization does not mail, and why.")
class Suppression(Node):
    address: str
    reason: SuppressionReason
    status: SuppressionStatus
    scope: SuppressionScope
    scope_value: str | None
    note: str | None
    evidence: SuppressionEvidence | None
    workspace_id: strawberry.ID | None
    created_by: strawberry.ID | None
    created_at: DateTime
    expires_at: DateTime | None
    lifted_at: DateTime | None
    lifted_by: strawberry.ID | None

    @classmethod
    def of(cls, row: SuppressionRow) -> Self:
        return cls(
            id=strawberry.ID(ids.encode(Prefix.SUPPRESSION, row.id)),
            address=row.address,
            reason=SuppressionReason(row.reason),
            status=_status(row),
            scope=SuppressionScope(row.scope),
            scope_value=row.scope_value or None,
            note=row.note,
            evidence=_evidence(row.evidence),
            workspace_id=strawberry.ID(ids.encode(Prefix.WORKSPACE, row.workspace_id)) if row.workspace_id else None,
            created_by=strawberry.ID(row.created_by) if row.created_by else None,
            created_at=DateTime(row.created_at),
            expires_at=DateTime(row.expires_at) if row.expires_at else None,
            lifted_at=DateTime(row.lifted_at) if row.lifted_at else None,
            lifted_by=strawberry.ID(row.lifted_by) if row.lifted_by else None,
        )


def _status(row: SuppressionRow) -> SuppressionStatus:
    if row.lifted_at is not None:
        return SuppressionStatus.LIFTED
    ended = row.expires_at is not None and row.expires_at <= utcnow()
    return SuppressionStatus.EXPIRED if ended else SuppressionStatus.ACTIVE


_EVIDENCE = ("email_id", "recipient_id", "code", "enhanced_code", "reply", "remote_host", "observed_at")


def _evidence(evidence: dict[str, Any]) -> SuppressionEvidence | None:
    return SuppressionEvidence(**{name: evidence.get(name) for name in _EVIDENCE}) if evidence else None
