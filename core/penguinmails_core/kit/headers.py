"""Checks for what callers put into headers: names, values, subject, display names.

A CR, LF or NUL in any of them would let a caller write headers (or a whole message) of their own, so nothing passes
that could end a line. Rules: RFC 5322 §2.2 and §3.6.8; fields that the sender writes itself are reserved.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from penguinmails_core.kit.addresses import describe

MAX_HEADERS = 50
MAX_NAME_CHARACTERS = 76  # leaves the first line of a folded field within the 78 that RFC 5322 §2.1.1 recommends
MAX_VALUE_CHARACTERS = 8192
MAX_TEXT_CHARACTERS = 998  # RFC 5322 §2.1.1

_FTEXT = re.compile(r"[!-9;-~]+").fullmatch  # RFC 5322 §3.6.8: printable ASCII but the colon
_UNSAFE = re.compile("[\x00-\x08\x0a-\x1f\x7f\ud800-\udfff]").search  # tab is allowed

_GENERATED = "it is written when the message is sent; leave it out"
_TRACE = "servers add it on the way; leave it out"
_FIXES = {
    "from": "use the `from` field",
    "sender": "use the `from` field",
    "reply-to": "use the `reply_to` field",
    "to": "use the `to` field",
    "cc": "use the `cc` field",
    "bcc": "use the `bcc` field",
    "subject": "use the `subject` field",
    "date": "use `scheduled_at` to send later; " + _GENERATED,
    "message-id": _GENERATED,
    "mime-version": _GENERATED,
    "dkim-signature": _GENERATED,
    "authentication-results": _TRACE,
    "return-path": _TRACE,
    "received": _TRACE,
}
_FIXES_BY_PREFIX = {
    "content-": "use `html`, `text` and `attachments`; the MIME fields follow from them",
    "arc-": _TRACE,
    "resent-": "send a new message instead",
    "x-penguinmails-": "the prefix is ours; choose another name",
}
_RESERVED_PREFIX = re.compile("|".join(map(re.escape, _FIXES_BY_PREFIX))).match


class HeaderError(ValueError):
    """A header, subject or name that cannot be sent. `code` is stable; `detail` names the limit and the fix and is
    safe to show; `name` is the header (or field) as given, None when the error is about all of them."""

    def __init__(self, code: str, detail: str, name: str | None) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.name = name


def validate_headers(mapping: Mapping[str, str]) -> None:
    """Check the caller's own headers (name -> unfolded value). Raises HeaderError for the first that is not usable."""
    if not mapping:
        return
    if len(mapping) > MAX_HEADERS:
        raise HeaderError("too_many_headers", f"There are {len(mapping)} headers; the limit is {MAX_HEADERS}.", None)
    seen: set[str] = set()
    for name, value in mapping.items():
        key = _check_name(name)
        if key in seen:
            raise HeaderError(
                "duplicate_header", f"`{name}` is given twice (case does not count). Keep one of them.", name
            )
        seen.add(key)
        if len(value) > MAX_VALUE_CHARACTERS:
            raise HeaderError(
                "header_too_long",
                f"The value of `{name}` has {len(value)} characters; the limit is {MAX_VALUE_CHARACTERS}.",
                name,
            )
        _refuse_unsafe(value, f"the value of `{name}`", name)


def check_text(value: str, what: str, limit: int = MAX_TEXT_CHARACTERS) -> None:
    """Check a subject, display name or other one-line text. `what` is the field's name for the message.

    Raises HeaderError: `control_character`, `invalid_character` or `text_too_long` (`limit` is in characters).
    """
    if len(value) > limit:
        raise HeaderError("text_too_long", f"`{what}` has {len(value)} characters; the limit is {limit}.", what)
    _refuse_unsafe(value, f"`{what}`", what)


def _check_name(name: str) -> str:
    """The lower-cased name, if a caller may set it."""
    if len(name) > MAX_NAME_CHARACTERS:
        raise HeaderError(
            "header_name_too_long",
            f"A header name has {len(name)} characters; the limit is {MAX_NAME_CHARACTERS}.",
            name,
        )
    if _FTEXT(name) is None:
        raise HeaderError("invalid_header_name", _explain_name(name), name)
    key = name.lower()
    fix = _FIXES.get(key)
    if fix is None and (match := _RESERVED_PREFIX(key)) is not None:
        fix = _FIXES_BY_PREFIX[match[0]]
    if fix is not None:
        raise HeaderError("reserved_header", f"`{name}` cannot be set as a header: {fix}.", name)
    return key


def _explain_name(name: str) -> str:
    if not name:
        return "A header name is empty. Give one such as X-Campaign."
    position = next(i for i, character in enumerate(name) if _FTEXT(character) is None)
    return (
        f"A header name holds {describe(name[position])} at position {position + 1}; "
        "only printable ASCII without space and colon may stand."
    )


def _refuse_unsafe(value: str, where: str, name: str) -> None:
    if (match := _UNSAFE(value)) is None:
        return
    character, position = match[0], match.start() + 1
    if character >= "\ud800":
        detail = f"Remove {describe(character)} at position {position} of {where}: half a surrogate pair is not text."
        raise HeaderError("invalid_character", detail, name)
    raise HeaderError("control_character", f"Remove {describe(character)} at position {position} of {where}.", name)
