"""SQL that reads messages and changes what still waits. Accepting and sending have files of their own."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, and_, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from penguinmails_core.kit.ids import uuid_at
from penguinmails_core.kit.pages import newest_first
from penguinmails_core.models import EmailMessage, EmailRecipient, RecipientStatus
from penguinmails_core.principal import Principal

_CLOCK_SLACK = timedelta(minutes=5)  # between the clock that made an id and the one that made `created_at`


@dataclass(frozen=True, slots=True)
class EmailFilter:
    """All that are given must match. `statuses` holds recipient statuses and ``"scheduled"``: a message matches when
    one of its recipients has one of them. `domain` is the sender's."""

    statuses: Sequence[str] = ()
    to: str | None = None
    from_address: str | None = None
    tag: str | None = None
    domain: str | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None


def _visible(principal: Principal) -> list[ColumnElement[bool]]:
    """What a caller may see: own organization, own mode, and own workspace when bound to one."""
    conditions = [
        EmailMessage.organization_id == principal.organization_id,
        EmailMessage.mode == principal.mode,
    ]
    if principal.workspace_id is not None:
        conditions.append(EmailMessage.workspace_id == principal.workspace_id)
    return conditions


async def get_message(
    session: AsyncSession, principal: Principal, message_id: UUID, *, lock: bool = False
) -> EmailMessage | None:
    """`lock` keeps two changes of one message apart."""
    query = select(EmailMessage).where(*_visible(principal), EmailMessage.id == message_id)
    return await session.scalar(query.with_for_update() if lock else query)


async def get_messages(
    session: AsyncSession, principal: Principal, message_ids: Sequence[UUID]
) -> dict[UUID, EmailMessage]:
    query = select(EmailMessage).where(*_visible(principal), EmailMessage.id.in_(message_ids))
    return {message.id: message for message in await session.scalars(query)}


async def list_messages(
    session: AsyncSession,
    principal: Principal,
    wanted: EmailFilter,
    *,
    limit: int,
    after: UUID | None,
    before: UUID | None,
) -> list[EmailMessage]:
    """Up to `limit` messages, the newest first: those older than `after`, or the nearest newer than `before`."""
    query = select(EmailMessage).where(*_visible(principal), *_conditions(wanted))
    return await newest_first(session, query, EmailMessage.id, limit, after, before)


async def recipients_of(
    session: AsyncSession, organization_id: UUID, message_ids: Iterable[UUID]
) -> dict[UUID, list[EmailRecipient]]:
    """The recipients of each message in the order in which they were given."""
    query = (
        select(EmailRecipient)
        .where(EmailRecipient.organization_id == organization_id, EmailRecipient.message_id.in_(list(message_ids)))
        .order_by(EmailRecipient.message_id, EmailRecipient.position, EmailRecipient.id)
        .execution_options(populate_existing=True)
    )
    found: dict[UUID, list[EmailRecipient]] = defaultdict(list)
    for recipient in await session.scalars(query):
        found[recipient.message_id].append(recipient)
    return found


async def change_recipients(
    session: AsyncSession,
    message: EmailMessage,
    statuses: Sequence[RecipientStatus],
    values: dict[str, Any],
    *,
    unless_reason: str | None = None,
) -> list[EmailRecipient]:
    """Set `values` on the recipients in one of `statuses` and count an event for each; returns them.

    The row lock makes this safe against a sender that claims at the same time: the status is checked again under it.
    """
    query = update(EmailRecipient).where(
        EmailRecipient.organization_id == message.organization_id,
        EmailRecipient.message_id == message.id,
        EmailRecipient.status.in_(statuses),
    )
    if unless_reason is not None:
        query = query.where(EmailRecipient.reason.is_distinct_from(unless_reason))
    result = await session.scalars(
        query.values(event_sequence=EmailRecipient.event_sequence + 1, updated_at=func.now(), **values)
        .returning(EmailRecipient)
        .execution_options(synchronize_session=False, populate_existing=True)
    )
    return list(result)


def _conditions(wanted: EmailFilter) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if wanted.from_address is not None:
        conditions.append(EmailMessage.from_address == wanted.from_address)
    if wanted.domain is not None:
        conditions.append(EmailMessage.from_domain == wanted.domain)
    if wanted.tag is not None:
        conditions.append(EmailMessage.tags.contains([wanted.tag]))
    # Ids are made in time order: the second condition lets the primary key skip the rest.
    if wanted.created_after is not None:
        conditions.append(EmailMessage.created_at >= wanted.created_after)
        conditions.append(EmailMessage.id >= _first_id(wanted.created_after - _CLOCK_SLACK))
    if wanted.created_before is not None:
        conditions.append(EmailMessage.created_at < wanted.created_before)
        conditions.append(EmailMessage.id < _first_id(wanted.created_before + _CLOCK_SLACK))
    if wanted.statuses or wanted.to is not None:
        conditions.append(_recipients(wanted).exists())
    return conditions


def _recipients(wanted: EmailFilter) -> Select[EmailRecipient]:
    query = select(EmailRecipient).where(
        EmailRecipient.organization_id == EmailMessage.organization_id,
        EmailRecipient.message_id == EmailMessage.id,
    )
    if wanted.to is not None:
        query = query.where(EmailRecipient.address == wanted.to)
    if wanted.statuses:
        query = query.where(or_(*(_status(status) for status in wanted.statuses)))
    return query


def _status(status: str) -> ColumnElement[bool]:
    later = and_(EmailMessage.scheduled_at.is_not(None), EmailMessage.scheduled_at > func.now())
    queued = EmailRecipient.status == RecipientStatus.QUEUED
    if status == "scheduled":
        return and_(queued, later)
    return and_(queued, ~later) if status == RecipientStatus.QUEUED else EmailRecipient.status == status


def _first_id(moment: datetime) -> UUID:
    milliseconds = max(int(moment.timestamp() * 1000), 0)
    return UUID(int=uuid_at(milliseconds).int >> 80 << 80)
