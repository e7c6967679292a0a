"""Makes webhook workers that can be killed: everything is imported once, each worker is a fork that starts at once.

Reads settings as JSON on the first line of standard input; each further line asks for a worker and is answered with its
process id. Workers end with the nursery.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from contextlib import suppress

from redis.asyncio import Redis

from penguinmails_api.runtime.secrets import secret_box
from penguinmails_core.config import WebhookSettings
from penguinmails_core.kit.db import Database
from penguinmails_core.kit.doorbell import Doorbell
from penguinmails_webhooks.engine import WebhookEngine


async def work(settings: WebhookSettings) -> None:
    database = await Database.open(os.environ["DATABASE_URL"], pool_size=1, ingest_connections=1, worker_connections=4)
    doorbell = Doorbell(Redis.from_url(os.environ["REDIS_URL"]))
    await doorbell.start()
    await WebhookEngine(database, secret_box(os.environ["PENGUINMAILS_SECRET_KEYS"]), doorbell, settings).run()


def main() -> None:
    settings = WebhookSettings(**json.loads(sys.stdin.readline()))
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the dead need no burial
    children = []
    for _ in sys.stdin:
        child = os.fork()
        if not child:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            asyncio.run(work(settings))
            os._exit(0)
        children.append(child)
        print(child, flush=True)
    for child in children:
        with suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)


if __name__ == "__main__":
    main()
