"""Header fields with free text (RFC 5322 §2.2): checked, encoded (RFC 2047) and folded.

Folding only inserts CRLF before white space that is there already, so unfolding gives the exact value back.
"""

from __future__ import annotations

import re

from penguinmails_sender.mime.encoded_words import encode_words
from penguinmails_sender.mime.errors import MimeError, refuse_controls, utf8

WIDTH = 78  # RFC 5322 §2.1.1, recommended; without CRLF
WIDTH_ENCODED = 76  # RFC 2047 §2: a line that holds an encoded word
MAX_LINE = 998  # RFC 5322 §2.1.1, absolute

RESERVED_HEADERS = frozenset(
    {
        "authentication-results", "bcc", "cc", "content-description", "content-disposition", "content-id",
        "content-location", "content-transfer-encoding", "content-type", "date", "delivered-to", "dkim-signature",
        "from", "message-id", "mime-version", "received", "reply-to", "return-path", "sender", "subject", "to",
    }
)  # fmt: skip
"""Lower-case names that a caller may not set: the builder, the signer or the servers on the way write them."""
RESERVED_PREFIXES = ("content-", "arc-", "resent-")

# Values that machines parse: an encoded word would change their meaning, so a value that does not fit is refused.
_STRUCTURED = frozenset(
    {"references", "in-reply-to", "list-unsubscribe", "list-unsubscribe-post", "list-help", "list-subscribe",
     "list-owner", "list-post", "list-archive", "auto-submitted"}
)  # fmt: skip

_NAME = re.compile(r"[!-9;-~]+").fullmatch  # RFC 5322 §3.6.8: printable ASCII but the colon
_WORD = re.compile(r"[ \t]*[^ \t]+").findall
# What may stand as it is: printable ASCII words, white space only between them.
_PLAIN = re.compile(r"[!-~]++(?:[ \t]++[!-~]++)*+").fullmatch
_WORDS = re.compile(r"[^ \t]+").finditer
_ODD = re.compile(r"[^!-~]|=\?").search


def text_header(name: str, value: str, field: str) -> str:
    """`name: value` folded, without the final CRLF. Raises MimeError naming `field`."""
    # The common case first: short, printable ASCII, nothing that looks encoded.
    if len(name) + len(value) < WIDTH - 1 and "=?" not in value and _PLAIN(value) is not None:
        return f"{name}: {value}"
    refuse_controls(value, field)
    if not value:
        return f"{name}: "
    utf8(value, field)
    structured = name.lower() in _STRUCTURED
    if structured:
        value = value.strip(" \t")
    head, odd, tail = _split_odd(value)
    if odd and structured:
        raise MimeError(field, "only printable ASCII can stand in this header")
    line = Line(f"{name}:")
    if head:
        line.words(" " + head)
    if odd:
        line.encoded(odd)
    if tail:
        line.words(tail)
    if line.longest <= MAX_LINE:
        return line.text()
    if structured:
        raise MimeError(field, f"a part without a space is longer than a line may be ({MAX_LINE} octets)")
    line = Line(f"{name}:")
    line.encoded(value)
    return line.text()


def custom_headers(headers: tuple[tuple[str, str], ...]) -> list[str]:
    """The caller's own headers, folded. Raises MimeError for a reserved, repeated or malformed one."""
    lines = []
    seen = set()
    for name, value in headers:
        field = f"headers[{name[:76]!r}]" if _NAME(name) is None else f"headers[{name[:76]}]"
        if _NAME(name) is None or len(name) > WIDTH - 2:
            raise MimeError(field, "a header name is 1 to 76 printable ASCII characters without space and colon")
        key = name.lower()
        if key in RESERVED_HEADERS or key.startswith(RESERVED_PREFIXES):
            raise MimeError(field, "this header is written by the sender and cannot be set")
        if key in seen:
            raise MimeError(field, "this header is given twice; keep one")
        seen.add(key)
        lines.append(text_header(name, value, field))
    return lines


def _split_odd(value: str) -> tuple[str, str, str]:
    """(plain start, part to encode, plain end). The middle runs from the first to the last word that cannot stand as
    it is; white space at either end of the value belongs to it, for a reader would strip it."""
    words = list(_WORDS(value))
    odd = [word for word in words if _ODD(word[0]) is not None]
    if not words or (odd and "\t" in value):
        return "", value, ""
    start, end = (odd[0].start(), odd[-1].end()) if odd else (len(value), 0)
    if value[0] in " \t":
        start, end = 0, max(end, words[0].end())
    if value[-1] in " \t":
        start, end = min(start, words[-1].start()), len(value)
    if start >= end:
        return value, "", ""
    head, tail = value[:start], value[end:]
    # One space stays outside as the separator RFC 2047 §5(1) asks for; more white space moves into the encoded part,
    # since readers differ in whether they keep it there.
    kept_head, kept_tail = head.rstrip(" \t"), tail.lstrip(" \t")
    middle = head[len(kept_head) + 1 :] + value[start:end] + tail[: max(len(tail) - len(kept_tail) - 1, 0)]
    return kept_head, middle, (" " + kept_tail if kept_tail else "")


class Line:
    """A header field being written: keeps the column, folds before a word that would pass column 78."""

    __slots__ = ("_column", "_parts", "longest")

    def __init__(self, start: str) -> None:
        self._parts = [start]
        self._column = len(start)
        self.longest = len(start)

    def word(self, word: str) -> None:
        """Add `word`, which starts with its white space (or nothing, if it must stay attached)."""
        length = len(word) if word.isascii() else len(word.encode())
        if self._column + length > WIDTH and word[0] in " \t" and len(self._parts) > 1:
            self._parts.append("\r\n")
            self._column = 0
        self._parts.append(word)
        self._column += length
        self.longest = max(self.longest, self._column)

    def words(self, text: str) -> None:
        """Add text that begins with white space and does not end with it."""
        for word in _WORD(text):
            self.word(word)

    def encoded(self, text: str, reserve: int = 0) -> None:
        """Add ` ` and `text` as encoded words, leaving `reserve` columns free on each line."""
        words = encode_words(text, self._column + 1, WIDTH_ENCODED - reserve)
        if words[0] == "" and len(self._parts) == 1:
            del words[0]  # never an empty first line; the field name is at most 76 long
        for index, word in enumerate(words):
            if word == "":
                continue
            if index:
                self._parts.append("\r\n")
                self._column = 0
            self._parts.append(" " + word)
            self._column += 1 + len(word)
            self.longest = max(self.longest, self._column)

    def text(self) -> str:
        """The field without its final CRLF."""
        return "".join(self._parts)
