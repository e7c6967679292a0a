"""SMTP replies (RFC 5321 §4.2) read from a stream that nobody is trusted to keep well-formed or short."""

from __future__ import annotations

import re
from dataclasses import dataclass

MAX_LINE = 4096  # RFC 5321 §4.5.3.1.5 says 512; servers that put URLs into replies pass it
MAX_LINES = 256
MAX_TEXT = 2000  # characters kept of a reply

_ENHANCED = re.compile(r"([245])\.(\d{1,3})\.(\d{1,3})(?!\S)").match  # RFC 3463 §2
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]+")


class ReplyError(Exception):
    """The server's answer is no SMTP reply. Safe to show."""


@dataclass(frozen=True, slots=True)
class Reply:
    """A complete reply. `text` has one line per reply line, without the code."""

    code: int
    text: str

    @property
    def enhanced_code(self) -> str | None:
        """The enhanced status code at the start of the text, when it agrees with the code (RFC 2034 §4)."""
        match = _ENHANCED(self.text)
        return match[0] if match is not None and int(match[1]) * 100 <= self.code < int(match[1]) * 100 + 100 else None

    @property
    def lines(self) -> list[str]:
        return self.text.split("\n")

    def __str__(self) -> str:
        return f"{self.code} {self.text}"


class ReplyReader:
    """Cuts what arrives into replies. `feed` returns the replies that became complete."""

    __slots__ = ("_buffer", "_lines")

    def __init__(self) -> None:
        self._buffer = b""
        self._lines: list[bytes] = []

    @property
    def empty(self) -> bool:
        """True when no octet of an unfinished reply is held."""
        return not self._buffer and not self._lines

    def feed(self, data: bytes) -> list[Reply]:
        """Raises ReplyError for garbage and for lines or replies that are too long."""
        buffer = self._buffer + data if self._buffer else data
        *lines, self._buffer = buffer.split(b"\n")
        if len(self._buffer) > MAX_LINE:
            raise ReplyError(f"the server sent a reply line of more than {MAX_LINE} octets")
        replies = []
        for line in lines:
            if len(line) > MAX_LINE:
                raise ReplyError(f"the server sent a reply line of more than {MAX_LINE} octets")
            line = line.rstrip(b"\r")
            # A digit 2-5, two more digits, then a space, a hyphen or nothing: anything else is not SMTP.
            if not (line[:3].isdigit() and 50 <= line[0] <= 53 and line[3:4] in (b" ", b"-", b"")):
                raise ReplyError(f"the server sent something that is no SMTP reply: {printable(line[:80])!r}")
            if line[3:4] == b"-":
                self._lines.append(line[4:])
                if len(self._lines) >= MAX_LINES:
                    raise ReplyError(f"the server sent a reply of more than {MAX_LINES} lines")
                continue
            if self._lines:
                self._lines.append(line[4:])
                text = "\n".join(map(printable, self._lines))
                self._lines = []
            else:
                text = printable(line[4:])
            replies.append(Reply(int(line[:3]), text[:MAX_TEXT]))
        return replies


def printable(octets: bytes) -> str:
    """The text with control characters shown as `?`, fit for a database, a log and a screen."""
    text = octets.decode("ascii") if octets.isascii() else octets.decode("utf-8", "replace")
    return text if text.isprintable() else _UNPRINTABLE.sub("?", text)
