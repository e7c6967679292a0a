"""Organizations as the API shows them."""

from enum import StrEnum
from typing import Annotated, Any, Self

from pydantic import Field

from penguinmails_api.v1.common import RequestBody, Resource, Timestamp, typeid
from penguinmails_core import models
from penguinmails_core.kit import ids
from penguinmails_core.kit.ids import Prefix
from penguinmails_core.members.service import Membership
from penguinmails_core.organizations.service import MAX_NAME
from penguinmails_core.organizations.settings import MAX_RETENTION_DAYS


class DateFormat(StrEnum):
    """How a dashboard writes dates: 2026-11-24, 24/11/2026 or 11/24/2026."""

    ISO = "iso"
    DAY_FIRST = "day_first"
    MONTH_FIRST = "month_first"


Name = Annotated[str, Field(min_length=1, max_length=MAX_NAME, examples=["Acme"])]
Timezone = Annotated[
    str, Field(max_length=64, description="A name of the IANA time zone database.", examples=["Europe/Vienna"])
]
Currency = Annotated[
    str, Field(pattern="^[A-Z]{3}$", max_length=3, description="A code of ISO 4217.", examples=["EUR"])
]
RetentionDays = Annotated[
    int,
    Field(
        strict=True,
        ge=1,
        le=MAX_RETENTION_DAYS,
        description="How long events and webhook deliveries are kept. Less forgets within an hour what is older; more "
        "brings nothing back.",
        examples=[30],
    ),
]


def unset() -> Any:
    """Of a field that may be left out and may not be null. Never read: see `given`."""


class OrganizationCreate(RequestBody):
    name: Name


class OrganizationUpdate(RequestBody):
    """Only what is given is changed."""

    name: Name = Field(default_factory=unset)
    timezone: Timezone = Field(default_factory=unset)
    date_format: DateFormat = Field(default_factory=unset)
    currency: Currency = Field(default_factory=unset)
    event_retention_days: RetentionDays = Field(default_factory=unset)

    def given(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.model_fields_set}


class Organization(Resource):
    """The tenant that everything belongs to. Its settings say how a dashboard shows times and money (the API speaks
    UTC whatever they are), and how long events are kept."""

    id: Annotated[str, typeid(Prefix.ORGANIZATION)]
    name: str = Field(examples=["Acme"])
    timezone: str = Field(examples=["Europe/Vienna"])
    date_format: DateFormat
    currency: str = Field(examples=["EUR"])
    event_retention_days: int = Field(
        description="How long events and webhook deliveries are kept, 1 to 90.", examples=[30]
    )
    created_at: Timestamp
    updated_at: Timestamp

    @classmethod
    def of(cls, row: models.Organization) -> Self:
        return cls(
            id=ids.encode(Prefix.ORGANIZATION, row.id),
            name=row.name,
            timezone=row.timezone,
            date_format=DateFormat(row.date_format),
            currency=row.currency,
            event_retention_days=row.event_retention_days,
            created_at=row.created_at,
            updated_at=row.updated_at,
        )


class OrganizationTransfer(RequestBody):
    member_id: Annotated[str, Field(max_length=100), typeid(Prefix.MEMBER)] = Field(description="Who becomes an owner.")
    confirm: str = Field(
        max_length=MAX_NAME, description="The name of the organization, exactly as it is written.", examples=["Acme"]
    )


class OrganizationMembership(Resource):
    """An organization that the caller belongs to."""

    id: Annotated[str, typeid(Prefix.ORGANIZATION)]
    name: str = Field(examples=["Acme"])
    role: str | None = Field(description="The caller's role there; null for a key.", examples=["admin"])
    current: bool = Field(description="Whether this request acts in it.")


class OrganizationMemberships(Resource):
    """All organizations of the caller, the oldest membership first."""

    data: list[OrganizationMembership]

    @classmethod
    def of_person(cls, found: list[Membership], current: Any) -> Self:
        return cls(
            data=[
                OrganizationMembership(
                    id=ids.encode(Prefix.ORGANIZATION, item.organization_id),
                    name=item.organization_name,
                    role=item.role,
                    current=item.organization_id == current,
                )
                for item in found
            ]
        )

    @classmethod
    def of_key(cls, row: models.Organization) -> Self:
        item = OrganizationMembership(
            id=ids.encode(Prefix.ORGANIZATION, row.id), name=row.name, role=None, current=True
        )
        return cls(data=[item])


class OrganizationLeft(Resource):
    """The organization that is left, for good until somebody invites again."""

    organization_id: Annotated[str, typeid(Prefix.ORGANIZATION)]
