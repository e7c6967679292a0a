"""Domains that say they take no mail (null MX, RFC 7505) are bounced at once, before any connection."""

from __future__ import annotations

import time
from collections import OrderedDict
from dataclasses import replace

from penguinmails_core.kit.dns import DnsError, Resolver, is_null_mx
from penguinmails_sender.smtp import Envelope, Outcome, RecipientResult
from penguinmails_sender.transports.base import Transport

_KEEP_SECONDS = 300.0
_MOST = 10_000


class NullMxGuard:
    """A transport around another. A resolver that does not answer stops nobody's mail: only a clear "no" counts."""

    def __init__(self, transport: Transport, resolver: Resolver) -> None:
        self._transport = transport
        self._resolver = resolver
        self._known: OrderedDict[str, tuple[float, bool]] = OrderedDict()

    @property
    def final(self) -> bool:
        return self._transport.final

    async def deliver(self, envelope: Envelope) -> list[RecipientResult]:
        """See `Transport.deliver`."""
        refused = {
            address: RecipientResult(
                address,
                Outcome.BOUNCED,
                None,
                "5.1.10",
                f"{domain} accepts no mail (null MX, RFC 7505)",
            )
            for address in envelope.recipients
            if await self._takes_none(domain := address.rpartition("@")[2].lower())
        }
        if not refused:
            return await self._transport.deliver(envelope)
        left = tuple(address for address in envelope.recipients if address not in refused)
        results = dict(refused)
        if left:
            rest = replace(envelope, recipients=left)
            results |= {result.address: result for result in await self._transport.deliver(rest)}
        return [results[address] for address in envelope.recipients]

    async def _takes_none(self, domain: str) -> bool:
        known = self._known.get(domain)
        if known is not None and known[0] > time.monotonic():
            return known[1]
        try:
            answer = is_null_mx(await self._resolver.mx(domain))
        except DnsError:
            return False
        self._known[domain] = (time.monotonic() + _KEEP_SECONDS, answer)
        if len(self._known) > _MOST:
            self._known.popitem(last=False)
        return answer

    async def aclose(self) -> None:
        await self._transport.aclose()
