"""The one error of the MIME builder."""

from __future__ import annotations

import re

from penguinmails_core.kit.addresses import describe

_UNSAFE = re.compile("[\x00-\x08\x0a-\x1f\x7f]").search


class MimeError(ValueError):
    """The message cannot be written as asked. `field` names the part (`subject`, `to[1].name`,
    `headers[X-Campaign]`, `attachments[0].filename`); the text says what is wrong and is safe to show."""

    def __init__(self, field: str, detail: str) -> None:
        super().__init__(f"{field}: {detail}")
        self.field = field
        self.detail = detail


def refuse_controls(value: str, field: str) -> None:
    """CR, LF or NUL would end the field and let its author write headers of his own (RFC 5322 §2.2); the other control
    characters but tab mean nothing there and readers disagree about them."""
    if (match := _UNSAFE(value)) is not None:
        raise MimeError(field, f"remove {describe(match[0])} at position {match.start() + 1}")


def utf8(value: str, field: str) -> bytes:
    """Encode; half of a surrogate pair is not text and is refused."""
    try:
        return value.encode()
    except UnicodeEncodeError as error:
        raise MimeError(field, f"half of a surrogate pair at position {error.start + 1} is not text") from None
