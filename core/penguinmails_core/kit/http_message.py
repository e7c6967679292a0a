"""HTTP/1.1 as bytes (RFC 9110, RFC 9112): requests written, answers read. No socket here.

The reader is strict on purpose. What two readers could understand in two ways (two lengths, a length beside chunks,
bare line feeds, folded lines) is refused: on a kept connection a misread answer would be taken for the next one's.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache

from penguinmails_core.kit.http_guard import BrokenResponse, InvalidRequest

MAX_HEAD = 32 * 1024  # bytes of status line and headers
MAX_HEADERS = 100
_MAX_INTERIM = 16  # 1xx answers before the real one
_MAX_CHUNK_LINE = 1024
_MAX_CHUNKS = 8192  # after so many the rest is not read: chunks of one byte cost us more than their sender
_MAX_EXTENSIONS = 8 * 1024  # bytes of chunk extensions in one answer: they mean nothing, and could be endless
# These frame the request or steer the connection; a caller that could set them could smuggle a second request.
RESERVED_HEADERS = frozenset(
    {
        "accept-encoding",
        "connection",
        "content-length",
        "expect",
        "host",
        "keep-alive",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
_WORD = r"[!#$%&'*+.^_`|~0-9A-Za-z-]"  # RFC 9110 §5.6.2
_VALUE = r"[^\x00-\x08\x0a-\x1f\x7f]"
_NAME = re.compile(_WORD + "+")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_METHOD = re.compile("[A-Z]{1,20}")
# Possessive quantifiers: no input makes them go back.
_FIELDS = rf"((?:{_WORD}{{1,256}}+:{_VALUE}*+\r\n)*+)\r\n"
_HEAD = re.compile(rf"HTTP/1\.([01]) ([1-9][0-9]{{2}})(?: {_VALUE}*+)?\r\n{_FIELDS}".encode())
_TRAILER = re.compile(_FIELDS.encode())
_LENGTH = re.compile("[0-9]{1,18}")
_BARE_LF = re.compile(rb"(?<!\r)\n")
_CHUNK = re.compile(rf"([0-9A-Fa-f]{{1,15}}+)([\t ]*;{_VALUE}*+)?\r\n".encode())
_START = b"HTTP/1."


class Headers(Mapping[str, str]):
    """Names in any case; several fields of one name are one value, joined with ", " (RFC 9110 §5.2)."""

    __slots__ = ("_values",)

    def __init__(self, values: dict[str, str]) -> None:
        self._values = values  # by lower-case name

    def __getitem__(self, name: str) -> str:
        return self._values[name.lower()]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return f"Headers({self._values!r})"


def request_bytes(
    method: str, path: str, host: str, base: str, headers: Mapping[str, str] | None, body: bytes | None
) -> bytes:
    """A whole request. `path` and `host` are what `parse_url` made of a URL, `base` header lines that are known good.

    Raises `InvalidRequest` for a method or header that may not be sent.
    """
    if not _METHOD.fullmatch(method):
        raise InvalidRequest("a method is a word in capital letters")
    head = f"{method} {path} HTTP/1.1\r\nHost: {host}\r\n{base}"
    for name, value in headers.items() if headers else ():
        problem = _name_problem(name)
        if problem is not None:
            raise InvalidRequest(problem)
        # isprintable is the quick way to see that there is no control character; a tab is none that does harm.
        if not value.isprintable() and _CONTROL.search(value):
            raise InvalidRequest("the value of a header has no control characters")
        head += f"{name}: {value}\r\n"
    if body is not None:
        head += f"Content-Length: {len(body)}\r\n"
    elif method not in ("GET", "HEAD"):
        head += "Content-Length: 0\r\n"
    try:
        start = (head + "\r\n").encode()
    except UnicodeEncodeError:
        raise InvalidRequest("the value of a header is not text") from None
    return start + body if body else start


@lru_cache(maxsize=1024)
def _name_problem(name: str) -> str | None:
    if name.lower() in RESERVED_HEADERS:
        return f"the header {name} is set by the connection and cannot be given"
    if not _NAME.fullmatch(name):
        return "a header has a name of letters, digits and hyphens, and no control characters"
    return None


def _broken(detail: str = "the answer is not readable HTTP") -> BrokenResponse:
    return BrokenResponse(detail)


class ResponseReader:
    """One answer, fed in pieces of any size. After `feed` gave True the fields hold it.

    `limit`: bytes of the body that are kept; a longer one ends the reading, with `truncated` and without `reusable`.
    `bodyless`: the answer to HEAD. `reusable`: the connection may carry another request. `feed` and `end` raise
    `BrokenResponse` and nothing else.
    """

    __slots__ = (
        "_at",
        "_body",
        "_bodyless",
        "_chunks",
        "_extensions",
        "_fields",
        "_interim",
        "_left",
        "_limit",
        "_rest",
        "_room",
        "_seen",
        "_step",
        "idle_seconds",
        "reusable",
        "started",
        "status",
        "truncated",
    )

    def __init__(self, limit: int, *, bodyless: bool = False) -> None:
        self._limit = self._room = limit  # `_room`: bytes that may still be kept
        self._bodyless = bodyless
        self._rest = b""
        self._at = 0  # the first byte of `_rest` that no step has used yet
        self._seen = 0  # up to where it was searched for the end of the head
        self._body: list[bytes] = []
        self._left = 0  # bytes of the body, or of the chunk, that are still to come
        self._chunks = self._extensions = self._interim = 0
        self._step: Callable[[ResponseReader], bool | None] = ResponseReader._head  # unbound: no cycle to collect
        self._fields: dict[str, str] = {}
        self.status = 0
        self.started = False
        self.truncated = False
        self.reusable = False
        self.idle_seconds: float | None = None  # how long the other side says it keeps an idle connection

    @property
    def headers(self) -> Headers:
        return Headers(self._fields)

    @property
    def body(self) -> bytes:
        return self._body[0] if len(self._body) == 1 else b"".join(self._body)

    def feed(self, data: bytes) -> bool:
        """True when the answer is complete. Bytes beyond its end cost the connection, never become an answer."""
        self.started = True
        self._rest = self._rest + data if self._rest else data
        while (more := self._step(self)) is True:
            pass
        if more is None:
            if self._at < len(self._rest):
                self.reusable = False
            return True
        if self._at:
            self._rest = self._rest[self._at :]
            self._seen -= self._at
            self._at = 0
        return False

    def end(self) -> None:
        """The connection was closed: that ends an answer without a length, and breaks every other."""
        if self._step is ResponseReader._until_close:
            return
        if not self.started:
            raise _broken("the connection was closed before an answer came")
        raise _broken("the answer ended early" if self.status else "the answer is not readable HTTP")

    # The steps: True to go on, False for more bytes, None at the end.

    def _head(self) -> bool | None:
        rest, at = self._rest, self._at
        end = rest.find(b"\r\n\r\n", max(self._seen - 3, at), at + MAX_HEAD)
        if end < 0:
            start = rest[at : at + 7]
            if start != _START[: len(start)] or _BARE_LF.search(rest, max(self._seen - 1, at)):
                raise _broken()
            if len(rest) - at >= MAX_HEAD:
                raise _broken(f"the answer has more than {MAX_HEAD} bytes of headers")
            self._seen = len(rest)
            return False
        match = _HEAD.match(rest, at)
        if match is None or match.end() != end + 4:
            raise _broken()
        self._at = self._seen = end + 4
        status = int(match[2])
        if status >= 200:
            self.status = status
            self._fields = _fields(match[3])
            return self._frame(old=match[1] == b"0")
        self._interim += 1
        if status == 101 or self._interim > _MAX_INTERIM:
            raise _broken("the answer switches protocols" if status == 101 else "the answer is interim without end")
        return True

    def _frame(self, *, old: bool) -> bool | None:
        """How long the body is (RFC 9112 §6.3)."""
        fields = self._fields
        connection = fields.get("connection")
        self.reusable = not old if connection is None else _keeps(connection, old)
        if "keep-alive" in fields:
            self.idle_seconds = _idle(fields["keep-alive"])
        coding, length = fields.get("transfer-encoding"), fields.get("content-length")
        if length is not None and (coding is not None or not _LENGTH.fullmatch(length)):
            raise _broken("the answer has a Content-Length that cannot be relied on")
        if coding is not None and (old or coding.lower() != "chunked"):
            raise _broken("the answer has a transfer coding that was not asked for")
        if self._bodyless or self.status in (204, 304):
            if self.status == 204 and (coding is not None or (length or "0").strip("0")):
                self.reusable = False  # a body that was announced could be taken for the next answer
            return None
        if coding is not None:
            self._step = ResponseReader._chunk_line
        elif length is not None:
            self._left = int(length)
            if self._left > self._limit:
                self.truncated, self.reusable, self._left = True, False, self._limit
            self._step = ResponseReader._fixed
        else:
            self.reusable = False
            self._step = ResponseReader._until_close
        return True

    def _take(self, most: int) -> int:
        """Keeps up to `most` of the bytes at hand, as far as there is room; how many it took from the input."""
        at = self._at
        data = self._rest[at : at + min(most, self._room)]
        taken = min(most, len(self._rest) - at)
        if len(data) < taken:
            self.truncated, self.reusable = True, False
        if data:
            self._body.append(data)
            self._room -= len(data)
        self._at = at + taken
        return taken

    def _fixed(self) -> bool | None:
        self._left -= self._take(self._left)
        return False if self._left else None

    def _until_close(self) -> bool | None:
        self._take(len(self._rest))
        return None if self.truncated else False

    def _chunk_line(self) -> bool | None:
        rest, at = self._rest, self._at
        end = rest.find(b"\n", at, at + _MAX_CHUNK_LINE)
        if end < 0:
            if len(rest) - at >= _MAX_CHUNK_LINE:
                raise _broken("the answer has a chunk that cannot be read")
            return False
        match = _CHUNK.match(rest, at)
        if match is None or match.end() != end + 1:
            raise _broken("the answer has a chunk that cannot be read")
        self._chunks += 1
        self._extensions += len(match[2] or b"")
        if self._extensions > _MAX_EXTENSIONS:
            raise _broken("the answer has chunks with too much beside their content")
        self._at = self._seen = end + 1
        self._left = int(match[1], 16)
        if self._left and self._chunks > _MAX_CHUNKS:
            self.truncated, self.reusable = True, False
            return None
        self._step = ResponseReader._chunk if self._left else ResponseReader._trailer
        return True

    def _chunk(self) -> bool | None:
        taken = self._take(self._left)
        self._left -= taken
        if self.truncated:
            return None
        if not self._left:
            self._step = ResponseReader._chunk_end
        return taken > 0

    def _chunk_end(self) -> bool | None:
        found = self._rest[self._at : self._at + 2]
        if found != b"\r\n":
            if found in (b"", b"\r"):
                return False
            raise _broken("the answer has a chunk that cannot be read")
        self._at += 2
        self._step = ResponseReader._chunk_line
        return True

    def _trailer(self) -> bool | None:
        """Fields after the last chunk: read, so that they are not taken for the next answer, and dropped."""
        rest, at = self._rest, self._at
        if rest.startswith(b"\r\n", at):
            self._at = at + 2
            return None
        end = rest.find(b"\r\n\r\n", max(self._seen - 3, at), at + MAX_HEAD)
        if end < 0:
            if len(rest) - at >= MAX_HEAD or _BARE_LF.search(rest, max(self._seen - 1, at)):
                raise _broken("the answer has trailers that cannot be read")
            self._seen = len(rest)
            return False
        match = _TRAILER.match(rest, at)
        if match is None or match.end() != end + 4:
            raise _broken("the answer has trailers that cannot be read")
        self._at = end + 4
        return None


def _fields(block: bytes) -> dict[str, str]:
    lines = block.decode("utf-8", "replace").split("\r\n")
    if len(lines) > MAX_HEADERS + 1:
        raise _broken(f"the answer has more than {MAX_HEADERS} headers")
    fields: dict[str, str] = {}
    lines.pop()
    for line in lines:
        name, _, value = line.partition(":")
        name, value = name.lower(), value.strip(" \t")
        fields[name] = f"{fields[name]}, {value}" if name in fields else value
    return fields


def _keeps(connection: str, old: bool) -> bool:
    options = {option.strip().lower() for option in connection.split(",")}
    return "close" not in options and (not old or "keep-alive" in options)


def _idle(value: str) -> float | None:
    found = re.search(r"timeout=([0-9]{1,6})(?![0-9])", value)
    return float(found[1]) if found else None
