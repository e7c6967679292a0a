"""What is handed to a transport: who it is from, whom it is for, and the finished octets."""

from __future__ import annotations

import re
from dataclasses import dataclass

from penguinmails_sender.lanes.policy import ConnectionPolicy

_UNSAFE = re.compile(r"[\x00-\x1f\x7f]").search
_UNSAFE_UNQUOTED = re.compile(r"[\x00-\x20\x7f<>]").search


@dataclass(frozen=True, slots=True)
class Envelope:
    """One SMTP transaction. `envelope_sender` is the return path, empty for a bounce (`<>`). `content` is the signed
    message with CRLF line ends. `smtputf8` says that its header holds non-ASCII addresses (RFC 6531). `envelope_id`:
    what a server that knows DSN (RFC 3461) names in its reports, printable ASCII; it is asked to report failures and
    delays and to return the header only. `policy`: what the lane wants of the connection; transports to one fixed
    server have their own."""

    envelope_sender: str
    recipients: tuple[str, ...]
    content: bytes
    smtputf8: bool = False
    envelope_id: str | None = None
    policy: ConnectionPolicy | None = None


def is_safe_path(address: str) -> bool:
    """True when `<address>` cannot smuggle another command or parameter into the session."""
    quoted = address.startswith('"')
    return (_UNSAFE(address) if quoted else _UNSAFE_UNQUOTED(address)) is None and not _has_surrogate(address)


def _has_surrogate(address: str) -> bool:
    if address.isascii():
        return False
    try:
        address.encode()
    except UnicodeEncodeError:
        return True
    return False


_NOT_XTEXT = re.compile(r"[^!-*,-<>-~]")


def xtext(text: str) -> str:
    """`text` as a parameter's value (RFC 3461 §4); it has to be ASCII."""
    return _NOT_XTEXT.sub(lambda found: f"+{ord(found[0]):02X}", text)


def has_bare_line_ends(content: bytes) -> bool:
    """A lone CR or LF lets some servers see the end of the message where others do not (SMTP smuggling)."""
    pairs = content.count(b"\r\n")
    return content.count(b"\n") != pairs or content.count(b"\r") != pairs


def dot_stuffed(content: bytes) -> bytes:
    """`content` as DATA sends it (RFC 5321 §4.5.2): leading dots doubled, ended by CRLF `.` CRLF."""
    if b"\r\n." in content:
        content = content.replace(b"\r\n.", b"\r\n..")
    start = b"." if content.startswith(b".") else b""
    end = b".\r\n" if content.endswith(b"\r\n") or not content else b"\r\n.\r\n"
    return b"".join((start, content, end))
