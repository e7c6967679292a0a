"""How much mail of our own one address gets, and one organization causes.

Sign-up, reset and invitations let somebody else decide where our mail goes, so without a budget they would be a way to
flood any address in our name. What was asked for and notices about an account have budgets apart: who spends the first
cannot keep a warning from its reader.

One script call in Redis/Valkey, which all processes share; the same sums inside the process when it is away.
"""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass
from hashlib import sha256
from typing import Any
from uuid import UUID

from redis.asyncio import Redis
from redis.exceptions import NoScriptError, RedisError

log = logging.getLogger(__name__)

REDIS_TIMEOUT = 2.0  # seconds; nobody waits for it but who invites
HOUR, DAY = 3600, 86_400  # seconds
_MAX_LOCAL = 50_000
_PREFIX = "penguinmails:{systemmail}:"  # the braces keep the keys of one message on one node of a cluster


@dataclass(frozen=True, slots=True)
class Allowance:
    """`most` messages in `seconds` from the first one on."""

    most: int
    seconds: int


ASKED = (Allowance(5, HOUR), Allowance(20, DAY))  # to one address, whoever asks
NOTICES = (Allowance(20, HOUR),)  # to one address, about its own account
ORGANIZATION = (Allowance(200, HOUR), Allowance(1000, DAY))  # caused by one organization

# ARGV: most and milliseconds of each key. Looks at all before it takes from any.
_SCRIPT = """
local wait = 0
for i, key in ipairs(KEYS) do
  if tonumber(redis.call('GET', key) or '0') >= tonumber(ARGV[i * 2 - 1]) then
    wait = math.max(wait, redis.call('PTTL', key), 1)
  end
end
if wait > 0 then return wait end
for i, key in ipairs(KEYS) do
  if redis.call('INCR', key) == 1 then redis.call('PEXPIRE', key, ARGV[i * 2]) end
end
return 0
"""


class MailBudget:
    """`await asked(...)` or `await notice(...)` before a message: seconds to wait, 0 when it may go and was counted."""

    def __init__(self, redis: Redis | None) -> None:
        self._redis = redis
        self._script: Any = redis.register_script(_SCRIPT) if redis is not None else None
        self._local: dict[str, tuple[int, float]] = {}
        self._warned = False

    async def asked(self, to: str, organization_id: UUID | None = None) -> float:
        """For mail that somebody else may have caused; `organization_id` is who did, when one did."""
        keys = _keys("asked", _digest(to), ASKED)
        if organization_id is not None:
            keys |= _keys("organization", organization_id.hex, ORGANIZATION)
        return await self._take(keys)

    async def notice(self, to: str) -> float:
        """For what an account's owner has to hear."""
        return await self._take(_keys("notice", _digest(to), NOTICES))

    async def _take(self, keys: dict[str, Allowance]) -> float:
        if self._redis is None:
            return self._take_local(keys)
        arguments = [value for rule in keys.values() for value in (rule.most, rule.seconds * 1000)]
        try:
            async with asyncio.timeout(REDIS_TIMEOUT):
                try:
                    wait = await self._redis.evalsha(self._script.sha, len(keys), *keys, *arguments)
                except NoScriptError:
                    wait = await self._redis.eval(_SCRIPT, len(keys), *keys, *arguments)
        except (RedisError, OSError, TimeoutError) as error:
            if not self._warned:
                self._warned = True
                log.warning("budget of system mail: Redis is away (%s); counting in this process", type(error).__name__)
            return self._take_local(keys)
        self._warned = False
        return int(wait) / 1000

    def _take_local(self, keys: dict[str, Allowance]) -> float:
        now = time.monotonic()
        entries = {key: self._local.get(key, (0, 0.0)) for key in keys}
        entries = {key: entry if entry[1] > now else (0, now + keys[key].seconds) for key, entry in entries.items()}
        waits = [ends - now for key, (count, ends) in entries.items() if count >= keys[key].most]
        if waits:
            return max(waits)
        for key, (count, ends) in entries.items():
            self._local.pop(key, None)
            if len(self._local) >= _MAX_LOCAL:
                self._local.pop(next(iter(self._local)))
            self._local[key] = (count + 1, ends)
        return 0.0


def _keys(kind: str, name: str, rules: tuple[Allowance, ...]) -> dict[str, Allowance]:
    return {f"{_PREFIX}{kind}:{name}:{rule.seconds}": rule for rule in rules}


def _digest(address: str) -> str:
    """Hashed, so that the cache holds nobody's address."""
    return sha256(address.strip().lower().encode()).hexdigest()[:32]
