"""The rules about one message. Each check adds what is wrong to `Faults`, with a JSON Pointer, and goes on."""

from __future__ import annotations

import binascii
import mimetypes
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

from penguinmails_core.content.codec import encode, sha256
from penguinmails_core.emails.accept import Row
from penguinmails_core.emails.draft_input import AttachmentInput, EmailInput
from penguinmails_core.errors import FieldError
from penguinmails_core.kit import ids
from penguinmails_core.kit.addresses import AddressError, Mailbox, parse_mailbox
from penguinmails_core.kit.headers import HeaderError, check_text

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


class Faults:
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


def escape(name: str) -> str:
    """One token of a JSON Pointer (RFC 6901 §3)."""
    return name.replace("~", "~0").replace("/", "~1")


def check_mailboxes(value: Sequence[str] | str, field: str, limit: int, faults: Faults) -> list[tuple[str, Mailbox]]:
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


def check_recipients(email: EmailInput, faults: Faults) -> list[tuple[str, Mailbox]]:
    if email.to and not email.cc and not email.bcc and (isinstance(email.to, str) or len(email.to) == 1):
        return check_mailboxes(email.to, "to", MAX_RECIPIENTS, faults)  # most mail has one recipient
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
            found += check_mailboxes(values[kind], kind, MAX_RECIPIENTS, faults)
    if len(found) > 1:
        seen: dict[str, str] = {}
        for kind, mailbox in found:
            key = mailbox.canonical
            if key in seen:
                detail = f"{mailbox.address} is already in `{seen[key]}`; nobody is mailed twice. Remove one of them."
                faults.add(f"/{kind}", "duplicate_recipient", detail)
            seen.setdefault(key, kind)
    return found


def check_schedule(value: datetime | None, now: datetime, faults: Faults) -> datetime | None:
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


def check_labels(email: EmailInput, faults: Faults) -> None:
    if len(email.tags) > MAX_TAGS:
        faults.add("/tags", "too_many", f"There are {len(email.tags)} tags; the limit is {MAX_TAGS}.")
    for index, tag in enumerate(email.tags):
        if 0 < len(tag) <= MAX_TAG_CHARACTERS and tag.isascii() and tag.isprintable():
            continue
        if not tag:
            faults.add(f"/tags/{index}", "empty", "A tag has at least one character.")
        faults.text(tag, f"/tags/{index}", "tag", MAX_TAG_CHARACTERS)
    if len(email.metadata) > MAX_METADATA:
        faults.add("/metadata", "too_many", f"There are {len(email.metadata)} entries; the limit is {MAX_METADATA}.")
    for key, value in email.metadata.items():
        pointer = f"/metadata/{escape(key)}"
        if not key:
            faults.add("/metadata", "empty", "A metadata key has at least one character.")
        if not (len(key) <= MAX_METADATA_KEY and key.isascii() and key.isprintable()):
            faults.text(key, pointer, "metadata key", MAX_METADATA_KEY)
        if len(value) > MAX_METADATA_VALUE:
            faults.add(
                pointer, "text_too_long", f"The value has {len(value)} characters; the limit is {MAX_METADATA_VALUE}."
            )
        if "\0" in value:
            faults.add(pointer, "control_character", "Remove U+0000 NUL from the value.")


def check_body(body: str | None, pointer: str, organization: UUID, blobs: list[Row], faults: Faults) -> bytes | None:
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


def check_attachments(
    items: Sequence[AttachmentInput], organization: UUID, message_uuid: UUID, blobs: list[Row], faults: Faults
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


def _check_filename(filename: str, pointer: str, faults: Faults) -> None:
    if not filename or filename in {".", ".."}:
        faults.add(pointer, "empty", "Give a file name such as report.pdf.")
    elif "/" in filename or "\\" in filename:
        faults.add(pointer, "invalid_filename", "Give the file name alone, without a path.")
    faults.text(filename, pointer, "filename", MAX_FILENAME_CHARACTERS)
