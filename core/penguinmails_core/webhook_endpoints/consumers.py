"""Endpoints that belong to customers of the organization: who they are, and how many endpoints each may have."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from penguinmails_core.errors import Conflict, FieldError, Unprocessable
from penguinmails_core.webhook_endpoints import repository

MAX_ENDPOINTS, MAX_OF_CONSUMER, MAX_ALTOGETHER = 50, 20, 5_000
MAX_CONSUMER = 100  # characters


async def check_room(session: AsyncSession, organization_id: UUID, consumer: str | None) -> None:
    """Raises `Conflict` when the consumer (None: the organization itself), or all together, can have no more."""
    own, total = await repository.count_for_update(session, organization_id, consumer)
    most, who = (MAX_ENDPOINTS, "An organization") if consumer is None else (MAX_OF_CONSUMER, "A consumer")
    if own >= most:
        raise Conflict(
            f"{who} has at most {most} webhook endpoints, test ones included. Delete one first.", extra={"limit": most}
        )
    if total >= MAX_ALTOGETHER:
        detail = f"The organization and its consumers have {total} webhook endpoints, which is the most. Delete some."
        raise Conflict(detail, extra={"limit": MAX_ALTOGETHER})


def check_consumer(consumer: str | None) -> list[FieldError]:
    """Null, or 1 to 100 characters that people can tell apart: no spaces at the ends, no control characters."""
    if consumer is None:
        return []
    if 0 < len(consumer) <= MAX_CONSUMER and consumer.isprintable() and consumer.strip() == consumer:
        return []
    detail = "`consumer` is 1 to 100 printable characters, without spaces at its ends: your own id of the customer."
    return [FieldError("/consumer", "invalid", detail)]


def refuse_bad_consumer(consumer: str | None) -> None:
    """Of a filter. Raises `Unprocessable`."""
    if errors := check_consumer(consumer):
        errors = [FieldError("consumer", error.code, error.detail) for error in errors]
        raise Unprocessable(errors[0].detail, errors=errors)
