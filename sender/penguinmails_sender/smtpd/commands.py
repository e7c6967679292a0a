"""MAIL and RCPT lines: the address and the parameters (RFC 5321 §4.1.1.2, §4.1.1.3)."""

from __future__ import annotations

import re
from dataclasses import dataclass

# A quoted local part may hold ">" (RFC 5321 §4.1.2).
_PATH = r'[ ]?<((?:"(?:[^"\\]|\\.)*"|[^<>"])*)>(.*)'
_MAIL = re.compile("FROM:" + _PATH, re.IGNORECASE | re.DOTALL).fullmatch
_RCPT = re.compile("TO:" + _PATH, re.IGNORECASE | re.DOTALL).fullmatch
_MAX_ADDRESS = 254 + 64  # RFC 5321 §4.5.3.1: generous, a capture inbox should show what was sent


class CommandError(Exception):
    """A command that is refused; `reply` is the whole SMTP reply."""

    def __init__(self, reply: str) -> None:
        super().__init__(reply)
        self.reply = reply


@dataclass(frozen=True, slots=True)
class Mail:
    """The sender of a MAIL command: `address` is empty for the null sender ``<>``."""

    address: str
    smtputf8: bool


def parse_mail(rest: str, max_size: int) -> Mail:
    """What follows ``MAIL``. Raises CommandError (501, 552, 553 or 555)."""
    match = _MAIL(rest)
    if match is None:
        raise CommandError("501 5.5.4 Syntax: MAIL FROM:<address>")
    address, tail = match[1], match[2]
    smtputf8 = False
    for parameter in tail.split():
        name, _, value = parameter.partition("=")
        match name.upper():
            case "SIZE" if value.isascii() and value.isdigit() and len(value) <= 20:
                if int(value) > max_size:
                    raise CommandError(f"552 5.3.4 The message is larger than {max_size} bytes")
            case "BODY" if value.upper() in ("7BIT", "8BITMIME"):
                pass
            case "SMTPUTF8" if not value:
                smtputf8 = True
            case _:
                raise CommandError("555 5.5.4 A parameter of MAIL FROM is not supported")
    if address:
        _check(address, smtputf8, "501 5.1.7 The sender is not a valid address")
    return Mail(address, smtputf8)


def parse_rcpt(rest: str, smtputf8: bool) -> str:
    """The address of what follows ``RCPT``. Raises CommandError (501, 553 or 555)."""
    match = _RCPT(rest)
    if match is None:
        raise CommandError("501 5.5.4 Syntax: RCPT TO:<address>")
    if match[2].strip():
        raise CommandError("555 5.5.4 A parameter of RCPT TO is not supported")
    _check(match[1], smtputf8, "501 5.1.3 The recipient is not a valid address")
    return match[1]


def _check(address: str, smtputf8: bool, refusal: str) -> None:
    local, at, domain = address.rpartition("@")
    bare_postmaster = address.lower() == "postmaster"  # RFC 5321 §4.5.1: the one name without a domain
    if len(address) > _MAX_ADDRESS or not address.isprintable() or not (bare_postmaster or (local and at and domain)):
        raise CommandError(refusal)
    if not smtputf8 and not address.isascii():
        raise CommandError("553 5.6.7 The address needs SMTPUTF8 in MAIL FROM")
