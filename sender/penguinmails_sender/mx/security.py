"""How safe the connection to a server has to be: what the lane asks, and what the recipient's domain asks by DANE or
MTA-STS. They may ask for more than the lane, never for less."""

from __future__ import annotations

import ssl
from dataclasses import dataclass

from penguinmails_core.kit.dns import DnsError, NameNotFound, Tlsa, ValidatingResolver
from penguinmails_sender.mx.dane import check_chain, shown_chain, usable
from penguinmails_sender.mx.mta_sts import MtaSts
from penguinmails_sender.mx.routes import NoRoute, Remembered, Route
from penguinmails_sender.smtp import Outcome, TlsPolicy

_RANK = {TlsPolicy.OFF: 0, TlsPolicy.OPPORTUNISTIC: 1, TlsPolicy.ENCRYPTED: 2, TlsPolicy.REQUIRED: 3}


@dataclass(frozen=True, slots=True)
class Demand:
    """`source`: who asked, `lane`, `mta-sts`, `mta-sts-testing` or `dane`. `records`: with DANE, one of them has to
    match; `names`: whom the certificate may name then."""

    tls: TlsPolicy
    source: str = "lane"
    records: tuple[Tlsa, ...] = ()
    names: tuple[str, ...] = ()

    def check(self, connection: ssl.SSLObject | ssl.SSLSocket) -> str | None:
        """Why the peer of a finished handshake is not who it should be; None when it is."""
        return check_chain(shown_chain(connection), self.records, self.names) if self.records else None


class Security:
    """`sts` None: no MTA-STS. `resolver` None: no DANE; otherwise its word on DNSSEC is taken, so it has to validate,
    and the way to it has to be safe (on this machine, as a rule)."""

    def __init__(
        self, sts: MtaSts | None = None, resolver: ValidatingResolver | None = None, *, port: int = 25
    ) -> None:
        self._sts = sts
        self._resolver = resolver
        self._port = port
        self._pins: Remembered[tuple[Tlsa, ...] | None] = Remembered(self._find_pins)
        self._vouched: Remembered[bool] = Remembered(self._is_vouched)

    async def demand(self, route: Route, host: str, lane: TlsPolicy) -> Demand:
        """For one server of a route. Raises NoRoute when the server must not be used now."""
        pins = await self._pinned(route, host)
        if pins is not None:
            # Records that DNSSEC vouches for but nobody can use still say that there is TLS (RFC 7672 §2.2).
            tls = max(lane, TlsPolicy.ENCRYPTED, key=_RANK.__getitem__)
            return Demand(TlsPolicy.ENCRYPTED if pins else tls, "dane", pins, (host, route.domain))
        policy = await self._sts.policy(route.domain) if self._sts is not None and not route.implicit else None
        if policy is None or policy.mode == "none":
            return Demand(lane)
        if policy.mode == "testing":
            return Demand(lane, "mta-sts-testing")
        if not policy.names(host):
            text = f"{host} is not among the mail servers that {route.domain} names in its MTA-STS policy"
            raise NoRoute(Outcome.DEFERRED, "4.7.5", text)
        return Demand(TlsPolicy.REQUIRED, "mta-sts")

    async def _pinned(self, route: Route, host: str) -> tuple[Tlsa, ...] | None:
        """The usable TLSA records of a server; None where DANE says nothing."""
        if self._resolver is None:
            return None
        if not await self._vouched.get(f"{'A' if route.implicit else 'MX'} {route.domain}"):
            return None
        return await self._pins.get(host)

    async def _is_vouched(self, question: str) -> bool:
        assert self._resolver is not None
        kind, _, name = question.partition(" ")
        try:
            return await self._resolver.is_secure(name, kind)
        except DnsError:
            return False  # the route was found a moment ago; without a word about DNSSEC it is an ordinary one

    async def _find_pins(self, host: str) -> tuple[Tlsa, ...] | None:
        assert self._resolver is not None
        try:
            # Addresses first: where they are not secure, some broken servers give no answer about TLSA (§2.2.2).
            if not await self._resolver.is_secure(host, "A"):
                return None
            records, secure = await self._resolver.tlsa(f"_{self._port}._tcp.{host}")
        except NameNotFound:
            return None
        except DnsError:
            text = f"DNS gives no answer about the DANE records of {host}"
            raise NoRoute(Outcome.DEFERRED, "4.7.5", text) from None
        return usable(records) if secure and records else None
