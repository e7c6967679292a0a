"""The organization of the credential, and those that a person is in."""

from __future__ import annotations

from enum import StrEnum
from typing import Self
from uuid import UUID

import strawberry

from penguinmails_core import models
from penguinmails_core.kit import ids
from penguinmails_core.kit.ids import Prefix
from penguinmails_core.members.service import Membership
from penguinmails_graphql.relay import Node
from penguinmails_graphql.scalars import DateTime


@strawberry.enum(description="How a dashboard writes dates: 2026-11-24, 24/11/2026 or 11/24/2026.")
class DateFormat(StrEnum):
    ISO = "iso"
    DAY_FIRST = "day_first"
    MONTH_FIRST = "month_first"


@strawberry.type(description="The tenant that everything belongs to. Its settings are for dashboards alone.")
class Organization(Node):
    name: str
    timezone: str
    date_format: DateFormat
    currency: str = strawberry.field(description="A code of ISO 4217.")
    event_retention_days: int = strawberry.field(description="How long events and webhook deliveries are kept.")
    created_at: DateTime
    updated_at: DateTime

    @classmethod
    def of(cls, row: models.Organization) -> Self:
        return cls(
            id=strawberry.ID(ids.encode(Prefix.ORGANIZATION, row.id)),
            name=row.name,
            timezone=row.timezone,
            date_format=DateFormat(row.date_format),
            currency=row.currency,
            event_retention_days=row.event_retention_days,
            created_at=DateTime(row.created_at),
            updated_at=DateTime(row.updated_at),
        )


@strawberry.type(description="An organization that the caller belongs to.")
class OrganizationMembership:
    id: strawberry.ID
    name: str
    role: str | None = strawberry.field(description="The caller's role there; null for a key.")
    current: bool = strawberry.field(description="Whether this request acts in it.")

    @classmethod
    def of_person(cls, item: Membership, current: UUID) -> Self:
        return cls(
            id=strawberry.ID(ids.encode(Prefix.ORGANIZATION, item.organization_id)),
            name=item.organization_name,
            role=item.role,
            current=item.organization_id == current,
        )

    @classmethod
    def of_key(cls, row: models.Organization) -> Self:
        return cls(id=strawberry.ID(ids.encode(Prefix.ORGANIZATION, row.id)), name=row.name, role=None, current=True)
