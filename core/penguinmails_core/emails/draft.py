"""From what a caller asked to rows ready for the accept statement: every rule about one message lives here.

All rules are checked before anything is stored and all faults are reported together, each with a JSON Pointer. REST and
GraphQL share this module; what they pass only needs the attributes of `EmailInput`.
"""

from __future__ import annotations

import binascii
import mimetypes
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol
from uuid import UUID

import orjson

from penguinmails_core.content.codec import encode, sha256
from penguinmails_core.emails.accept import MessageRows, Row
from penguinmails_core.emails.lanes import lane_of
from penguinmails_core.emails.payload import email_data
from penguinmails_core.errors import FieldError, PayloadTooLarge, Unprocessable
from penguinmails_core.events.types import EventType
from penguinmails_core.kit import ids
from penguinmails_core.kit.addresses import AddressError, Mailbox, format_mailbox, parse_mailbox
from penguinmails_core.kit.clock import rfc3339
from penguinmails_core.kit.headers import HeaderError, check_text, validate_headers
from penguinmails_core.principal import Principal

MAX_RECIPIENTS = 50
MAX_ATTACHMENTS = 100
MAX_TAGS, MAX_TAG_CHARACTERS = 10, 64
MAX_METADATA, MAX_METADATA_KEY, MAX_METADATA_VALUE = 50, 64, 500
MAX_FILENAME_CHARACTERS = 255
MAX_REPLY_TO = 10
MAX_AHEAD = timedelta(days=365)
_PAST_ALLOWED = timedelta(minutes=5)  # clocks differ; anything older is a mistake worth telling

_CONTENT_TYPE = re.compile(r"[A-Za-z0-9!#$&^_.+-]{1,127}/[A-Za-z0-9!#$&^_.+-]{1,127}").fullmatch
_CONTENT_ID = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.@-]{1,128}").fullmatch
_KINDS = ("to", "cc", "bcc")


class AttachmentInput(Protocol):
    @property
    def filename(self) -> str: ...
    @property
    def content(self) -> str: ...
    @property
    def content_type(self) -> str | None: ...
    @property
    def content_id(self) -> str | None: ...


class EmailInput(Protocol):
    @property
    def from_(self) -> str: ...
    @property
    def to(self) -> Sequence[str] | str: ...
    @property
    def cc(self) -> Sequence[str] | str: ...
    @property
    def bcc(self) -> Sequence[str] | str: ...
    @property
    def reply_to(self) -> Sequence[str] | str: ...
    @property
    def subject(self) -> str: ...
    @property
    def text(self) -> str | None: ...
    @property
    def html(self) -> str | None: ...
    @property
    def headers(self) -> Mapping[str, str]: ...
    @property
    def attachments(self) -> Sequence[AttachmentInput]: ...
    @property
    def tags(self) -> Sequence[str]: ...
    @property
    def metadata(self) -> Mapping[str, str]: ...
    @property
    def scheduled_at(self) -> datetime | None: ...
    @property
    def message_class(self) -> str: ...


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


class _Faults:
    """Collects everything that is wrong, so that a caller fixes it in one go."""

    __slots__ = ("base", "errors")

    def __init__(self, base: str) -> None:
        self.base = base
        self.errors: list[FieldError] = []

    def add(self, pointer: str, code: str, detail: str) -> None:
        self.errors.append(FieldError(self.base + pointer, code, detail))

    def text(self, value: str, pointer: str, what: str, limit: int) -> None:
        try:
            check_text(value, what, limit)
        except HeaderError as error:
            self.add(pointer, error.code, error.detail)


def sender_of(email: EmailInput, base: str = "") -> Mailbox:
    """The `from` mailbox alone: whose domain must be verified before anything else is worth checking."""
    try:
        return parse_mailbox(email.from_)
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
) -> Draft:
    """Check `email` and lay out its rows.

    `base` is the JSON Pointer of the message inside the body (``/emails/3`` in a batch). Raises `Unprocessable` with
    every fault, or `PayloadTooLarge`.
    """
    faults = _Faults(base)
    message_uuid = ids.new_uuid()
    email_id = ids.encode("msg", message_uuid)
    organization = principal.organization_id

    recipients = _recipients(email, faults)
    scheduled_at = _schedule(email.scheduled_at, now, faults)
    reply_to = [format_mailbox(m) for _, m in _mailboxes(email.reply_to, "reply_to", MAX_REPLY_TO, faults)]
    if not (email.subject.isascii() and email.subject.isprintable() and len(email.subject) <= 998):
        faults.text(email.subject, "/subject", "subject", 998)
    if email.headers:
        try:
            validate_headers(email.headers)
        except HeaderError as error:
            faults.add("/headers" + (f"/{_escape(error.name)}" if error.name else ""), error.code, error.detail)
    if email.tags or email.metadata:
        _labels(email, faults)

    blobs: list[Row] = []
    text_hash = _body(email.text, "/text", organization, blobs, faults)
    html_hash = _body(email.html, "/html", organization, blobs, faults)
    if text_hash is None and html_hash is None and not faults.errors:
        faults.add("/text", "missing_content", "Give `text`, `html` or both.")
    attachments = (
        _attachments(email.attachments, organization, message_uuid, blobs, faults) if email.attachments else []
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
    metadata = dict(email.metadata)
    tags = list(email.tags)
    event_type = EventType.EMAIL_SCHEDULED if scheduled_at else EventType.EMAIL_QUEUED
    recipient_rows: list[Row] = []
    event_rows: list[Row] = []
    for position, (kind, mailbox) in enumerate(recipients):
        recipient_uuid = ids.new_uuid()
        data = email_data(
            email_id=email_id,
            recipient_id=ids.encode("rcp", recipient_uuid),
            kind=kind,
            address=mailbox.address,
            name=mailbox.name,
            from_address=sender.address,
            from_domain=sender.domain,
            subject=email.subject,
            message_class=message_class,
            tags=tags,
            metadata=metadata,
        )
        if scheduled_at:
            data["scheduled_at"] = rfc3339(scheduled_at)
        lane = lane_of(principal.mode, message_class, mailbox.domain)
        recipient_rows.append(
            (
                organization,
                recipient_uuid,
                message_uuid,
                kind,
                position,
                mailbox.address,
                mailbox.name,
                lane,
                scheduled_at,
            )
        )
        event_rows.append(
            (
                organization,
                workspace_id,
                ids.new_uuid(),
                principal.mode,
                event_type,
                recipient_uuid,
                orjson.dumps(data).decode(),
            )
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
            email.subject,
            pg_array(tags),
            orjson.dumps(metadata).decode() if metadata else "{}",
            size,
            scheduled_at,
            due + limits.horizon,
            now,
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


def _escape(name: str) -> str:
    """One token of a JSON Pointer (RFC 6901 §3)."""
    return name.replace("~", "~0").replace("/", "~1")


def _mailboxes(value: Sequence[str] | str, field: str, limit: int, faults: _Faults) -> list[tuple[str, Mailbox]]:
    single = isinstance(value, str)
    items: Sequence[str] = [value] if isinstance(value, str) else value
    if len(items) > limit:
        faults.add(f"/{field}", "too_many", f"`{field}` has {len(items)} addresses; the limit is {limit}.")
        return []
    found = []
    for index, item in enumerate(items):
        try:
            found.append((field, parse_mailbox(item)))
        except AddressError as error:
            faults.add(f"/{field}" if single else f"/{field}/{index}", error.code, error.detail)
    return found


def _recipients(email: EmailInput, faults: _Faults) -> list[tuple[str, Mailbox]]:
    values = {"to": email.to, "cc": email.cc, "bcc": email.bcc}
    total = sum(1 if isinstance(value, str) else len(value) for value in values.values())
    if total > MAX_RECIPIENTS:
        detail = f"`to`, `cc` and `bcc` hold {total} addresses; the limit is {MAX_RECIPIENTS}. Split the message."
        faults.add("/to", "too_many_recipients", detail)
        return []
    if not email.to:
        faults.add("/to", "missing_recipient", "`to` needs at least one address.")
    found: list[tuple[str, Mailbox]] = []
    for kind in _KINDS:
        if values[kind]:
            found += _mailboxes(values[kind], kind, MAX_RECIPIENTS, faults)
    if len(found) > 1:
        seen: dict[str, str] = {}
        for kind, mailbox in found:
            key = mailbox.canonical
            if key in seen:
                detail = f"{mailbox.address} is already in `{seen[key]}`; nobody is mailed twice. Remove one of them."
                faults.add(f"/{kind}", "duplicate_recipient", detail)
            seen.setdefault(key, kind)
    return found


def _schedule(value: datetime | None, now: datetime, faults: _Faults) -> datetime | None:
    """The due time in UTC, or None for "now"."""
    if value is None:
        return None
    if value.tzinfo is None:
        faults.add(
            "/scheduled_at", "missing_offset", "Give `scheduled_at` with an offset, such as 2030-01-31T09:00:00Z."
        )
        return None
    try:
        value = value.astimezone(UTC)
    except OverflowError:  # the first and the last day of the calendar, with an offset that leads out of it
        value = value.replace(tzinfo=UTC)
    if value > now + MAX_AHEAD:
        faults.add("/scheduled_at", "too_far_ahead", f"`scheduled_at` may be at most {MAX_AHEAD.days} days ahead.")
    elif value < now - _PAST_ALLOWED:
        faults.add("/scheduled_at", "in_the_past", "`scheduled_at` is in the past. Leave it out to send now.")
    return value if value > now else None


def _labels(email: EmailInput, faults: _Faults) -> None:
    if len(email.tags) > MAX_TAGS:
        faults.add("/tags", "too_many", f"There are {len(email.tags)} tags; the limit is {MAX_TAGS}.")
    for index, tag in enumerate(email.tags):
        if not tag:
            faults.add(f"/tags/{index}", "empty", "A tag has at least one character.")
        faults.text(tag, f"/tags/{index}", "tag", MAX_TAG_CHARACTERS)
    if len(email.metadata) > MAX_METADATA:
        faults.add("/metadata", "too_many", f"There are {len(email.metadata)} entries; the limit is {MAX_METADATA}.")
    for key, value in email.metadata.items():
        pointer = f"/metadata/{_escape(key)}"
        if not key:
            faults.add("/metadata", "empty", "A metadata key has at least one character.")
        faults.text(key, pointer, "metadata key", MAX_METADATA_KEY)
        if len(value) > MAX_METADATA_VALUE:
            faults.add(
                pointer, "text_too_long", f"The value has {len(value)} characters; the limit is {MAX_METADATA_VALUE}."
            )
        if "\0" in value:
            faults.add(pointer, "control_character", "Remove U+0000 NUL from the value.")


def _body(body: str | None, pointer: str, organization: UUID, blobs: list[Row], faults: _Faults) -> bytes | None:
    if body is None:
        return None
    if "\0" in body:
        position = body.index("\0") + 1
        faults.add(pointer, "control_character", f"Remove U+0000 NUL at position {position}: mail cannot carry it.")
        return None
    try:
        data = body.encode()
    except UnicodeEncodeError as error:
        detail = f"Half of a surrogate pair at position {error.start + 1} is not text. Remove it."
        faults.add(pointer, "invalid_character", detail)
        return None
    return _blob(data, organization, blobs)


def _blob(data: bytes, organization: UUID, blobs: list[Row]) -> bytes:
    digest = sha256(data)
    encoding, stored = encode(data)
    blobs.append((organization, digest, ids.random_uuid(), "postgresql", encoding, len(data), len(stored), stored))
    return digest


def _attachments(
    items: Sequence[AttachmentInput], organization: UUID, message_uuid: UUID, blobs: list[Row], faults: _Faults
) -> list[Row]:
    if len(items) > MAX_ATTACHMENTS:
        faults.add("/attachments", "too_many", f"There are {len(items)} attachments; the limit is {MAX_ATTACHMENTS}.")
        return []
    rows: list[Row] = []
    content_ids: set[str] = set()
    for index, item in enumerate(items):
        pointer = f"/attachments/{index}"
        try:
            data = binascii.a2b_base64(item.content.encode(), strict_mode=True)
        except (binascii.Error, UnicodeEncodeError):
            faults.add(f"{pointer}/content", "invalid_base64", "`content` is not base64 (RFC 4648 §4, with padding).")
            continue
        _check_filename(item.filename, f"{pointer}/filename", faults)
        content_type = item.content_type or mimetypes.guess_type(item.filename)[0] or "application/octet-stream"
        if _CONTENT_TYPE(content_type) is None or content_type.lower().startswith(("multipart/", "message/")):
            detail = "Give a media type such as application/pdf, without parameters; multipart/ and message/ are ours."
            faults.add(f"{pointer}/content_type", "invalid_content_type", detail)
        if item.content_id is not None:
            if _CONTENT_ID(item.content_id) is None:
                detail = "`content_id` is 1 to 128 letters, digits, dots, hyphens or @, without angle brackets."
                faults.add(f"{pointer}/content_id", "invalid_content_id", detail)
            elif item.content_id in content_ids:
                faults.add(f"{pointer}/content_id", "duplicate_content_id", "Two attachments have this `content_id`.")
            content_ids.add(item.content_id)
        digest = _blob(data, organization, blobs)
        disposition = "inline" if item.content_id else "attachment"
        rows.append(
            (
                organization,
                ids.new_uuid(),
                message_uuid,
                index,
                item.filename,
                content_type,
                disposition,
                item.content_id,
                digest,
                len(data),
            )
        )
    return rows


def _check_filename(filename: str, pointer: str, faults: _Faults) -> None:
    if not filename or filename in {".", ".."}:
        faults.add(pointer, "empty", "Give a file name such as report.pdf.")
    elif "/" in filename or "\\" in filename:
        faults.add(pointer, "invalid_filename", "Give the file name alone, without a path.")
    faults.text(filename, pointer, "filename", MAX_FILENAME_CHARACTERS)
