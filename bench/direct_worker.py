"""The sender with direct delivery in a process of its own, in a DNS where every domain's mail goes to one sink.

Reads {"port": of the sink} as JSON on the first line of standard input; sends until standard input ends.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from typing import Any

import uvloop

from penguinmails_api.runtime.secrets import secret_box
from penguinmails_api.runtime.server import calm_collector
from penguinmails_core.config import ContentSettings, SenderSettings
from penguinmails_core.content.service import ContentService
from penguinmails_core.kit.db import Database
from penguinmails_core.kit.dns import StaticResolver
from penguinmails_core.kit.doorbell import Doorbell
from penguinmails_sender.engine.engine import SenderEngine
from penguinmails_sender.lanes.policy import ConnectionPolicy
from penguinmails_sender.mx.pools import Pools
from penguinmails_sender.mx.routes import Routes
from penguinmails_sender.transports import DirectMxTransport, SimulatedTransport

DNS: dict[str, dict[str, Any]] = {"*": {"MX": [(10, "mx.example.com")]}, "mx.example.com": {"A": ["127.0.0.1"]}}


async def main() -> None:
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    job = json.loads(await reader.readline())
    database = await Database.open(os.environ["DATABASE_URL"], pool_size=1, worker_connections=4)
    direct = DirectMxTransport(
        Routes(StaticResolver(DNS), allow_private=True),
        Pools("mail.acme.test", port=job["port"], allow_private=True),
        ConnectionPolicy(tls="off", max_connections=10, messages_per_connection=1000),
    )
    engine = SenderEngine(
        database,
        await ContentService.open(database, ContentSettings()),
        {"live": direct, "test": SimulatedTransport()},
        secret_box(os.environ["PENGUINMAILS_SECRET_KEYS"]),
        Doorbell(),
        SenderSettings(),
        f"bench:{os.getpid()}",
    )
    calm_collector()
    task = asyncio.create_task(engine.run())
    print("ready", flush=True)
    while await reader.readline():
        pass
    await engine.stop()
    await task
    await direct.aclose()
    await database.close()


if __name__ == "__main__":
    uvloop.run(main())
