"""To the recipient's own servers, with the answer of each for each recipient."""

from __future__ import annotations

import asyncio
import random
from dataclasses import replace

from penguinmails_sender.lanes.policy import ConnectionPolicy
from penguinmails_sender.mx.pools import Pools
from penguinmails_sender.mx.routes import NoRoute, Route, Routes
from penguinmails_sender.mx.security import Security
from penguinmails_sender.smtp import Envelope, Outcome, RecipientResult, TlsPolicy
from penguinmails_sender.smtp.connection import SmtpError
from penguinmails_sender.smtp.pool import unreachable

_MOST_HOSTS = 5
_MOST_REFUSALS = 2  # hosts that were reached and did not want to talk: they tend to be one system


class DirectMxTransport:
    """Implements `Transport`. `policy` is for mail whose lane says nothing. Raises ValueError for one that is none.

    A host that cannot be reached, that greets with a refusal or that hangs up without a word is followed by the next;
    what a server says about a recipient is final for this attempt, since a retry at its backup would be taken for a
    trick (and a 4yz of greylisting wants time, not another host).
    """

    final = True

    def __init__(
        self,
        routes: Routes,
        pools: Pools,
        policy: ConnectionPolicy | None = None,
        security: Security | None = None,
        *,
        rng: random.Random | None = None,
    ) -> None:
        self._routes = routes
        self._pools = pools
        self._security = security or Security()
        self._policy = policy or ConnectionPolicy()
        _lane_tls(self._policy)
        self._rng = rng or random.Random()

    async def deliver(self, envelope: Envelope) -> list[RecipientResult]:
        """See `Transport.deliver`. Recipients of one domain share a transaction; domains are served side by side."""
        domains: dict[str, list[str]] = {}
        for address in envelope.recipients:
            domains.setdefault(address.rpartition("@")[2].lower(), []).append(address)
        if len(domains) == 1:
            return await self._to_domain(next(iter(domains)), envelope)
        parts = await asyncio.gather(
            *[
                self._to_domain(domain, replace(envelope, recipients=tuple(addresses)))
                for domain, addresses in domains.items()
            ]
        )
        results = {result.address: result for part in parts for result in part}
        return [results[address] for address in envelope.recipients]

    async def _to_domain(self, domain: str, envelope: Envelope) -> list[RecipientResult]:
        try:
            route = await self._routes.route(domain)
        except NoRoute as problem:
            return _nowhere(envelope, problem)
        return await self._along(route, envelope)

    async def _along(self, route: Route, envelope: Envelope) -> list[RecipientResult]:
        results: dict[str, RecipientResult] = {}
        left, refusals = envelope, 0
        policy = envelope.policy or self._policy
        try:
            lane = _lane_tls(policy)
        except ValueError as error:
            return _nowhere(envelope, NoRoute(Outcome.DEFERRED, "4.3.5", f"the lane's policy cannot be used: {error}"))
        for host in self._order(route, policy):
            try:
                demand = await self._security.demand(route, host, lane)
                pool = self._pools.get(host, await self._routes.addresses(host), policy, demand)
                found = await pool.attempt(left)
            except NoRoute as problem:
                # A host that is not there says nothing about one that only did not answer.
                for result in _nowhere(left, problem, host):
                    if result.outcome is Outcome.DEFERRED or result.address not in results:
                        results[result.address] = result
                continue
            except SmtpError as error:
                found = unreachable(left, error, host, pool.options.tls_source)
                results.update((result.address, result) for result in found)
                refusals += error.reply is not None
                if refusals == _MOST_REFUSALS:
                    break
                continue
            results.update((result.address, result) for result in found)
            unheard = tuple(
                result.address for result in found if result.outcome is Outcome.DEFERRED and result.code is None
            )
            if not unheard:
                break
            left = replace(left, recipients=unheard)
        return [results[address] for address in envelope.recipients]

    def _order(self, route: Route, policy: ConnectionPolicy) -> list[str]:
        """Equal hosts at random, but before them one of the best to which a connection is open."""
        hosts = route.order(self._rng)[:_MOST_HOSTS]
        best = route.tiers[0]
        if len(best) > 1:
            hosts.sort(key=lambda host: not (host in best and self._pools.has_idle(host, policy.source_address)))
        return hosts

    async def aclose(self) -> None:
        """Say goodbye on idle connections; `deliver` must not be called any more."""
        await self._pools.aclose()


def _lane_tls(policy: ConnectionPolicy) -> TlsPolicy:
    """Raises ValueError for a policy that is none."""
    tls = TlsPolicy(policy.tls)
    if tls is TlsPolicy.IMPLICIT:
        raise ValueError("tls: mail servers are not spoken to in implicit TLS")
    return tls


def _nowhere(envelope: Envelope, problem: NoRoute, host: str = "") -> list[RecipientResult]:
    return [
        RecipientResult(address, problem.outcome, None, problem.enhanced_code, problem.text, host)
        for address in envelope.recipients
    ]
