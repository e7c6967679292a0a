"""The `data` of every `email.*` event: made once when a message is accepted, and again from the row by the sender."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from penguinmails_core.kit.ids import Prefix, encode
from penguinmails_core.models import EmailMessage, EmailRecipient


def message_id(email_id: str, from_domain: str) -> str:
    """The Message-ID (RFC 5322 §3.6.4) without angle brackets; the same on every attempt, so receivers can dedupe."""
    return f"{email_id}@{from_domain}"


def email_data(
    *,
    email_id: str,
    recipient_id: str,
    kind: str,
    address: str,
    name: str | None,
    from_address: str,
    from_domain: str,
    subject: str,
    message_class: str,
    tags: Sequence[str],
    metadata: Mapping[str, str],
) -> dict[str, Any]:
    """One recipient's view of a message. Events add what happened: `attempt`, `smtp`, `reason`, `next_attempt_at`."""
    return {
        "email_id": email_id,
        "recipient_id": recipient_id,
        "recipient": {"address": address, "name": name, "kind": kind},
        "from": from_address,
        "subject": subject,
        "class": message_class,
        "tags": tags,
        "metadata": metadata,
        "message_id": message_id(email_id, from_domain),
    }


def data_of(message: EmailMessage, recipient: EmailRecipient) -> dict[str, Any]:
    """`email_data` of rows."""
    return email_data(
        email_id=encode(Prefix.EMAIL, message.id),
        recipient_id=encode(Prefix.RECIPIENT, recipient.id),
        kind=recipient.kind,
        address=recipient.address,
        name=recipient.name,
        from_address=message.from_address,
        from_domain=message.from_domain,
        subject=message.subject,
        message_class=message.message_class,
        tags=message.tags,
        metadata=message.metadata_,
    )


def data_of_joined(row: Mapping[str, Any]) -> dict[str, Any]:
    """`email_data` of a recipient (`id`) joined with its message (`message_id`), as plain SQL returns them."""
    return email_data(
        email_id=encode(Prefix.EMAIL, row["message_id"]),
        recipient_id=encode(Prefix.RECIPIENT, row["id"]),
        kind=row["kind"],
        address=row["address"],
        name=row["name"],
        from_address=row["from_address"],
        from_domain=row["from_domain"],
        subject=row["subject"],
        message_class=row["message_class"],
        tags=row["tags"],
        metadata=row["metadata"],
    )
