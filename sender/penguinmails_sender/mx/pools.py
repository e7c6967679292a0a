"""Connections to many servers: a pool for each server, source address and kind of connection."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping

from penguinmails_sender.lanes.policy import ConnectionPolicy
from penguinmails_sender.mx.security import Demand
from penguinmails_sender.smtp import PoolLimits, SmtpOptions, SmtpPool, Timeouts

SMTP_PORT = 25
_SWEEP = 512  # pools


class Pools:
    """`hostname` is our name in EHLO. `ports` names the port of hosts that do not listen on `port` (tests). `idle` is
    how many seconds a silent connection is kept: large receivers dislike idle ones, so it is short. `verified_context`
    says whom to trust where certificates are checked, by default the system's authorities."""

    def __init__(
        self,
        hostname: str,
        *,
        port: int = SMTP_PORT,
        ports: Mapping[str, int] | None = None,
        allow_private: bool = False,
        timeouts: Timeouts | None = None,
        idle: float = 5.0,
        verified_context: ssl.SSLContext | None = None,
    ) -> None:
        self._hostname = hostname
        self._port = port
        self._ports = ports or {}
        self._allow_private = allow_private
        self._timeouts = timeouts or Timeouts()
        self._idle = idle
        self._verified_context = verified_context
        self._pools: dict[tuple[str, tuple[str, ...], str | None, Demand], SmtpPool] = {}
        self._by_host: dict[tuple[str, str | None], list[SmtpPool]] = {}
        self._sweep_at = _SWEEP

    def get(self, host: str, addresses: tuple[str, ...], policy: ConnectionPolicy, demand: Demand) -> SmtpPool:
        """The pool of connections to `host`, as the lane's `policy` and `demand` want them. Limits that a lane changes
        hold for what is open already."""
        key = (host, addresses, policy.source_address, demand)
        pool = self._pools.get(key)
        limits = PoolLimits(policy.max_connections, policy.messages_per_connection, self._idle)
        if pool is None:
            if len(self._pools) >= self._sweep_at:
                self._sweep()
            pool = self._pools[key] = SmtpPool(self._options(host, addresses, policy, demand), limits)
            self._by_host.setdefault((host, policy.source_address), []).append(pool)
        elif pool.limits != limits:
            pool.limits = limits
        return pool

    def has_idle(self, host: str, source_address: str | None) -> bool:
        """Whether a connection to `host` from there waits for work: then it is better than a new one to an equal host,
        which providers would count as one more."""
        return any(pool.idle for pool in self._by_host.get((host, source_address), ()))

    def _options(self, host: str, addresses: tuple[str, ...], policy: ConnectionPolicy, demand: Demand) -> SmtpOptions:
        return SmtpOptions(
            host,
            self._ports.get(host, self._port),
            hostname=self._hostname,
            tls=demand.tls,
            ssl_context=self._verified_context if demand.tls.verified else None,
            source_address=policy.source_address,
            timeouts=self._timeouts,
            addresses=addresses,
            allow_private=self._allow_private,
            check_peer=demand.check if demand.records else None,
            tls_source=demand.source,
        )

    def _sweep(self) -> None:
        """Forget pools that hold no connection; what they would have limited is nothing."""
        self._pools = {key: pool for key, pool in self._pools.items() if not pool.unused}
        self._by_host = {}
        for (host, _, source, _), pool in self._pools.items():
            self._by_host.setdefault((host, source), []).append(pool)
        self._sweep_at = max(_SWEEP, 2 * len(self._pools))

    async def aclose(self) -> None:
        pools, self._pools = list(self._pools.values()), {}
        await asyncio.gather(*[pool.aclose() for pool in pools])
