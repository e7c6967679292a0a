"""Endpoints that were disabled because they failed are tried again, ever more rarely, and enabled when they answer.

A probe is a `webhook.test` event, signed as any other, and shows among the endpoint's deliveries. What users have
disabled, and what has answered 410, is left alone.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from datetime import timedelta

from penguinmails_core.kit.db import Pool
from penguinmails_webhooks import probes_repository as repository
from penguinmails_webhooks.delivery import Sender
from penguinmails_webhooks.policy import Policy, next_probe
from penguinmails_webhooks.probes_repository import Probe
from penguinmails_webhooks.records import Outcome

log = logging.getLogger(__name__)

MESSAGE = "This endpoint was disabled because it failed. It is enabled again when it answers this with 2xx."
_AT_ONCE = 20


class Prober:
    """`lease`: after which a probe of a worker that died is made again."""

    def __init__(self, pool: Pool, sender: Sender, policy: Policy, lease: timedelta) -> None:
        self._pool = pool
        self._sender = sender
        self._policy = policy
        self._lease = lease
        self.enabled = 0

    async def round(self) -> int:
        """Try what is due to be tried; returns how many endpoints were."""
        async with self._pool.acquire() as connection, connection.transaction():
            probes = await repository.begin(connection, _AT_ONCE, self._lease, MESSAGE)
        if not probes:
            return 0
        outcomes = await asyncio.gather(*(self._sender.attempt(probe.delivery) for probe in probes))
        await self._finish(probes, outcomes)
        return len(probes)

    async def _finish(self, probes: Sequence[Probe], outcomes: Sequence[Outcome]) -> None:
        for probe, outcome in sorted(zip(probes, outcomes, strict=True), key=lambda pair: pair[0].delivery.key):
            async with self._pool.acquire() as connection, connection.transaction():
                await repository.record(connection, outcome)
                if outcome.status == "delivered":
                    if await repository.enable(connection, probe):
                        self.enabled += 1
                        log.info("webhook endpoint %s answers again and was enabled", probe.delivery.key[1])
                elif outcome.disable == "gone":
                    await repository.give_up(connection, probe, gone=True)
                else:
                    wait = next_probe(probe.number, probe.disabled_for, self._policy)
                    if wait is None:
                        await repository.give_up(connection, probe, gone=False)
                    else:
                        await repository.put_off(connection, probe, wait)
