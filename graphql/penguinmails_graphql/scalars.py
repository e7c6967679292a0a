"""Times and free-form JSON as they look everywhere in the API."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import NewType

import strawberry
from strawberry.types.scalar import ScalarDefinition

from penguinmails_core.errors import FieldError, Unprocessable
from penguinmails_core.kit.clock import rfc3339


def _parse(value: object) -> datetime:
    try:
        moment = datetime.fromisoformat(str(value))
    except ValueError:
        raise ValueError("a time is RFC 3339 with an offset, such as 2026-12-24T18:00:00Z") from None
    if moment.tzinfo is None:
        raise ValueError("the time has no offset; write for example 2026-12-24T18:00:00Z")
    if not 1970 < moment.year < 9000:
        raise ValueError("give a time between the years 1971 and 8999")
    return moment.astimezone(UTC)


DateTime = NewType("DateTime", datetime)
DATE_TIME = strawberry.scalar(
    name="DateTime",
    description="RFC 3339 in UTC with milliseconds, such as `2026-11-24T12:00:00.000Z`; any offset is read.",
    specified_by_url="https://www.rfc-editor.org/rfc/rfc3339",
    serialize=rfc3339,
    parse_value=_parse,
)
SCALARS: dict[object, ScalarDefinition] = {DateTime: DATE_TIME}


def string_map(value: object, name: str) -> dict[str, str]:
    """A JSON object of strings, from a JSON argument. Raises `Unprocessable` naming the argument."""
    if value is None:
        return {}
    if not isinstance(value, dict) or not all(isinstance(item, str) for item in value.values()):
        detail = f"`{name}` must be an object whose values are strings."
        raise Unprocessable(detail, errors=[FieldError(f"/{name}", "invalid_type", detail)])
    return {str(key): item for key, item in value.items()}


def moment(value: datetime | None) -> DateTime | None:
    """For columns that may be null."""
    return DateTime(value) if value is not None else None
