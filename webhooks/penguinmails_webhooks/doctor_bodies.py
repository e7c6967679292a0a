"""The ways a body gets changed between the wire and the signature check, and where two bodies part. Pure functions."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

EXCERPT = 16  # bytes shown from the first one that differs
_LARGEST = 64 * 1024  # of a body that is parsed and written anew: the search must stay cheap


@dataclass(frozen=True, slots=True)
class Difference:
    """`offset` of the first byte that differs, counting from 0, and up to 16 bytes from there on. What is no UTF-8
    stands as ``\\xff``; an empty text means that the body had ended."""

    offset: int
    expected: str
    got: str

    def words(self) -> str:
        got = f"`{self.got}`" if self.got else "nothing more"
        expected = f"`{self.expected}`" if self.expected else "nothing more"
        return f"the first difference is at byte {self.offset}: we sent {expected}, you have {got}"


def difference(expected: bytes, got: bytes) -> Difference | None:
    """Where the two part; None when they are equal."""
    if expected == got:
        return None
    short = min(len(expected), len(got))
    offset = next((place for place in range(short) if expected[place] != got[place]), short)
    return Difference(offset, _excerpt(expected, offset), _excerpt(got, offset))


def _excerpt(body: bytes, offset: int) -> str:
    return body[offset : offset + EXCERPT].decode("utf-8", "backslashreplace").replace("\0", "\\x00")


def altered(body: bytes) -> Iterator[tuple[str, str, bytes]]:
    """(code, what was done to it in words, the result) of each known way to lose the bytes that were signed. Results
    that equal `body` are left out."""
    for code, words, result in _candidates(body):
        if result != body:
            yield code, words, result


def _candidates(body: bytes) -> Iterator[tuple[str, str, bytes]]:
    yield "body_empty", "you signed an empty body: something had read the request's stream before", b""
    changed = "body_changed"
    yield changed, "you added a line break at the end of the body", body + b"\n"
    yield changed, "you removed white space around the body", body.strip()
    yield (
        changed,
        "you turned the line breaks of the body into CR LF",
        body.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"),
    )
    yield changed, "you turned the line breaks of the body into LF", body.replace(b"\r\n", b"\n")
    yield changed, "you put a byte order mark before the body", b"\xef\xbb\xbf" + body
    yield changed, "you removed the byte order mark before the body", body.removeprefix(b"\xef\xbb\xbf")
    yield changed, "you read the body as Latin-1 instead of bytes or UTF-8", body.decode("latin-1").encode()
    yield (
        changed,
        "you lost the characters of the body that are not ASCII",
        body.decode("utf-8", "replace").encode("ascii", "replace"),
    )
    yield changed, "you signed Python's text form of the bytes (`str(body)`)", str(body).encode()
    yield "body_parsed", "you signed `[object Object]`: a parsed body turned into text", b"[object Object]"
    if len(body) <= _LARGEST:
        yield from _reserialised(body)


def _reserialised(body: bytes) -> Iterator[tuple[str, str, bytes]]:
    try:
        value = json.loads(body)
        yield "body_parsed", "you signed Python's text form of the parsed body (`str(data)`)", str(value).encode()
        for words, text in _written(value):
            yield "body_reserialised", f"you re-serialised the JSON ({words})", text.encode()
    except (ValueError, RecursionError, UnicodeError):
        return


def _written(value: Any) -> Iterator[tuple[str, str]]:
    compact = (",", ":")
    plain = json.dumps(value, separators=compact, ensure_ascii=False)
    escaped = json.dumps(value, separators=compact)
    sorted_plain = json.dumps(value, separators=compact, ensure_ascii=False, sort_keys=True)
    yield "as JSON.stringify writes it", plain
    yield "as Python's json.dumps writes it", json.dumps(value)
    yield "as Python's json.dumps with ensure_ascii=False writes it", json.dumps(value, ensure_ascii=False)
    yield "without spaces and with \\u escapes", escaped
    yield "as PHP's json_encode writes it", escaped.replace("/", "\\/")
    yield "as PHP's json_encode with JSON_UNESCAPED_UNICODE writes it", plain.replace("/", "\\/")
    yield "as Go's json.Marshal writes a map: sorted, with <, > and & escaped", _html_safe(sorted_plain)
    yield "with <, > and & escaped, as Go's json.Marshal does", _html_safe(plain)
    yield "with its keys sorted", sorted_plain
    yield "with its keys sorted, as Python's json.dumps does", json.dumps(value, sort_keys=True)
    for indent in (2, 4):
        yield f"indented by {indent}", json.dumps(value, indent=indent, ensure_ascii=False)
        yield f"indented by {indent} and with \\u escapes", json.dumps(value, indent=indent)


def _html_safe(text: str) -> str:
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text
