"""Time in one form: aware UTC datetimes inside, RFC 3339 with milliseconds and ``Z`` outside."""

from __future__ import annotations

from datetime import UTC, datetime


def utcnow() -> datetime:
    return datetime.now(UTC)


def rfc3339(value: datetime) -> str:
    """``2026-11-24T12:00:00.123Z`` (RFC 3339 §5.6)."""
    return value.astimezone(UTC).isoformat(timespec="milliseconds")[:-6] + "Z"
