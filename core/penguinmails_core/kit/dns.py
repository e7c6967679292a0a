"""DNS behind one small protocol, so that tests and the sandbox run in a world of their own.

An empty list means "the name exists, or is an alias, without such a record". A name that does not exist and a server
that does not answer are different news for mail (permanent and temporary), so both are exceptions.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Protocol, runtime_checkable

import dns.asyncresolver
import dns.exception
import dns.flags
import dns.name
import dns.rdatatype
import dns.resolver

MxRecord = tuple[int, str]


class Tlsa(NamedTuple):
    """A certificate association (RFC 6698 §2.1)."""

    usage: int
    selector: int
    matching: int
    data: bytes


class DnsError(Exception):
    """A lookup gave no answer. `name` is what was asked for."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"DNS lookup of {name!r}: {reason}")
        self.name = name
        self.reason = reason


class NameNotFound(DnsError):
    """The name does not exist (NXDOMAIN) or can never exist: permanent."""


class DnsUnavailable(DnsError):
    """No server gave a usable answer (time-out, SERVFAIL, no network): try again later."""


class Resolver(Protocol):
    """What the platform asks of DNS. Names are A-labels; a final dot is optional. All raise DnsError."""

    async def mx(self, domain: str) -> list[MxRecord]:
        """(preference, host) by rising preference; hosts in lower case without the final dot, "." for the root."""
        ...

    async def txt(self, name: str) -> list[bytes]:
        """Each record with its strings joined (RFC 7208 §3.3), in no particular order."""
        ...

    async def addresses(self, host: str) -> list[str]:
        """IPv4 addresses, then IPv6 ones; within a family in no particular order."""
        ...


class ValidatingResolver(Resolver, Protocol):
    """One whose servers validate DNSSEC and are reached on a way that nobody can forge answers on."""

    async def is_secure(self, name: str, kind: str) -> bool:
        """Whether DNSSEC vouches for the answer, also for that there is no such record. Raises DnsError."""
        ...

    async def tlsa(self, name: str) -> tuple[list[Tlsa], bool]:
        """The records, and whether DNSSEC vouches for them. Raises DnsError."""
        ...


Kind = Literal["A", "AAAA", "CNAME", "MX", "TXT"]


@dataclass(frozen=True, slots=True)
class Answer:
    """All that one question was answered with. `values` are in text (MX: ``10 mx.example.test``); `ttl` is in seconds:
    how long this answer may be kept, or, without values, how long "there is none" may be (RFC 2308 §5). None: unknown.
    `exists` is False for NXDOMAIN."""

    values: tuple[str, ...] = ()
    ttl: int | None = None
    exists: bool = True


@runtime_checkable
class AnsweringResolver(Protocol):
    """A resolver that also tells how long what it says holds."""

    async def answer(self, name: str, kind: Kind) -> Answer:
        """Raises `DnsUnavailable`; a name that does not exist is an answer."""
        ...


def is_null_mx(records: Sequence[MxRecord]) -> bool:
    """The domain says that it takes no mail: a single MX whose host is the root (RFC 7505 §3).

    The standard's preference is 0; any other is read the same way, as there is no host to deliver to. A root host
    beside other records is a mistake that RFC 7505 leaves to the ordinary rules, so it is not a null MX.
    """
    return len(records) == 1 and records[0][1] in (".", "")


class StaticResolver:
    """Answers from a table: `{"example.test": {"MX": [(10, "mx.example.test")], "TXT": [b"v=spf1 -all"],
    "A": ["127.0.0.1"], "AAAA": ["::1"]}}`. Names that are not in it do not exist; a DnsError in place of a list is
    raised. TXT records may be str. A table under the name "*" answers for every name that has none of its own.
    `"TLSA": [(3, 1, 1, digest)]` are certificate associations; DNSSEC vouches for a table that says `"SECURE": True`.
    """

    def __init__(self, records: Mapping[str, Mapping[str, Any]]) -> None:
        self._records = {_plain(name): dict(table) for name, table in records.items()}

    async def mx(self, domain: str) -> list[MxRecord]:
        return sorted((int(preference), _plain(host)) for preference, host in self._get(domain, "MX"))

    async def txt(self, name: str) -> list[bytes]:
        return [text.encode() if isinstance(text, str) else bytes(text) for text in self._get(name, "TXT")]

    async def addresses(self, host: str) -> list[str]:
        return [*self._get(host, "A"), *self._get(host, "AAAA")]

    async def answer(self, name: str, kind: Kind) -> Answer:
        """`TTL` in a name's table is that of all its records."""
        table = self._records.get(_plain(name), self._records.get("*"))
        if table is None:
            return Answer((), None, False)
        if kind == "CNAME":
            values = tuple(_plain(host) for host in self._get(name, "CNAME"))
        elif kind == "MX":
            values = tuple(f"{preference} {host}" for preference, host in await self.mx(name))
        elif kind == "TXT":
            values = tuple(_readable(text) for text in await self.txt(name))
        else:
            values = tuple(self._get(name, kind))
        return Answer(values, table.get("TTL"))

    async def is_secure(self, name: str, kind: str) -> bool:
        self._get(name, kind)
        return bool(self._table(name).get("SECURE"))

    async def tlsa(self, name: str) -> tuple[list[Tlsa], bool]:
        return [Tlsa(*record) for record in self._get(name, "TLSA")], bool(self._table(name).get("SECURE"))

    def _table(self, name: str) -> dict[str, Any]:
        table = self._records.get(_plain(name), self._records.get("*"))
        if table is None:
            raise NameNotFound(name, "the name does not exist")
        return table

    def _get(self, name: str, kind: str) -> Sequence[Any]:
        table = self._table(name)
        found: Sequence[Any] | DnsError = table.get(kind, ())
        if isinstance(found, DnsError):
            raise found
        return found


class SystemResolver:
    """Real DNS: the servers of the system's configuration, or `nameservers` (IP addresses) on `port`.

    `timeout` is in seconds for one lookup with all its retries. No search list is applied: `example` is `example.`.
    """

    def __init__(self, nameservers: Sequence[str] | None = None, port: int = 53, timeout: float = 5.0) -> None:
        self._nameservers = list(nameservers) if nameservers is not None else None
        self._port = port
        self._timeout = timeout
        self._resolver: dns.asyncresolver.Resolver | None = None

    async def mx(self, domain: str) -> list[MxRecord]:
        answer = await self._resolve(domain, "MX")
        return sorted((record.preference, _plain(record.exchange.to_text())) for record in answer)

    async def txt(self, name: str) -> list[bytes]:
        return [b"".join(record.strings) for record in await self._resolve(name, "TXT")]

    async def addresses(self, host: str) -> list[str]:
        found = [record.address for record in await self._resolve(host, "A")]
        found += [record.address for record in await self._resolve(host, "AAAA")]
        return found

    async def addresses_with_ttl(self, host: str) -> tuple[list[str], float]:
        """The addresses and for how many seconds they may be kept. Both families are asked at once, and one answer is
        enough: a name server that never answers for IPv6 must not make a host unreachable."""
        answers = await asyncio.gather(self._ask(host, "A"), self._ask(host, "AAAA"), return_exceptions=True)
        good = [answer for answer in answers if not isinstance(answer, BaseException)]
        found = [
            (record.address, answer.chaining_result.minimum_ttl) for answer in good for record in answer.rrset or ()
        ]
        for answer in answers:
            if isinstance(answer, BaseException) and (not found or not isinstance(answer, DnsError)):
                raise answer
        return [address for address, _ in found], float(min((ttl for _, ttl in found), default=0))

    async def is_secure(self, name: str, kind: str) -> bool:
        """What the server says by its AD flag (RFC 4035 §3.2.3): it has to be one that validates, on a safe way."""
        return _authentic(await self._ask(name, kind))

    async def tlsa(self, name: str) -> tuple[list[Tlsa], bool]:
        answer = await self._ask(name, "TLSA")
        records = [Tlsa(item.usage, item.selector, item.mtype, item.cert) for item in answer.rrset or ()]
        return records, _authentic(answer)

    async def answer(self, name: str, kind: Kind) -> Answer:
        try:
            found = await self._ask(name, kind)
        except NameNotFound as error:
            cause = error.__cause__
            gone: Any = cause if isinstance(cause, dns.resolver.NXDOMAIN) else None
            return Answer((), _negative_ttl(list(gone.responses().values()) if gone else []), False)
        if not found.rrset:
            return Answer((), _negative_ttl([found.response]))
        return Answer(tuple(_shown(record) for record in found.rrset), int(found.rrset.ttl))

    async def _resolve(self, name: str, kind: str) -> list[Any]:
        return list((await self._ask(name, kind)).rrset or ())

    async def _ask(self, name: str, kind: str) -> dns.resolver.Answer:
        try:
            return await self._client().resolve(
                dns.name.from_text(name), kind, search=False, lifetime=self._timeout, raise_on_no_answer=False
            )
        except dns.resolver.NXDOMAIN as error:
            raise NameNotFound(name, "the name does not exist") from error
        except (dns.name.LabelTooLong, dns.name.NameTooLong, dns.name.EmptyLabel, dns.name.BadEscape) as error:
            raise NameNotFound(name, f"not a domain name ({error})") from None
        except (dns.exception.DNSException, OSError) as error:
            raise DnsUnavailable(name, f"no usable answer ({type(error).__name__})") from error

    def _client(self) -> dns.asyncresolver.Resolver:
        """Made at the first lookup: reading the system's configuration may fail, and then only lookups should."""
        if self._resolver is None:
            resolver = dns.asyncresolver.Resolver(configure=self._nameservers is None)
            if self._nameservers is not None:
                resolver.nameservers = self._nameservers
            resolver.port = self._port
            resolver.timeout = min(2.0, self._timeout)
            # AD in a question: "tell me whether you have validated the answer" (RFC 6840 §5.7).
            resolver.flags = dns.flags.RD | dns.flags.AD
            self._resolver = resolver
        return self._resolver


def _authentic(answer: dns.resolver.Answer) -> bool:
    return bool(answer.response.flags & dns.flags.AD)


def _shown(record: Any) -> str:
    if hasattr(record, "strings"):
        return _readable(b"".join(record.strings))
    if hasattr(record, "exchange"):
        return f"{record.preference} {_plain(record.exchange.to_text())}"
    return _plain(record.to_text())


def _readable(text: bytes) -> str:
    return text.decode("utf-8", "replace").replace("\0", "")


def _negative_ttl(responses: Sequence[Any]) -> int | None:
    """The lesser of the SOA's own TTL and its `minimum` (RFC 2308 §5)."""
    for response in responses:
        for rrset in response.authority:
            if rrset.rdtype == dns.rdatatype.SOA:
                return int(min(rrset.ttl, rrset[0].minimum))
    return None


def _plain(name: str) -> str:
    return name.lower().rstrip(".") or "."
