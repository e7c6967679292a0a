"""Any name server that takes dynamic updates (RFC 2136) signed with TSIG (RFC 8945): BIND, Knot, PowerDNS, ..."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import dns.asyncquery
import dns.exception
import dns.message
import dns.name
import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.tsig
import dns.update

from penguinmails_core.domains.changes import Action, Change, Existing
from penguinmails_core.domains.exports import TTL, character_strings
from penguinmails_core.domains.hosts.base import DnsHostError, ZoneChanged
from penguinmails_core.errors import FieldError, Unprocessable

_TYPES = ("TXT", "CNAME", "MX", "A", "AAAA")
_TIMEOUT = 10.0  # seconds for one exchange


@dataclass(frozen=True, slots=True)
class Rfc2136Host:
    """`address` was checked before: this connects to nothing else. `secret` is in base64."""

    address: str
    port: int
    zone: str
    key_name: str
    algorithm: str
    secret: str = field(repr=False)
    _seen: dict[tuple[str, str], list[Existing]] = field(default_factory=dict, init=False, repr=False)

    async def read(self, names: Sequence[str]) -> list[Existing]:
        found = []
        for name in dict.fromkeys(names):
            for kind in _TYPES:
                there = self._seen[name.lower(), kind] = await self._records(name, kind)
                found += there
        return found

    async def write(self, changes: Sequence[Change]) -> None:
        """All in one message, so all or nothing (§3.4). Its prerequisites say what was read: if that is not so any
        more, the server refuses. Raises `ZoneChanged` then."""
        update: Any = dns.update.UpdateMessage(dns.name.from_text(self.zone))
        update.use_tsig(self._keyring(), algorithm=dns.name.from_text(self.algorithm))
        for change in changes:
            name = dns.name.from_text(change.name)
            if change.action is Action.UPDATE and change.old is not None:
                old = _rdata(change.type, change.old)
                update.present(name, *self._set_of(change))
                update.delete(name, old)
            elif change.type == "CNAME":
                update.absent(name)
            update.add(name, TTL, _rdata(change.type, change.value))
        answer = await self._ask(update)
        code = answer.rcode()
        if code in (dns.rcode.YXDOMAIN, dns.rcode.YXRRSET, dns.rcode.NXRRSET, dns.rcode.NXDOMAIN):
            raise ZoneChanged("The zone has changed since it was read. Look at the changes again.")
        if code != dns.rcode.NOERROR:
            raise DnsHostError(f"The name server refused the update: {dns.rcode.to_text(code)}.")

    def _set_of(self, change: Change) -> list[Any]:
        """The record to replace with all of its type beside it: a prerequisite is about the whole set (§2.4.2)."""
        there = {one.value for one in self._seen.get((change.name.lower(), change.type), ())} | {change.old or ""}
        return [_rdata(change.type, value) for value in sorted(there)]

    async def _records(self, name: str, kind: str) -> list[Existing]:
        query = dns.message.make_query(name, kind, flags=0)
        query.use_tsig(self._keyring(), algorithm=dns.name.from_text(self.algorithm))
        answer = await self._ask(query)
        if answer.rcode() not in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
            raise DnsHostError(f"The name server refused to tell of {name}: {dns.rcode.to_text(answer.rcode())}.")
        return [
            Existing(kind, name.lower(), _text(record))
            for rrset in answer.answer
            if rrset.name == dns.name.from_text(name) and rrset.rdtype == dns.rdatatype.from_text(kind)
            for record in rrset
        ]

    def _keyring(self) -> dict[dns.name.Name, dns.tsig.Key]:
        name = dns.name.from_text(self.key_name)
        return {name: dns.tsig.Key(name, base64.b64decode(self.secret), dns.name.from_text(self.algorithm))}

    async def _ask(self, message: Any) -> Any:
        try:
            return await dns.asyncquery.tcp(message, self.address, port=self.port, timeout=_TIMEOUT)
        except dns.tsig.PeerError as error:
            raise DnsHostError(f"The name server does not accept the key ({type(error).__name__}).") from None
        except (dns.exception.DNSException, OSError, EOFError) as error:
            raise DnsHostError(f"The name server gave no usable answer ({type(error).__name__}).") from None


def check_name(text: str, pointer: str) -> None:
    """Raises `Unprocessable` for what is no domain name (RFC 1035 §2.3.4)."""
    try:
        dns.name.from_text(text)
    except dns.exception.DNSException:
        detail = f"`{text}` is not a domain name."
        raise Unprocessable(detail, errors=[FieldError(pointer, "invalid_name", detail)]) from None


def check_secret(secret: str, pointer: str) -> None:
    """Raises `Unprocessable` unless it is base64, as TSIG secrets are written."""
    try:
        base64.b64decode(secret, validate=True)
    except (binascii.Error, ValueError):
        detail = "The secret of a TSIG key is written in base64."
        raise Unprocessable(detail, errors=[FieldError(pointer, "invalid_base64", detail)]) from None


def _rdata(kind: str, value: str) -> Any:
    text = " ".join(character_strings(value)) if kind == "TXT" else f"{value.rstrip('.')}."
    return dns.rdata.from_text(dns.rdataclass.IN, dns.rdatatype.from_text(kind), text)


def _text(record: Any) -> str:
    if hasattr(record, "strings"):
        return b"".join(record.strings).decode("utf-8", "replace").replace("\0", "")
    return str(record.to_text()).rstrip(".").lower()
