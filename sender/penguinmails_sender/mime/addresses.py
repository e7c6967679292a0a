"""Address fields (RFC 5322 §3.4): display names as atoms, quoted strings or encoded words; domains in A-labels."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from penguinmails_core.kit.addresses import AddressError, to_ascii
from penguinmails_sender.message import Mailbox
from penguinmails_sender.mime.errors import MimeError, refuse_controls, utf8
from penguinmails_sender.mime.headers import MAX_LINE, WIDTH, Line

_ATEXT = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~\-\x80-\U0010ffff]"
_ADDRESS = re.compile(
    rf'(?:{_ATEXT}++(?:\.{_ATEXT}++)*+|"(?:[ !#-\[\]-~\x80-\U0010ffff]|\\[ -~])*+")'
    r"@[^\x00-\x20()<>,;:\\\"\[\]@\x7f]++"
).fullmatch
_ATOMS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?: [A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*").fullmatch
_QUOTABLE = re.compile(r"[!-~]+(?: [!-~]+)*").fullmatch
_NAME_WORD = re.compile(r" ?[^ ]+").findall


def address_header(name: str, mailboxes: Sequence[Mailbox], field: str) -> str:
    """`name: mailbox, mailbox` folded, without the final CRLF. Raises MimeError naming `field` or `field[i].name`."""
    if len(mailboxes) == 1:
        mailbox = mailboxes[0]
        if (plain := _plain(mailbox.address, mailbox.name)) is not None and len(name) + len(plain) <= WIDTH - 2:
            return f"{name}: {plain}"
    line = Line(f"{name}:")
    last = len(mailboxes) - 1
    for index, mailbox in enumerate(mailboxes):
        where = field if last == 0 else f"{field}[{index}]"
        _write(line, mailbox, where, "" if index == last else ",")
    if line.longest > MAX_LINE:
        raise MimeError(field, f"an address or a word of a name is longer than a line may be ({MAX_LINE} octets)")
    return line.text()


@lru_cache(maxsize=4096)
def _plain(address: str, name: str | None) -> str | None:
    """The mailbox on one line if nothing needs encoding, else None. Cached: the sender of a campaign is the same in
    every message, and checking costs more than all the rest of the field."""
    if not address.isascii() or _ADDRESS(address) is None:
        return None
    if not name:
        return address
    if "=?" in name or _QUOTABLE(name) is None:
        return None
    return f"{_phrase(name)} <{address}>"


def _phrase(name: str) -> str:
    if _ATOMS(name) is not None:
        return name
    return '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _write(line: Line, mailbox: Mailbox, field: str, comma: str) -> None:
    address = wire_address(mailbox.address, field)
    name = mailbox.name
    if not name:
        line.word(f" {address}{comma}")
        return
    refuse_controls(name, f"{field}.name")
    utf8(name, f"{field}.name")
    if "=?" not in name and _QUOTABLE(name) is not None:
        phrase = _phrase(name)
        if max(map(len, phrase.split(" "))) < WIDTH:
            for word in _NAME_WORD(" " + phrase):
                line.word(word)
            line.word(f" <{address}>{comma}")
            return
    line.encoded(name)
    line.word(f" <{address}>{comma}")


def wire_address(address: str, field: str) -> str:
    """The address as it stands in a header: A-labels, unless a non-ASCII local part needs SMTPUTF8 anyway (RFC 6532).
    Raises MimeError."""
    refuse_controls(address, field)
    utf8(address, field)
    if _ADDRESS(address) is None:
        raise MimeError(field, "this is not an address of the form name@example.com")
    local, _, domain = address.rpartition("@")
    if domain.isascii() or not local.isascii():
        return address
    try:
        return f"{local}@{to_ascii(domain)}"
    except AddressError as error:
        raise MimeError(field, error.detail) from None
