"""Read messages; cancel, reschedule and retry them. Every change writes its events in the same transaction."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from penguinmails_core.emails import repository
from penguinmails_core.emails.payload import data_of
from penguinmails_core.emails.repository import EmailFilter
from penguinmails_core.emails.status import EmailStatus, derive
from penguinmails_core.errors import Conflict, FieldError, NotFound, Unprocessable
from penguinmails_core.events import repository as events
from penguinmails_core.events.types import EventType
from penguinmails_core.kit.clock import rfc3339, utcnow
from penguinmails_core.kit.pages import cut
from penguinmails_core.models import EmailMessage, EmailRecipient, RecipientStatus
from penguinmails_core.principal import Principal

MAX_AHEAD = timedelta(days=365)
OUTCOME_UNKNOWN = "outcome_unknown"  # the reason of campaign mail whose last answer was lost


@dataclass(frozen=True, slots=True)
class Email:
    """A message with its recipients and the status derived from them."""

    message: EmailMessage
    recipients: Sequence[EmailRecipient]
    status: EmailStatus


async def get_email(session: AsyncSession, principal: Principal, email_id: UUID, *, lock: bool = False) -> Email:
    """`lock` keeps others from changing it. Raises `NotFound`, also for what the caller may not see."""
    return await _load(session, await _message(session, principal, email_id, lock=lock))


async def get_emails(session: AsyncSession, principal: Principal, email_ids: Sequence[UUID]) -> list[Email]:
    """In the order asked for, in two statements however many. Raises `NotFound` when one may not be seen."""
    messages = await repository.get_messages(session, principal, email_ids)
    if len(messages) != len(set(email_ids)):
        raise NotFound("There is no such email.")
    recipients = await repository.recipients_of(session, principal.organization_id, list(messages))
    return [_email(messages[email_id], recipients[email_id]) for email_id in email_ids]


async def list_emails(
    session: AsyncSession,
    principal: Principal,
    wanted: EmailFilter,
    *,
    limit: int,
    after: UUID | None = None,
    before: UUID | None = None,
) -> tuple[list[Email], bool]:
    """A page, the newest first, and whether there is more in the direction of travel."""
    found = await repository.list_messages(session, principal, wanted, limit=limit + 1, after=after, before=before)
    messages, has_more = cut(found, limit, backwards=before is not None)
    recipients = await repository.recipients_of(session, principal.organization_id, [m.id for m in messages])
    return [_email(message, recipients[message.id]) for message in messages], has_more


async def cancel_email(session: AsyncSession, principal: Principal, email_id: UUID) -> Email:
    """Stop what has not been handed over. Cancelling a cancelled message changes nothing.

    Raises `Conflict` when nothing waits any more.
    """
    message = await _message(session, principal, email_id, lock=True)
    changed = await repository.change_recipients(
        session,
        message,
        [RecipientStatus.QUEUED, RecipientStatus.DEFERRED],
        {"status": RecipientStatus.CANCELLED, "due_at": None},
    )
    await _record(session, message, changed, EventType.EMAIL_CANCELLED)
    email = await _load(session, message)
    if not changed and email.status is not EmailStatus.CANCELLED:
        raise Conflict(f"Nothing is left to cancel: {_counts(email.recipients)}.", extra=_state(email))
    return email


async def reschedule_email(session: AsyncSession, principal: Principal, email_id: UUID, at: datetime) -> Email:
    """Send at another time; a time that has passed means now. Raises `Conflict` when a recipient does not wait any
    more, `Unprocessable` when `at` is too far ahead."""
    now = utcnow()
    if at > now + MAX_AHEAD:
        detail = f"`scheduled_at` may be at most {MAX_AHEAD.days} days ahead."
        raise Unprocessable(detail, errors=[FieldError("/scheduled_at", "too_far_ahead", detail)])
    message = await _message(session, principal, email_id, lock=True)
    _check_sender(principal, message)
    lifetime = message.expires_at - (message.scheduled_at or message.created_at)
    changed = await repository.change_recipients(session, message, [RecipientStatus.QUEUED], {"due_at": at})
    email = await _load(session, message)
    if len(changed) != len(email.recipients):
        raise Conflict(
            f"Only a message that waits as a whole can be rescheduled: {_counts(email.recipients)}.",
            extra=_state(email),
        )
    message.scheduled_at = at
    message.expires_at = max(at, now) + lifetime
    await _record(session, message, changed, EventType.EMAIL_SCHEDULED, scheduled_at=rfc3339(at))
    return await _load(session, message)


async def retry_email(session: AsyncSession, principal: Principal, email_id: UUID) -> Email:
    """Make failed recipients due again. Raises `Conflict` when none has failed, or when sending again could double the
    mail: campaign mail whose outcome is unknown is never sent twice."""
    message = await _message(session, principal, email_id, lock=True)
    _check_sender(principal, message)
    now = utcnow()
    lifetime = message.expires_at - (message.scheduled_at or message.created_at)
    changed = await repository.change_recipients(
        session,
        message,
        [RecipientStatus.FAILED],
        {"status": RecipientStatus.QUEUED, "due_at": now, "reason": None},
        unless_reason=OUTCOME_UNKNOWN,
    )
    if not changed:
        email = await _load(session, message)
        unknown = any(recipient.reason == OUTCOME_UNKNOWN for recipient in email.recipients)
        why = (
            "it is not known whether this mail arrived, and campaign mail is never sent twice"
            if unknown
            else f"only failed recipients are retried: {_counts(email.recipients)}"
        )
        raise Conflict(f"Nothing can be retried: {why}.", extra=_state(email))
    message.expires_at = max(message.expires_at, now + lifetime)
    await _record(session, message, changed, EventType.EMAIL_QUEUED, reason="retry")
    return await _load(session, message)


async def _message(session: AsyncSession, principal: Principal, email_id: UUID, *, lock: bool = False) -> EmailMessage:
    message = await repository.get_message(session, principal, email_id, lock=lock)
    if message is None:
        raise NotFound("There is no such email.")
    return message


def _check_sender(principal: Principal, message: EmailMessage) -> None:
    """A key that may not send from an address may not make its mail go out either. Raises `ConstraintViolated`."""
    if principal.constraints is not None:
        principal.constraints.check_address(message.from_address)


async def _load(session: AsyncSession, message: EmailMessage) -> Email:
    recipients = await repository.recipients_of(session, message.organization_id, [message.id])
    return _email(message, recipients[message.id])


def _email(message: EmailMessage, recipients: Sequence[EmailRecipient]) -> Email:
    return Email(message, recipients, derive((r.status for r in recipients), message.scheduled_at, utcnow()))


async def _record(
    session: AsyncSession,
    message: EmailMessage,
    recipients: Iterable[EmailRecipient],
    event: EventType,
    **what: Any,
) -> None:
    """One event for each recipient."""
    for recipient in recipients:
        data = data_of(message, recipient)
        events.add(
            session,
            organization_id=message.organization_id,
            workspace_id=message.workspace_id,
            mode=message.mode,
            event=event,
            resource_id=recipient.id,
            sequence=recipient.event_sequence,
            payload=data | what,
        )


def _counts(recipients: Sequence[EmailRecipient]) -> str:
    """``"2 recipients are delivered, 1 is sending"``."""
    counts = Counter(recipient.status for recipient in recipients)
    parts = [f"{count} {'is' if count == 1 else 'are'} {status}" for status, count in sorted(counts.items())]
    return f"of {len(recipients)} recipient{'s' if len(recipients) != 1 else ''} " + ", ".join(parts)


def _state(email: Email) -> dict[str, Any]:
    return {"current_status": str(email.status)}
