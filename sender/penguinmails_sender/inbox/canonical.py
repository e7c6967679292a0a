"""The bytes that a DKIM signature covers: splitting and canonicalization (RFC 6376 §3.4, §3.7)."""

from __future__ import annotations

import re

_WSP_RUN = re.compile(rb"[ \t]+")
_FOLD = re.compile(rb"\r\n(?=[ \t])")
_B_VALUE = re.compile(rb"(\A[^:]*:|;)([ \t\r\n]*b[ \t\r\n]*=)[^;]*")


def split_message(raw: bytes) -> tuple[bytes, bytes]:
    """Header and body; the empty line between them belongs to neither."""
    if raw.startswith(b"\r\n"):
        return b"", raw[2:]
    head, _, body = raw.partition(b"\r\n\r\n")
    return head, body


def split_fields(head: bytes) -> list[tuple[bytes, bytes]]:
    """``(name in lower case, the field as it stands without the last CRLF)``, top down. Other lines are skipped."""
    fields: list[tuple[bytes, bytes]] = []
    for line in re.split(rb"\r\n(?![ \t])", head):
        name, colon, _ = line.partition(b":")
        if colon and line[:1] not in b" \t":
            fields.append((name.strip().lower(), line))
    return fields


def canonical_body(body: bytes, mode: str) -> bytes:
    if mode == "relaxed":
        body = b"\r\n".join([_WSP_RUN.sub(b" ", line).rstrip(b" ") for line in body.split(b"\r\n")])
    end = len(body)
    while body.endswith(b"\r\n", 0, end):
        end -= 2
    if end == 0:
        return b"" if mode == "relaxed" else b"\r\n"
    return body[:end] + b"\r\n"


def canonical_header(field: bytes, mode: str) -> bytes:
    """A field without a trailing CRLF."""
    if mode == "simple":
        return field
    name, _, value = field.partition(b":")
    value = _WSP_RUN.sub(b" ", _FOLD.sub(b"", value))
    return name.strip(b" \t\r\n").lower() + b":" + value.strip(b" \t\r\n")


def signed_headers(signature: bytes, fields: list[tuple[bytes, bytes]], tags: dict[str, str], mode: str) -> bytes:
    """What the signature covers: the fields of h= (each name from the bottom up), then itself with b= empty."""
    by_name: dict[bytes, list[bytes]] = {}
    for name, field in fields:
        by_name.setdefault(name, []).append(field)
    lines: list[bytes] = []
    for signed in tags["h"].split(":"):
        left = by_name.get(signed.strip().lower().encode("utf-8", "replace"))
        if left:
            lines.append(canonical_header(left.pop(), mode) + b"\r\n")
    lines.append(canonical_header(_B_VALUE.sub(rb"\1\2", signature, count=1), mode))
    return b"".join(lines)
