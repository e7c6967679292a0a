"""Rate limits: a token bucket (GCRA) per API key, kept in Redis/Valkey so that all processes share one budget.

Hot: one Redis command per request costs 68 us of CPU here, so all requests of one turn of the event loop share one
script call, each with its own verdict. When Redis is away or slow, buckets in this process take over: limits become
per process, and nobody is turned away for our trouble.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections import Counter
from collections.abc import Hashable
from typing import Any, NamedTuple

from redis.asyncio import Redis
from redis.exceptions import NoScriptError, RedisError

from penguinmails_api.context import Headers

log = logging.getLogger(__name__)

REDIS_TIMEOUT = 0.05  # seconds; slower is as good as away
RETRY_REDIS_AFTER = 1.0  # seconds
_FLIGHTS = 2  # script calls at once: while they are out, the next batch grows
_MAX_LOCAL_BUCKETS = 50_000

# The bucket is one number, the time at which it is full again (in microseconds, as text: Lua would print 1.7e+15).
# Redis's own clock rules, so that processes with different clocks agree.
_SCRIPT = """
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local interval, burst = tonumber(ARGV[1]), tonumber(ARGV[2])
local verdicts = {}
for i, key in ipairs(KEYS) do
  local asked = tonumber(ARGV[i + 2])
  local full = math.max(tonumber(redis.call('GET', key) or '0'), now)
  local free = math.max(math.floor((now + burst * interval - full) / interval + 0.000001), 0)
  local granted = math.min(asked, free)
  if granted > 0 then
    full = full + granted * interval
    redis.call('SET', key, string.format('%.3f', full), 'PX', math.ceil((full - now) / 1000) + 1)
  end
  local wait = math.max(full + interval - now - burst * interval, 0)
  verdicts[#verdicts + 1] = granted
  verdicts[#verdicts + 1] = free - granted
  verdicts[#verdicts + 1] = math.ceil(full - now)
  verdicts[#verdicts + 1] = math.ceil(wait)
end
return verdicts
"""


class Policy:
    """`rate` requests a minute, at most `burst` at once.

    Both are told to clients (draft-ietf-httpapi-ratelimit-headers): the sustained rate as the policy `name`, and the
    bucket as `burst`, which is the one that counts down and whose numbers `RateLimit` and `RateLimit-*` give.
    """

    def __init__(self, name: str, rate: int, burst: int) -> None:
        self.name = name
        self.rate = rate
        self.burst = burst
        self.interval = 60 / rate  # seconds until one more request is allowed
        self.refill = max(1, math.ceil(burst * self.interval))  # seconds until an empty bucket is full
        self.bucket = "burst" if name == "default" else f"{name}-burst"
        policies = f'"{name}";q={rate};w=60, "{self.bucket}";q={burst};w={self.refill}'
        self._fixed: Headers = [
            (b"ratelimit-policy", policies.encode()),
            (b"ratelimit-limit", b"%d" % burst),
        ]
        self._prefix = f'"{self.bucket}";r='.encode()

    def headers(self, verdict: Verdict) -> Headers:
        reset = b"%d" % math.ceil(verdict.reset)
        remaining = b"%d" % verdict.remaining
        return [
            *self._fixed,
            (b"ratelimit-remaining", remaining),
            (b"ratelimit-reset", reset),
            (b"ratelimit", self._prefix + remaining + b";t=" + reset),
        ]


class Verdict(NamedTuple):
    """`reset`: seconds until the bucket is full; `retry_after`: seconds until one request is allowed again."""

    allowed: bool
    remaining: int
    reset: float
    retry_after: float


class LocalBuckets:
    """The same token buckets inside this process, bounded: the longest unused are forgotten."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._full: dict[Hashable, float] = {}

    def take(self, key: Hashable) -> Verdict:
        policy, now = self._policy, time.monotonic()
        full = max(self._full.get(key, 0.0), now)
        free = max(math.floor((now + policy.burst * policy.interval - full) / policy.interval + 1e-6), 0)
        if free > 0:
            full += policy.interval
            self._store(key, full)
        wait = max(full + policy.interval - now - policy.burst * policy.interval, 0.0)
        return Verdict(free > 0, max(free - 1, 0), full - now, wait)

    def look(self, key: Hashable) -> Verdict:
        """As `take`, but takes nothing."""
        policy, now = self._policy, time.monotonic()
        full = max(self._full.get(key, 0.0), now)
        free = max(math.floor((now + policy.burst * policy.interval - full) / policy.interval + 1e-6), 0)
        wait = max(full + policy.interval - now - policy.burst * policy.interval, 0.0)
        return Verdict(free > 0, free, full - now, wait)

    def _store(self, key: Hashable, full: float) -> None:
        self._full.pop(key, None)
        if len(self._full) >= _MAX_LOCAL_BUCKETS:
            self._full.pop(next(iter(self._full)))
        self._full[key] = full


class RateLimiter:
    """One policy for many keys. Without `redis` all buckets are local."""

    def __init__(self, policy: Policy, redis: Redis | None = None) -> None:
        self.policy = policy
        self._redis = redis
        self._local = LocalBuckets(policy)
        self._script: Any = redis.register_script(_SCRIPT) if redis is not None else None
        self._waiting: list[tuple[str, asyncio.Future[Verdict]]] = []
        self._flights: set[asyncio.Task[None]] = set()
        self._scheduled = False
        self._away_until = 0.0
        self._warned = False

    async def take(self, key: str) -> Verdict:
        """Take one request from the bucket of `key`. Never raises."""
        if self._redis is None or time.monotonic() < self._away_until:
            return self._local.take(key)
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Verdict] = loop.create_future()
        self._waiting.append((key, future))
        if not self._scheduled and len(self._flights) < _FLIGHTS:
            self._scheduled = True
            loop.call_soon(self._launch)
        return await future

    async def stop(self) -> None:
        while self._flights:
            await asyncio.wait(self._flights)

    def _launch(self) -> None:
        self._scheduled = False
        batch, self._waiting = self._waiting, []
        if batch:
            task = asyncio.get_running_loop().create_task(self._flush(batch))
            self._flights.add(task)
            task.add_done_callback(self._landed)

    def _landed(self, task: asyncio.Task[None]) -> None:
        self._flights.discard(task)
        if self._waiting and not self._scheduled:
            self._launch()

    async def _flush(self, batch: list[tuple[str, asyncio.Future[Verdict]]]) -> None:
        asked = Counter(key for key, _ in batch)
        try:
            verdicts = await self._ask_redis(asked)
        except (RedisError, OSError, TimeoutError) as error:
            self._lost_redis(error)
            for key, future in batch:
                _settle(future, self._local.take(key))
            return
        self._warned = False
        for key, future in batch:
            _settle(future, verdicts[key].pop())

    async def _ask_redis(self, asked: Counter[str]) -> dict[str, list[Verdict]]:
        """For each key one verdict per request, the last of the list first in line."""
        policy = self.policy
        keys = ["penguinmails:{rate}:" + key for key in asked]  # the braces keep them on one node of a cluster
        arguments = [policy.interval * 1e6, policy.burst, *asked.values()]
        async with asyncio.timeout(REDIS_TIMEOUT):
            try:
                answer = await self._redis.evalsha(self._script.sha, len(keys), *keys, *arguments)  # type: ignore[union-attr]
            except NoScriptError:
                answer = await self._redis.eval(_SCRIPT, len(keys), *keys, *arguments)  # type: ignore[union-attr]
        verdicts: dict[str, list[Verdict]] = {}
        for index, (key, count) in enumerate(asked.items()):
            granted, remaining, reset, wait = answer[index * 4 : index * 4 + 4]
            refused = [Verdict(False, 0, reset / 1e6, wait / 1e6)] * (count - granted)
            verdicts[key] = refused + [Verdict(True, remaining + later, reset / 1e6, 0.0) for later in range(granted)]
        return verdicts

    def _lost_redis(self, error: Exception) -> None:
        self._away_until = time.monotonic() + RETRY_REDIS_AFTER
        if not self._warned:
            self._warned = True
            log.warning("rate limits: Redis is away (%s); counting in this process", type(error).__name__)


def _settle(future: asyncio.Future[Verdict], verdict: Verdict) -> None:
    if not future.done():  # its client may have gone
        future.set_result(verdict)
