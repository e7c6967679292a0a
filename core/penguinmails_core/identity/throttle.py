"""Guessing costs time: after some attempts the next one has to wait, longer each time, but nobody is ever locked out.

Attempts are counted by account, by network and by the two together, *before* the password is looked at: a thousand
guesses sent at once are a thousand attempts. A full sign-in forgives the account. The account's own delay stays short,
or anybody could keep anybody out; passkeys cannot be guessed and do not count against it.
One script call in Redis/Valkey; the same sums inside the process when it is away.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import time
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import NoScriptError, RedisError

from penguinmails_core.errors import RateLimited

log = logging.getLogger(__name__)

REDIS_TIMEOUT = 0.5  # seconds; a burst of guesses must not make it look away
FORGET_AFTER = 3600  # seconds without an attempt
_MAX_LOCAL = 50_000
_PREFIX = "penguinmails:{signin}:"  # the braces keep the keys of one attempt on one node of a cluster


@dataclass(frozen=True, slots=True)
class Rule:
    """`free` attempts cost nothing; then the wait is 1 s, 2 s, 4 s … up to `longest` seconds."""

    free: int
    longest: int


ACCOUNT = Rule(5, 30)
PAIR = Rule(5, 900)
NETWORK = Rule(20, 900)  # an office shares one address

# ARGV: now in ms, then free and longest of each key. A key holds "attempts:allowed at (ms)".
_SCRIPT = """
local now = tonumber(ARGV[1])
local wait = 0
local counts = {}
for i, key in ipairs(KEYS) do
  local count, at = string.match(redis.call('GET', key) or '', '^(%d+):(%d+)$')
  counts[i] = tonumber(count or '0')
  wait = math.max(wait, tonumber(at or '0') - now)
end
if wait > 0 then return wait end
for i, key in ipairs(KEYS) do
  local free, longest = tonumber(ARGV[i * 2]), tonumber(ARGV[i * 2 + 1])
  local count = counts[i] + 1
  local at = 0
  if count >= free then at = now + math.min(2 ^ math.min(count - free, 20), longest) * 1000 end
  redis.call('SET', key, string.format('%d:%d', count, at), 'EX', tonumber(ARGV[#ARGV]))
end
return 0
"""


class Throttle:
    """`await attempt(...)` before looking at a secret; `await forgive(...)` after a full sign-in."""

    def __init__(self, redis: Redis | None) -> None:
        self._redis = redis
        self._script: Any = redis.register_script(_SCRIPT) if redis is not None else None
        self._local: dict[str, tuple[int, float, float]] = {}
        self._warned = False

    async def attempt(self, kind: str, address: str, account: str | None = None) -> None:
        """Counts one. `kind` keeps different doors apart (``password``, ``reset``); `account` is None where none is
        named (passkeys). Raises `RateLimited` with Retry-After while an earlier attempt has to be waited for."""
        keys = _keys(kind, address, account)
        wait = await self._take(keys)
        if wait > 0:
            seconds = int(wait) + 1
            raise RateLimited(
                f"Too many attempts. Try again in {seconds} s.",
                headers={"Retry-After": str(seconds)},
                extra={"violated_policies": ["sign-in"]},
            )

    async def forgive(self, kind: str, address: str, account: str) -> None:
        """The person is who they say: their account and their place start afresh (the network does not)."""
        keys = [key for key, rule in _keys(kind, address, account) if rule is not NETWORK]
        for key in keys:
            self._local.pop(key, None)
        if self._redis is not None:
            try:
                async with asyncio.timeout(REDIS_TIMEOUT):
                    await self._redis.delete(*keys)
            except (RedisError, OSError, TimeoutError) as error:
                self._lost(error)

    async def _take(self, keys: list[tuple[str, Rule]]) -> float:
        if self._redis is None:
            return self._take_local(keys)
        names = [key for key, _ in keys]
        arguments: list[int] = [int(time.time() * 1000)]
        for _, rule in keys:
            arguments += [rule.free, rule.longest]
        arguments.append(FORGET_AFTER)
        try:
            async with asyncio.timeout(REDIS_TIMEOUT):
                try:
                    wait = await self._redis.evalsha(self._script.sha, len(names), *names, *arguments)
                except NoScriptError:
                    wait = await self._redis.eval(_SCRIPT, len(names), *names, *arguments)
        except (RedisError, OSError, TimeoutError) as error:
            self._lost(error)
            return self._take_local(keys)
        self._warned = False
        return int(wait) / 1000

    def _take_local(self, keys: list[tuple[str, Rule]]) -> float:
        now = time.time()
        entries = []
        for key, rule in keys:
            count, allowed_at, forgotten_at = self._local.get(key, (0, 0.0, 0.0))
            entries.append((key, rule, 0, 0.0) if forgotten_at < now else (key, rule, count, allowed_at))
        wait = max(allowed_at - now for *_, allowed_at in entries)
        if wait > 0:
            return wait
        for key, rule, count, _ in entries:
            self._local.pop(key, None)
            if len(self._local) >= _MAX_LOCAL:
                self._local.pop(next(iter(self._local)))
            later = min(2 ** min(count + 1 - rule.free, 20), rule.longest) if count + 1 >= rule.free else 0
            self._local[key] = (count + 1, now + later if later else 0.0, now + FORGET_AFTER)
        return 0.0

    def _lost(self, error: Exception) -> None:
        if not self._warned:
            self._warned = True
            log.warning("sign-in throttle: Redis is away (%s); counting in this process", type(error).__name__)


def _keys(kind: str, address: str, account: str | None) -> list[tuple[str, Rule]]:
    """Hashed, so that the cache holds nobody's address."""
    network = network_of(address)
    keys = [(f"{_PREFIX}{kind}:n:{_digest(network)}", NETWORK)]
    if account is not None:
        name = account.strip().lower()
        keys.append((f"{_PREFIX}{kind}:a:{_digest(name)}", ACCOUNT))
        keys.append((f"{_PREFIX}{kind}:p:{_digest(name + '|' + network)}", PAIR))
    return keys


def network_of(address: str) -> str:
    """The /24 or /64 that an attacker usually has whole."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return "unknown"
    ip = getattr(ip, "ipv4_mapped", None) or ip
    return str(ipaddress.ip_network((ip, 24 if ip.version == 4 else 64), strict=False))


def _digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()[:32]
