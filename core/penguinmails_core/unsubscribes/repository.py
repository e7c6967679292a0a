"""SQL of unsubscribing: what the message was, and the person's place on the suppression list."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import func, or_, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from penguinmails_core.models import EmailMessage, EmailRecipient, Organization, Suppression
from penguinmails_core.unsubscribes.links import Subscriber


async def sender_name(session: AsyncSession, organization_id: UUID) -> str | None:
    """None when the organization is gone."""
    return await session.scalar(select(Organization.name).where(Organization.id == organization_id))


async def message_of(session: AsyncSession, subscriber: Subscriber) -> tuple[EmailMessage, EmailRecipient] | None:
    """None when the message is gone."""
    found = await session.execute(
        select(EmailMessage, EmailRecipient)
        .join(
            EmailMessage,
            (EmailMessage.organization_id == EmailRecipient.organization_id)
            & (EmailMessage.id == EmailRecipient.message_id),
        )
        .where(
            EmailRecipient.organization_id == subscriber.organization_id,
            EmailRecipient.id == subscriber.recipient_id,
        )
    )
    row = found.first()
    return (row[0], row[1]) if row is not None else None


async def lock(session: AsyncSession, subscriber: Subscriber) -> None:
    """Mail services repeat themselves, and people click twice: one wish of a person is dealt with at a time."""
    key = f"unsubscribe {subscriber.organization_id} {subscriber.address}"
    await session.execute(text("select pg_advisory_xact_lock(hashtextextended(:key, 0))"), {"key": key})


async def in_force(session: AsyncSession, subscriber: Subscriber) -> list[Suppression]:
    """All live suppressions that hold for the address now, locked."""
    query = (
        select(Suppression)
        .where(
            Suppression.organization_id == subscriber.organization_id,
            Suppression.mode == "live",
            Suppression.address == subscriber.address,
            Suppression.lifted_at.is_(None),
            or_(Suppression.expires_at.is_(None), Suppression.expires_at > func.now()),
        )
        .order_by(Suppression.id)
        .with_for_update()
    )
    return list(await session.scalars(query))


async def make_way(session: AsyncSession, subscriber: Subscriber, scope: tuple[str, str]) -> None:
    """What holds the address's place in that scope is lifted: when it ended, or now."""
    await session.execute(
        update(Suppression)
        .where(
            Suppression.organization_id == subscriber.organization_id,
            Suppression.mode == "live",
            Suppression.address == subscriber.address,
            Suppression.scope == scope[0],
            Suppression.scope_value == scope[1],
            Suppression.lifted_at.is_(None),
        )
        .values(lifted_at=func.least(Suppression.expires_at, func.now()), lifted_by=None)
        .execution_options(synchronize_session=False)
    )


async def suppress(session: AsyncSession, values: dict[str, Any]) -> Suppression | None:
    """None when somebody else took the place in between."""
    query = insert(Suppression).values(values).on_conflict_do_nothing().returning(Suppression)
    found: Suppression | None = await session.scalar(query)
    return found


async def next_sequence(session: AsyncSession, recipient: EmailRecipient) -> int:
    """Of the recipient's events."""
    query = (
        update(EmailRecipient)
        .where(EmailRecipient.organization_id == recipient.organization_id, EmailRecipient.id == recipient.id)
        .values(event_sequence=EmailRecipient.event_sequence + 1)
        .returning(EmailRecipient.event_sequence)
        .execution_options(synchronize_session=False)
    )
    sequence = await session.scalar(query)
    assert sequence is not None
    return sequence


async def lists_of(session: AsyncSession, subscriber: Subscriber, most: int) -> list[str]:
    """The lists that mail to the person was of lately, by name."""
    query = text(
        "select distinct list from (select m.options #>> '{unsubscribe,list}' as list from email_recipients r "
        "join email_messages m on (m.organization_id, m.id) = (r.organization_id, r.message_id) and m.mode = 'live' "
        "where r.organization_id = :organization_id and r.address in (select :address union select o.address from "
        "email_recipients o where (o.organization_id, o.id) = (:organization_id, :recipient_id)) "
        "order by r.id desc limit 1000) sent where list is not null order by list limit :most"
    )
    parameters = {
        "organization_id": subscriber.organization_id,
        "address": subscriber.address,
        "recipient_id": subscriber.recipient_id,
        "most": most,
    }
    return list(await session.scalars(query, parameters))
