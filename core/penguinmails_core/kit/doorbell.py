"""The doorbell: "there is work" over Redis/Valkey, so that workers need not poll fast.

A ring carries no data and may be lost; PostgreSQL holds the truth, and every waiter also wakes by its own timeout.
Without Redis the bell still rings inside the process.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import RedisError

from penguinmails_core.kit import dry_run
from penguinmails_core.kit.tasks import end

log = logging.getLogger(__name__)

MAIL = "mail"  # a recipient is due
EVENTS = "events"  # the event log grew
WEBHOOKS = "webhooks"  # a delivery is due
INBOUND = "inbound"  # a received message waits for its handlers
REPLAYS = "replays"  # a replay of webhooks was asked for
KEYS = "keys"  # an API key changed: caches forget
LIMITS = "limits"  # a plan, an override or a reputation changed: caches forget
TOKENS = "tokens"  # a grant was revoked: caches forget

_PREFIX = "penguinmails:bell:"


class Doorbell:
    """`ring` never waits and never fails; `wait` returns on a ring or after the timeout."""

    def __init__(self, redis: Redis | None = None) -> None:
        self._redis = redis
        self._events: dict[str, asyncio.Event] = defaultdict(asyncio.Event)
        self._bells: dict[str, list[asyncio.Event]] = defaultdict(list)
        self._pending: set[str] = set()
        self._task: asyncio.Task[None] | None = None
        self._flush: asyncio.Task[None] | None = None

    async def start(self) -> None:
        if self._redis is not None and self._task is None:
            self._task = asyncio.create_task(self._listen(self._redis), name="doorbell")

    async def stop(self) -> None:
        await end(self._task, self._flush)
        self._task = self._flush = None

    def ring(self, *channels: str) -> None:
        """Wake waiters here at once and in other processes soon; rings of one loop turn become one round trip. A
        rehearsal rings nothing."""
        if dry_run.active():
            return
        for channel in channels:
            self._sound(channel)
        if self._redis is not None:
            self._pending.update(channels)
            if self._flush is None or self._flush.done():
                self._flush = asyncio.get_running_loop().create_task(self._publish(self._redis))

    async def flush(self) -> None:
        """Wait until all rings have left for other processes (or Redis is away): before a short-lived process ends."""
        if self._flush is not None:
            await asyncio.wait([self._flush])

    def bell(self, *channels: str) -> asyncio.Event:
        """Set by every ring on these channels, until whoever asked for it clears it. Of those who `wait` on the same
        channel in one process, one may clear what another has not seen yet; nobody else clears this one."""
        bell = asyncio.Event()
        for channel in channels:
            self._bells[channel].append(bell)
        return bell

    def _sound(self, channel: str) -> None:
        self._events[channel].set()
        for bell in self._bells.get(channel, ()):
            bell.set()

    async def wait(self, channel: str, seconds: float) -> bool:
        """True when rung. A ring that came before the call counts, so none is missed between look and wait."""
        event = self._events[channel]
        try:
            await asyncio.wait_for(event.wait(), seconds)
        except TimeoutError:
            return False
        event.clear()
        return True

    async def _publish(self, redis: Redis) -> None:
        while self._pending:
            channels, self._pending = self._pending, set()
            try:
                async with redis.pipeline(transaction=False) as pipe:
                    for channel in channels:
                        pipe.publish(_PREFIX + channel, b"")
                    await pipe.execute()
            except (RedisError, OSError):
                return  # the waiters' timeouts take over

    async def _listen(self, redis: Redis) -> None:
        while True:
            try:
                await self._subscribe(redis)
            except (RedisError, OSError) as error:
                log.warning("doorbell: Redis is away (%s); polling until it is back", type(error).__name__)
            await asyncio.sleep(1)

    async def _subscribe(self, redis: Redis) -> None:
        pubsub: Any = redis.pubsub(ignore_subscribe_messages=True)
        try:
            await pubsub.psubscribe(_PREFIX + "*")
            async for message in pubsub.listen():
                channel = message["channel"]
                name = channel.decode() if isinstance(channel, bytes) else channel
                self._sound(name[len(_PREFIX) :])
        finally:
            await pubsub.aclose()


async def ring_once(redis_url: str, *channels: str) -> None:
    """For commands that end at once. Redis may be away: caches then forget by themselves a little later."""
    redis = Redis.from_url(redis_url)
    try:
        for channel in channels:
            await redis.publish(_PREFIX + channel, b"")
    except (RedisError, OSError) as error:
        log.warning("doorbell: Redis is away (%s)", type(error).__name__)
    finally:
        await redis.aclose()
