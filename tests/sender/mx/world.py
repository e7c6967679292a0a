"""Mail servers on loopback addresses of their own, all on one port, and a DNS that knows them."""

from __future__ import annotations

import random
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from penguinmails_core.kit.dns import StaticResolver
from penguinmails_sender.lanes.policy import ConnectionPolicy
from penguinmails_sender.mx.pools import Pools
from penguinmails_sender.mx.routes import Routes
from penguinmails_sender.mx.security import Security
from penguinmails_sender.smtp import Timeouts
from penguinmails_sender.transports import DirectMxTransport
from tests.sender.smtp.scripted_server import ScriptedServer, running

QUICK = Timeouts(connect=5, tls=5, greeting=5, command=5, data=5, block=5, final=5, quit=1)
PLAIN = ConnectionPolicy(tls="off")


def free_port() -> int:
    """A port that is free on every loopback address."""
    with socket.socket() as probe:
        probe.bind(("0.0.0.0", 0))
        port: int = probe.getsockname()[1]
        return port


@asynccontextmanager
async def direct(
    servers: Mapping[str, ScriptedServer],
    records: Any,
    policy: ConnectionPolicy = PLAIN,
    security: Security | None = None,
    *,
    allow_private: bool = True,
    own_names: tuple[str, ...] = ("me.test",),
    seed: int = 1,
    **options: Any,
) -> AsyncIterator[DirectMxTransport]:
    """`servers` by the address that they listen on."""
    port = free_port()
    async with AsyncExitStack() as stack:
        for address, server in servers.items():
            await stack.enter_async_context(running(server, address=address, port=port))
        transport = DirectMxTransport(
            Routes(StaticResolver(records), own_names=own_names, allow_private=allow_private),
            Pools("me.test", port=port, allow_private=allow_private, timeouts=QUICK, **options),
            policy,
            security,
            rng=random.Random(seed),
        )
        try:
            yield transport
        finally:
            await transport.aclose()
