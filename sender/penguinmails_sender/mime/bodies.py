"""Bodies: canonical CRLF line ends and the content transfer encoding that fits (RFC 2045 §6).

Every message passes here once per part, so all the work on octets is a handful of calls into C, whatever the size.
"""

from __future__ import annotations

import struct
from binascii import b2a_base64, b2a_qp
from functools import lru_cache
from operator import itemgetter

MAX_LINE = 998  # octets without CRLF, RFC 5322 §2.1.1

_TEXT = bytes(range(0x20, 0x7F)) + b"\t\r\n"
_TEXT_8BIT = _TEXT + bytes(range(0x80, 0x100))
_first = itemgetter(0)


def canonical(octets: bytes) -> bytes:
    """All line ends as CRLF: CRLF, lone CR and lone LF alike."""
    if b"\r" in octets:
        octets = octets.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    return octets.replace(b"\n", b"\r\n")


def encode_text(octets: bytes, allow_8bit: bool) -> tuple[str, bytes]:
    """(encoding name, encoded body) of canonical text.

    7bit if nothing on the way can harm it, 8bit if asked for, else quoted-printable or, for text that is mostly not
    ASCII, base64. `From ` at the start of a line counts as harm: mailbox formats change it and break signatures.
    """
    odd = octets.translate(None, _TEXT)
    if not odd:
        if _lines_fit(octets) and not _has_from_line(octets):
            return "7bit", octets
    elif allow_8bit and not odd.translate(None, _TEXT_8BIT) and _lines_fit(octets) and not _has_from_line(octets):
        return "8bit", octets
    # Quoted-printable costs two octets for each odd one, base64 a third of everything.
    if len(odd) * 6 > len(octets):
        return "base64", base64_lines(octets)
    return "quoted-printable", quoted_printable(octets)


def quoted_printable(octets: bytes) -> bytes:
    """RFC 2045 §6.7 on canonical text; the result has no line break of its own at the end."""
    # The CRLF that is added tells b2a_qp to write CRLF in soft breaks too and protects white space at the end.
    encoded = b2a_qp(octets + b"\r\n")[:-2]
    if b"From " in encoded:
        # A soft break inside the word never makes a line too long, unlike =46.
        encoded = encoded.replace(b"\nFrom ", b"\nF=\r\nrom ")
        if encoded.startswith(b"From "):
            encoded = b"F=\r\n" + encoded[1:]
    return encoded


def base64_lines(octets: bytes) -> bytes:
    """Base64 in lines of 76 (RFC 2045 §6.8), without a line break at the end."""
    encoded = b2a_base64(octets, newline=False)
    whole = len(encoded) // 76 * 76
    if whole == len(encoded):
        whole -= 76  # the last line is never empty
    if whole <= 0:
        return encoded
    lines = struct.iter_unpack("76s", memoryview(encoded)[:whole])
    return b"\r\n".join((*map(_first, lines), encoded[whole:]))


def is_safe_7bit(octets: bytes) -> bool:
    """True for canonical text that may travel as 7bit."""
    return not octets.translate(None, _TEXT) and _lines_fit(octets)


def _has_from_line(octets: bytes) -> bool:
    return b"From " in octets and (octets.startswith(b"From ") or b"\nFrom " in octets)


def _lines_fit(octets: bytes) -> bool:
    """True if no line is longer than 998. Leaps from the last line end of one window to the next window."""
    position, end = 0, len(octets)
    while end - position > MAX_LINE:
        newline = octets.rfind(b"\n", position, position + MAX_LINE + 2)
        if newline < 0:
            return False
        position = newline + 1
    return True


@lru_cache(maxsize=64)
def part_head(subtype: str, encoding: str) -> bytes:
    """MIME header lines of a text part, as octets ready to be joined."""
    return f"Content-Type: text/{subtype}; charset=utf-8\r\nContent-Transfer-Encoding: {encoding}\r\n".encode()
