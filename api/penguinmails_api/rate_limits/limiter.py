"""Counting in Redis/Valkey, so that all processes share one budget.

Hot: one awaited Redis command costs 68 us of CPU here, so all requests of one turn of the event loop share one script
call, each with its own verdict, and one call covers all policies of a request: all are looked at, and only when every
one of them has room is anything taken. When Redis is away or slow, buckets in this process take over: limits become per
process, and nobody is turned away for our trouble.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

from redis.asyncio import Redis
from redis.exceptions import NoScriptError, RedisError

from penguinmails_api.rate_limits.local import LocalStore
from penguinmails_api.rate_limits.policies import Bound, Line, State, Verdict

log = logging.getLogger(__name__)

REDIS_TIMEOUT = 0.05  # seconds; slower is as good as away
GRACE = 0.01  # seconds, to read what came while the loop was busy
RETRY_REDIS_AFTER = 1.0  # seconds
_FLIGHTS = 2  # script calls at once: while they are out, the next batch grows
_PREFIX = "penguinmails:{rate}:"  # the braces keep all keys on one node of a cluster

# A group is what several requests of one caller ask for; they are granted while every line of it has room. A bucket is
# one number, the time at which it is full again (in microseconds, as text: Lua would print 1.7e+15); a window is
# "start|count". Redis's own clock rules, so that processes with different clocks agree.
_TAKE = """
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local out, at, k = {}, 2, 0
for g = 1, tonumber(ARGV[1]) do
  local asked, lines = tonumber(ARGV[at]), tonumber(ARGV[at + 1])
  at = at + 2
  local granted, first = asked, k
  local state = {}
  for i = 1, lines do
    k = k + 1
    local raw = redis.call('GET', KEYS[k])
    local a, b = tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2])
    local c, base, cost = tonumber(ARGV[at + 3]), tonumber(ARGV[at + 4]), tonumber(ARGV[at + 5])
    local line = {bucket = ARGV[at] == 'b', a = a, b = b, c = c, cost = cost}
    at = at + 6
    if line.bucket then
      line.used = math.max(tonumber(raw or '0'), now)
      line.free = math.max(math.floor((now + b * a - line.used) / a + 0.000001), 0)
    else
      line.used = base
      if raw then
        local start, count = string.match(raw, '(%d+)|(%d+)')
        if tonumber(start) >= b then line.b, line.used = tonumber(start), math.max(tonumber(count), base) end
      end
      line.free = math.max(a - line.used, 0)
    end
    granted = math.min(granted, math.floor(line.free / cost))
    state[i] = line
  end
  out[#out + 1] = granted
  for i, line in ipairs(state) do
    local taken = granted * line.cost
    if line.bucket then
      if taken > 0 then
        line.used = line.used + taken * line.a
        local life = math.ceil((line.used - now) / 1000) + 1
        redis.call('SET', KEYS[first + i], string.format('%.3f', line.used), 'PX', life)
      end
      out[#out + 1] = line.free - taken
      out[#out + 1] = math.ceil(line.used - now)
      out[#out + 1] = math.ceil(math.max(line.used + line.cost * line.a - now - line.b * line.a, 0))
    else
      local left = math.max(line.c - now, 0)
      if taken > 0 then
        local text = string.format('%.0f|%.0f', line.b, line.used + taken)
        redis.call('SET', KEYS[first + i], text, 'PX', math.ceil(left / 1000) + 60000)
      end
      out[#out + 1] = line.free - taken
      out[#out + 1] = math.ceil(left)
      out[#out + 1] = line.free - taken >= line.cost and 0 or math.ceil(left)
    end
  end
end
return out
"""

# What was taken for mail that was not accepted after all. A window that has moved on keeps what it has.
_GIVE_BACK = """
for i, key in ipairs(KEYS) do
  local raw = redis.call('GET', key)
  local by, interval = tonumber(ARGV[2 * i - 1]), tonumber(ARGV[2 * i])
  if raw then
    if interval > 0 then
      redis.call('SET', key, string.format('%.3f', tonumber(raw) - by * interval), 'KEEPTTL')
    else
      local start, count = string.match(raw, '(%d+)|(%d+)')
      redis.call('SET', key, string.format('%s|%.0f', start, math.max(tonumber(count) - by, 0)), 'KEEPTTL')
    end
  end
end
return 1
"""


class _Group(NamedTuple):
    """What makes requests alike: the same caller asking for the same amount."""

    bound: Bound
    cost: int
    sends: int


class Limiter:
    """Without `redis` everything is counted in this process."""

    def __init__(self, redis: Redis | None = None) -> None:
        self._redis = redis
        self.local = LocalStore()
        self._take: Any = redis.register_script(_TAKE) if redis is not None else None
        self._waiting: list[tuple[_Group, asyncio.Future[Verdict]]] = []
        self._flights: set[asyncio.Task[None]] = set()
        self._background: set[asyncio.Task[None]] = set()
        self._scheduled = False
        self._away_until = 0.0
        self._warned = False

    @property
    def fallen_back(self) -> bool:
        """Whether Redis is away, so that this process counts for itself."""
        return self._warned

    async def take(self, bound: Bound, cost: int = 1, sends: int = 0) -> Verdict:
        """Take `cost` requests and `sends` sends from every line of the caller, or nothing from any. Never raises."""
        shared = not bound.local or (sends and bound.sends)
        if not shared or self._redis is None or time.monotonic() < self._away_until:
            return self.local.take(bound, cost, sends)
        refusal = bound.remembered() if cost else None
        if refusal is not None:
            return refusal
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Verdict] = loop.create_future()
        self._waiting.append((_Group(bound, cost, sends), future))
        if not self._scheduled and len(self._flights) < _FLIGHTS:
            self._scheduled = True
            loop.call_soon(self._launch)
        return await future

    def give_back(self, bound: Bound, sends: int) -> None:
        """Of mail that was not accepted. Does not wait; if it gets lost, the quota is a little smaller."""
        self.local.give_back(bound.sends, sends)
        if not bound.sends or self._redis is None or time.monotonic() < self._away_until:
            return
        task = asyncio.get_running_loop().create_task(self._give_back(self._redis, bound.sends, sends))
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    async def stop(self) -> None:
        while self._flights or self._background:
            await asyncio.wait(self._flights | self._background)

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

    async def _flush(self, batch: list[tuple[_Group, asyncio.Future[Verdict]]]) -> None:
        groups: dict[_Group, list[asyncio.Future[Verdict]]] = {}
        for group, future in batch:
            groups.setdefault(group, []).append(future)
        try:
            answer = await self._ask(groups)
        except (RedisError, OSError, TimeoutError) as error:
            self._lost_redis(error)
            for group, future in batch:
                _settle(future, self.local.take(group.bound, group.cost, group.sends))
            return
        self._warned = False
        at = 0
        for group, futures in groups.items():
            at = _share_out(group, futures, answer, at)

    async def _ask(self, groups: dict[_Group, list[asyncio.Future[Verdict]]]) -> list[int]:
        keys: list[str] = []
        arguments: list[bytes | int] = [len(groups)]
        for group, futures in groups.items():
            lines, costs = group.bound.lines(group.cost, group.sends), group.bound.costs(group.cost, group.sends)
            arguments += (len(futures), len(lines))
            for line, cost in zip(lines, costs, strict=True):
                keys.append(_PREFIX + line.key)
                arguments += line.policy.arguments()
                arguments.append(cost)
        answer: list[int] = await self._call(_TAKE, self._take.sha, keys, arguments)
        return answer

    async def _call(self, script: str, sha: str, keys: list[str], arguments: Sequence[bytes | int | float]) -> Any:
        """Raises `TimeoutError` when Redis is slow, and not when it is this process that was busy: an answer that waits
        in the socket is still read."""
        call = asyncio.ensure_future(self._evaluate(script, sha, keys, arguments))
        try:
            for patience in (REDIS_TIMEOUT, 0, 0, GRACE):
                done, _ = await asyncio.wait((call,), timeout=patience)
                if done:
                    return call.result()
            raise TimeoutError
        finally:
            if not call.done():
                call.cancel()
                await asyncio.wait((call,))

    async def _evaluate(self, script: str, sha: str, keys: list[str], arguments: Sequence[bytes | int | float]) -> Any:
        redis: Any = self._redis
        try:
            return await redis.evalsha(sha, len(keys), *keys, *arguments)
        except NoScriptError:
            return await redis.eval(script, len(keys), *keys, *arguments)

    async def _give_back(self, redis: Redis, lines: Sequence[Line], sends: int) -> None:
        arguments: list[float] = []
        for line in lines:
            arguments += (sends, getattr(line.policy, "interval", 0.0) * 1e6)
        script = redis.register_script(_GIVE_BACK)
        try:
            await self._call(_GIVE_BACK, script.sha, [_PREFIX + line.key for line in lines], arguments)
        except (RedisError, OSError, TimeoutError) as error:
            self._lost_redis(error)

    def _lost_redis(self, error: Exception) -> None:
        self._away_until = time.monotonic() + RETRY_REDIS_AFTER
        if not self._warned:
            self._warned = True
            log.warning("rate limits: Redis is away (%s); counting in this process", type(error).__name__)


def _share_out(group: _Group, futures: list[asyncio.Future[Verdict]], answer: list[int], at: int) -> int:
    """Verdicts for the requests of one group, first come first served; returns where the next group's answer is."""
    bound, cost, sends = group
    lines, costs = bound.lines(cost, sends), bound.costs(cost, sends)
    granted, at = answer[at], at + 1
    found = [
        (answer[at + 3 * i], answer[at + 3 * i + 1] / 1e6, answer[at + 3 * i + 2] / 1e6) for i in range(len(lines))
    ]
    for place, future in enumerate(futures[:granted]):
        later = granted - 1 - place
        states = tuple(State(free + later * n, reset, 0.0) for (free, reset, _), n in zip(found, costs, strict=True))
        _settle(future, Verdict(True, lines, states))
    if granted < len(futures):
        violated = tuple(i for i, (free, _, _) in enumerate(found) if free < costs[i])
        refused = Verdict(False, lines, tuple(State(*state) for state in found), violated)
        if cost == 1 and any(i < len(bound.requests) for i in violated):
            bound.remember(refused)
        for future in futures[granted:]:
            _settle(future, refused)
    return at + 3 * len(lines)


def _settle(future: asyncio.Future[Verdict], verdict: Verdict) -> None:
    if not future.done():  # its client may have gone
        future.set_result(verdict)


__all__ = ["Limiter"]
