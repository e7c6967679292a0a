"""The delivery engine in a process of its own, so that its memory and its processor time are its own.

Reads settings as JSON on the first line of standard input; then answers each further line with a JSON of its counters,
its memory (bytes, resident) and its processor time (seconds). Ends when standard input does.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import os
import sys
import time
from pathlib import Path

import uvloop

from penguinmails_api.runtime.secrets import secret_box
from penguinmails_core.config import WebhookSettings
from penguinmails_core.kit.db import Database
from penguinmails_core.kit.doorbell import Doorbell
from penguinmails_webhooks.engine import WebhookEngine


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")


async def main() -> None:
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    settings = WebhookSettings(**json.loads(await reader.readline()))
    database = await Database.open(os.environ["DATABASE_URL"], pool_size=1, worker_connections=6)
    engine = WebhookEngine(database, secret_box(os.environ["PENGUINMAILS_SECRET_KEYS"]), Doorbell(), settings)
    task = asyncio.create_task(engine.run())
    print("ready", flush=True)
    while await reader.readline():
        found = dataclasses.asdict(engine.counters) | {"rss": resident(), "cpu": time.process_time()}
        print(json.dumps(found), flush=True)
    await engine.stop(grace=0)
    await task
    await database.close()


if __name__ == "__main__":
    uvloop.run(main())
