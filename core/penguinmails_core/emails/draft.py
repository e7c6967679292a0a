"""From what a caller asked to rows ready for the accept statement.

All rules (`draft_rules`) are checked before anything is stored and all faults are reported together, each with a JSON
Pointer. REST and GraphQL share this module; what they pass only needs the attributes of `EmailInput`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any
from uuid import UUID

import orjson

from penguinmails_core.emails.accept import MessageRows, Row
from penguinmails_core.emails.draft_input import EmailInput
from penguinmails_core.emails.draft_rules import (
    MAX_REPLY_TO,
    Faults,
    check_attachments,
    check_body,
    check_labels,
    check_mailboxes,
    check_recipients,
    check_schedule,
    escape,
)
from penguinmails_core.emails.lanes import DEFAULT_SOURCE, lane_of
from penguinmails_core.emails.options import message_options
from penguinmails_core.emails.payload import email_data
from penguinmails_core.errors import FieldError, PayloadTooLarge, Unprocessable
from penguinmails_core.events.types import EventType
from penguinmails_core.kit import ids
from penguinmails_core.kit.addresses import AddressError, Mailbox, format_mailbox, parse_mailbox
from penguinmails_core.kit.clock import rfc3339
from penguinmails_core.kit.headers import HeaderError, validate_headers
from penguinmails_core.mailboxes.pace import HORIZON
from penguinmails_core.principal import Principal


@dataclass(frozen=True, slots=True)
class DraftLimits:
    """`max_bytes` bounds text, HTML and decoded attachments together; `horizon` is how long delivery is tried."""

    max_bytes: int
    horizon: timedelta
    retention: Mapping[str, timedelta]


@dataclass(slots=True)
class Draft:
    """A checked message. `rows` goes to the acceptor; the rest is for the answer."""

    id: UUID
    email_id: str
    message_class: str
    created_at: datetime
    scheduled_at: datetime | None
    rows: MessageRows

    @property
    def status(self) -> str:
        return "scheduled" if self.scheduled_at else "queued"

    def answer(self) -> dict[str, str | None]:
        """What `POST /v1/emails` says about an accepted message."""
        return {
            "id": self.email_id,
            "status": self.status,
            "class": self.message_class,
            "created_at": rfc3339(self.created_at),
            "scheduled_at": rfc3339(self.scheduled_at) if self.scheduled_at else None,
        }


def pg_array(items: Sequence[str]) -> str:
    """A PostgreSQL array literal: arrays of arrays cannot be passed through `unnest`."""
    if not items:
        return "{}"
    return '{"' + '","'.join([item.replace("\\", "\\\\").replace('"', '\\"') for item in items]) + '"}'


_sender = lru_cache(maxsize=4096)(parse_mailbox)  # a tenant sends from few addresses


def sender_of(email: EmailInput, base: str = "") -> Mailbox:
    """The `from` mailbox alone: whose domain must be verified before anything else is worth checking."""
    try:
        return _sender(email.from_)
    except AddressError as error:
        raise Unprocessable(
            "The `from` field is not usable.", errors=[FieldError(f"{base}/from", error.code, error.detail)]
        ) from None


def draft_email(
    principal: Principal,
    email: EmailInput,
    *,
    sender: Mailbox,
    workspace_id: UUID,
    limits: DraftLimits,
    now: datetime,
    base: str = "",
    source: str = DEFAULT_SOURCE,
) -> Draft:
    """Check `email` and lay out its rows.

    `base` is the JSON Pointer of the message inside the body (``/emails/3`` in a batch). `source` is what sends it: of
    a mailbox, the message may wait longer for its turn. Raises `Unprocessable` with
    every fault, or `PayloadTooLarge`.
    """
    faults = Faults(base)
    message_uuid = ids.new_uuid()
    email_id = ids.encode("msg", message_uuid)
    organization = principal.organization_id

    recipients = check_recipients(email, faults)
    scheduled_at = check_schedule(email.scheduled_at, now, faults)
    reply_to = [format_mailbox(m) for _, m in check_mailboxes(email.reply_to, "reply_to", MAX_REPLY_TO, faults)]
    subject = email.subject or ""
    if email.subject is None:
        faults.add("/subject", "required", "`subject` is required, unless a `template` has one.")
    elif not (subject.isascii() and subject.isprintable() and len(subject) <= 998):
        faults.text(subject, "/subject", "subject", 998)
    if email.headers:
        try:
            validate_headers(email.headers)
        except HeaderError as error:
            faults.add("/headers" + (f"/{escape(error.name)}" if error.name else ""), error.code, error.detail)
    if email.tags or email.metadata:
        check_labels(email, faults)

    options = message_options(email, faults)

    blobs: list[Row] = []
    text_hash = check_body(email.text, "/text", organization, blobs, faults)
    html_hash = check_body(email.html, "/html", organization, blobs, faults)
    if text_hash is None and html_hash is None and not faults.errors:
        faults.add("/text", "missing_content", "Give `text`, `html` or both.")
    attachments = (
        check_attachments(email.attachments, organization, message_uuid, blobs, faults) if email.attachments else []
    )
    if faults.errors:
        count = len(faults.errors)
        raise Unprocessable(
            "One field needs attention." if count == 1 else f"{count} fields need attention.", errors=faults.errors
        )
    size = sum(row[5] for row in blobs)
    if size > limits.max_bytes:
        raise PayloadTooLarge(
            f"The message has {size} bytes of text, HTML and attachments; the limit is {limits.max_bytes}. "
            "Send a link instead of the largest attachment.",
            errors=[FieldError(base or "", "message_too_large", f"{size} bytes; the limit is {limits.max_bytes}.")],
        )

    message_class = str(email.message_class)
    tags = list(email.tags)
    metadata = dict(email.metadata)
    shared = email_data(
        email_id=email_id,
        recipient_id="",
        kind="to",
        address="",
        name=None,
        from_address=sender.address,
        from_domain=sender.domain,
        subject=subject,
        message_class=message_class,
        tags=tags,
        metadata=metadata,
    )
    if scheduled_at:
        shared["scheduled_at"] = rfc3339(scheduled_at)
    recipient_rows, event_rows = _rows_of(
        recipients, principal, workspace_id, message_uuid, message_class, shared, scheduled_at, source
    )
    due = scheduled_at or now
    rows = MessageRows(
        message=(
            organization,
            message_uuid,
            workspace_id,
            principal.id,
            principal.mode,
            message_class,
            sender.address,
            sender.name,
            sender.domain,
            pg_array(reply_to),
            subject,
            pg_array(tags),
            orjson.dumps(metadata).decode() if metadata else "{}",
            size,
            scheduled_at,
            due + (limits.horizon if source == DEFAULT_SOURCE else HORIZON),
            now,
            orjson.dumps(options).decode() if options else "{}",
        ),
        recipients=recipient_rows,
        events=event_rows,
        content=(
            organization,
            message_uuid,
            text_hash,
            html_hash,
            orjson.dumps(dict(email.headers)).decode() if email.headers else "{}",
            due + limits.retention[message_class],
        ),
        blobs=blobs,
        attachments=attachments,
    )
    return Draft(message_uuid, email_id, message_class, now, scheduled_at, rows)


def _rows_of(
    recipients: Sequence[tuple[str, Mailbox]],
    principal: Principal,
    workspace_id: UUID,
    message_uuid: UUID,
    message_class: str,
    shared: dict[str, Any],
    scheduled_at: datetime | None,
    source: str,
) -> tuple[list[Row], list[Row]]:
    """A row and a first event for each recipient. `shared` is the event's data but for the recipient."""
    organization, mode = principal.organization_id, principal.mode
    event_type = EventType.EMAIL_SCHEDULED if scheduled_at else EventType.EMAIL_QUEUED
    rows: list[Row] = []
    events: list[Row] = []
    last = message_uuid
    for position, (kind, mailbox) in enumerate(recipients):
        recipient_uuid = ids.next_uuid(last)
        last = ids.next_uuid(recipient_uuid)
        address, name = mailbox.address, mailbox.name
        shared["recipient_id"] = ids.encode("rcp", recipient_uuid)
        shared["recipient"] = {"address": address, "name": name, "kind": kind}
        lane = lane_of(mode, message_class, mailbox.domain, source)
        rows.append((organization, recipient_uuid, message_uuid, kind, position, address, name, lane, scheduled_at))
        payload = orjson.dumps(shared).decode()
        events.append((organization, workspace_id, last, mode, event_type, recipient_uuid, payload))
    return rows, events
