"""Types that all resources share: ids, times, pages, answers."""

from datetime import UTC, date, datetime
from typing import Annotated, Any, ClassVar, Generic, TypeVar
from uuid import UUID

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    WithJsonSchema,
)

from penguinmails_core.errors import NotFound
from penguinmails_core.kit import ids
from penguinmails_core.kit.clock import rfc3339

Item = TypeVar("Item")

MAX_LIMIT = 100
DEFAULT_LIMIT = 20


class RequestBody(BaseModel):
    """Unknown fields are refused: a misspelled one would otherwise be silently ignored."""

    model_config = ConfigDict(extra="forbid")


class QueryParameters(BaseModel):
    """The query string of one operation; unknown parameters are refused."""

    model_config = ConfigDict(extra="forbid")


class Resource(BaseModel):
    """An answer. Every member is always there, so that SDKs need no guesses.

    `untagged` names members that do not count for the ETag: those that only tell when something was used last.
    """

    untagged: ClassVar[frozenset[str]] = frozenset()
    model_config = ConfigDict(
        json_schema_serialization_defaults_required=True, populate_by_name=True, serialize_by_alias=True
    )


class Page(Resource, Generic[Item]):
    """Subclass it with a name of its own (`class EmailList(Page[Email])`): SDKs show that name."""

    data: list[Item]
    has_more: bool = Field(description="Whether there is more in this direction.")
    next_cursor: str | None = Field(description="Pass it as `after` (or `before`) to go on; null on the last page.")


Timestamp = Annotated[
    AwareDatetime,
    PlainSerializer(rfc3339, return_type=str),
    WithJsonSchema({"type": "string", "format": "date-time", "examples": ["2026-11-24T12:00:00.000Z"]}),
]
"""RFC 3339 in UTC with milliseconds."""


def _to_utc(value: datetime) -> datetime:
    """Near the ends of the calendar other zones, lifetimes and databases run out of years."""
    if not 1970 < value.year < 9000:
        raise ValueError("give a time between the years 1971 and 8999")
    return value.astimezone(UTC)


def _not_a_number(value: Any) -> Any:
    """pydantic would read `0` as the first second of 1970."""
    if isinstance(value, int | float) or (isinstance(value, str) and "-" not in value[1:]):
        raise ValueError("give it as RFC 3339 says, such as 2026-12-24 or 2026-12-24T18:00:00Z")
    return value


Moment = Annotated[AwareDatetime, BeforeValidator(_not_a_number), AfterValidator(_to_utc)]
"""A time in a request: RFC 3339 with an offset."""

Day = Annotated[date, BeforeValidator(_not_a_number)]
"""A day in a request: RFC 3339 `full-date`."""


def typeid(prefix: str) -> WithJsonSchema:
    """Describes an id in the specification: ``Annotated[str, typeid(Prefix.EMAIL)]``."""
    return WithJsonSchema(
        {
            "type": "string",
            "pattern": f"^{prefix}_[0-7][0-9a-hjkmnp-tv-z]{{25}}$",
            "examples": [f"{prefix}_01kaz6yzwhe1xrqm3c8s4q3m8r"],
        }
    )


def from_path(prefix: str, what: str) -> BeforeValidator:
    """Turns an id in the path into its UUID: ``Annotated[UUID, from_path(Prefix.EMAIL, "email"), typeid(...)]``.

    What is not an id of this kind does not exist: 404, as for a foreign id.
    """

    return BeforeValidator(lambda value: read_id(prefix, what, value))


def read_id(prefix: str, what: str, value: Any) -> UUID:
    """Raises `NotFound` for what is not an id of this kind."""
    try:
        return ids.decode(prefix, str(value))
    except ids.IdError as error:
        raise NotFound(f"There is no such {what}: {error}.") from None


Limit = Annotated[int, Field(ge=1, le=MAX_LIMIT, description=f"How many, 1 to {MAX_LIMIT}; more is refused.")]
