"""A reply becomes a message of a thread, and an event, in one transaction; the same one twice becomes one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from penguinmails_core.emails.payload import data_of_joined
from penguinmails_core.events import repository as events
from penguinmails_core.events.types import EventType
from penguinmails_core.inbox import repository
from penguinmails_core.kit import ids
from penguinmails_core.kit.clock import rfc3339
from penguinmails_core.kit.db import Connection
from penguinmails_core.kit.ids import Prefix, new_uuid

PREVIEW = 200


@dataclass(frozen=True, slots=True)
class Reply:
    """What was read of an answer. `references`: Message-IDs that it answers, the nearest first."""

    message_id: str
    references: Sequence[str]
    from_address: str
    from_name: str | None
    subject: str
    text: str
    reply: str
    reply_class: str
    confidence: float
    rule: str
    automatic: bool
    returns_at: datetime | None
    received_at: datetime


def emails_named(references: Sequence[str]) -> list[UUID]:
    """Ours among Message-IDs: the local part is the id of the email. The domain does not count: gateways change it."""
    found = []
    for reference in references:
        try:
            found.append(ids.decode(Prefix.EMAIL, reference.partition("@")[0].lower()))
        except ids.IdError:
            continue
    return found


async def keep(connection: Connection, mailbox: Any, reply: Reply) -> UUID | None:
    """The id of the message, None when it is known, or answers nothing that we sent: what else is in somebody's mailbox
    is none of our business and is not stored. `mailbox`: organization_id and id. In the caller's transaction."""
    organization_id, mailbox_id = mailbox["organization_id"], mailbox["id"]
    if not reply.message_id or await repository.known(connection, organization_id, mailbox_id, reply.message_id):
        return None
    email = await repository.answered(
        connection, organization_id, mailbox_id, emails_named(reply.references), list(reply.references)
    )
    if email is None:
        return None
    person = await repository.recipient(connection, organization_id, email["id"], reply.from_address)
    if person is None:
        return None
    thread_id = await _thread(connection, organization_id, mailbox_id, email, person, reply)
    interest = None if reply.automatic else reply.reply_class
    await repository.touch_thread(connection, organization_id, thread_id, interest, reply.received_at)
    message_id = new_uuid()
    await repository.add_message(
        connection,
        (
            organization_id,
            message_id,
            thread_id,
            mailbox_id,
            *(reply.message_id, reply.from_address, reply.from_name, reply.subject, reply.text, reply.reply),
            *(reply.reply_class, reply.confidence, reply.rule, reply.automatic, reply.returns_at, reply.received_at),
        ),
    )
    await _tell(connection, organization_id, thread_id, email, person, reply)
    return message_id


async def _thread(
    connection: Connection, organization_id: UUID, mailbox_id: UUID, email: Any, person: Any, reply: Reply
) -> UUID:
    address = person["address"].lower()
    row = await repository.find_thread(connection, organization_id, mailbox_id, email["id"], address)
    if row is not None:
        found: UUID = row["id"]
        return found
    thread_id = new_uuid()
    interest = None if reply.automatic else reply.reply_class
    await repository.add_thread(
        connection,
        (
            *(organization_id, thread_id, email["workspace_id"], email["mode"], mailbox_id, email["id"], address),
            *(reply.subject, interest, reply.received_at),
        ),
    )
    await events.add_on(
        connection,
        organization_id=organization_id,
        workspace_id=email["workspace_id"],
        mode=email["mode"],
        event=EventType.THREAD_CREATED,
        resource_id=thread_id,
        sequence=1,
        payload={
            "thread_id": ids.encode(Prefix.THREAD, thread_id),
            "mailbox_id": ids.encode(Prefix.MAILBOX, mailbox_id),
            "contact_id": None,
            "campaign_id": None,
            "address": address,
            "subject": reply.subject,
            "interest": interest,
        },
    )
    return thread_id


async def _tell(
    connection: Connection, organization_id: UUID, thread_id: UUID, email: Any, person: Any, reply: Reply
) -> None:
    data = data_of_joined(dict(email) | dict(person) | {"message_id": email["id"]})
    await events.add_on(
        connection,
        organization_id=organization_id,
        workspace_id=email["workspace_id"],
        mode=email["mode"],
        event=EventType.EMAIL_REPLIED,
        resource_id=person["id"],
        sequence=await repository.told(connection, organization_id, person["id"]),
        payload=data
        | {
            "thread_id": ids.encode(Prefix.THREAD, thread_id),
            "reply_class": reply.reply_class,
            "confidence": reply.confidence,
            "automatic": reply.automatic,
            "returns_at": rfc3339(reply.returns_at) if reply.returns_at else None,
            "preview": reply.reply[:PREVIEW],
            "received_at": rfc3339(reply.received_at),
        },
    )
