"""`sign`: DKIM-Signature fields for a finished message, relaxed/relaxed (RFC 6376 §3.5, §3.7).

Hot path: once per message. The body is hashed once for all keys; what is left over the private-key operation is a few
string operations on the header.
"""

from __future__ import annotations

import time
from base64 import b64encode
from collections.abc import Sequence
from functools import lru_cache
from hashlib import sha256

from penguinmails_sender.dkim.keys import DkimKey
from penguinmails_sender.dkim.relaxed import relaxed_body, relaxed_lines, relaxed_value

SIGNED_HEADERS = (
    "From", "To", "Cc", "Subject", "Date", "Message-ID", "Reply-To", "MIME-Version", "Content-Type",
    "Content-Transfer-Encoding", "List-Unsubscribe", "List-Unsubscribe-Post", "List-Id", "Feedback-ID", "In-Reply-To",
    "References",
)  # fmt: skip
"""What is signed when present (RFC 6376 §5.4.1; RFC 8058 §4 demands both List-Unsubscribe fields)."""

# By name as we write it and in lower case: (name for `h=`, start of the canonical field).
_SIGNED = {form: (name, name.lower().encode() + b":") for name in SIGNED_HEADERS
           for form in (name.encode(), name.lower().encode())}  # fmt: skip
_WIDTH = 76
_CHUNK = 74  # leaves room for ` b=`


def sign(raw: bytes, keys: Sequence[DkimKey], now: int | None = None) -> bytes:
    """`raw` with one DKIM-Signature per key in front, in the order of `keys`.

    `raw` is a message with CRLF line ends that no later hop may change; `now` is Unix seconds for `t=` (the current
    time when None). From is listed once more than it occurs, so that a second From added on the way breaks the
    signature. Raises ValueError when `raw` has no header or no From.
    """
    if not keys:
        return raw
    head, separator, body = raw.partition(b"\r\n\r\n")
    if not separator:
        raise ValueError("the message has no empty line after its header")
    names, signed = _signed_fields(head)
    body_hash = b64encode(sha256(relaxed_body(body)).digest())
    common = str(int(time.time()) if now is None else now).encode() + _tail(names)
    common += body_hash + b";\r\n b="
    fields = []
    for key in keys:
        value = key.prefix + common
        signature = key.sign_data(signed + b"dkim-signature:" + relaxed_value(value))
        fields.append(b"DKIM-Signature: " + value + _folded(b64encode(signature)) + b"\r\n")
    return b"".join((*fields, raw))


def _signed_fields(head: bytes) -> tuple[tuple[str, ...], bytes]:
    """(names for `h=`, canonical octets of those fields). Repeated fields are taken from the bottom up (§5.4.2)."""
    found: dict[str, list[bytes]] = {}
    for line in relaxed_lines(head).split(b"\r\n"):
        name, _, value = line.partition(b":")
        known = _SIGNED.get(name) or _SIGNED.get(name.rstrip(b" ").lower())
        if known is not None:
            field = known[1] + value.strip(b" ") + b"\r\n"
            if known[0] in found:
                found[known[0]].append(field)
            else:
                found[known[0]] = [field]
    if "From" not in found:
        raise ValueError("the message has no From header")
    names: list[str] = []
    chunks: list[bytes] = []
    for label in SIGNED_HEADERS:
        if (fields := found.get(label)) is not None:
            names += [label] * len(fields)
            chunks += reversed(fields)
    return tuple(names), b"".join(chunks)


@lru_cache(maxsize=256)
def _tail(names: tuple[str, ...]) -> bytes:
    """`; h=...; bh=` folded; there are few combinations of headers."""
    lines = [" h="]
    for name in (*names, "From"):
        if len(lines[-1]) + len(name) + 2 > _WIDTH:
            lines.append("  ")
        lines[-1] += name + ":"
    return (";\r\n" + "\r\n".join(lines)[:-1] + ";\r\n bh=").encode()


def _folded(signature: bytes) -> bytes:
    """White space inside `b=` is ignored (§3.5)."""
    if len(signature) <= _CHUNK:
        return signature
    return b"\r\n ".join([signature[start : start + _CHUNK] for start in range(0, len(signature), _CHUNK)])
