"""Guessing gets slower, together and without Redis too, and nobody is locked out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from penguinmails_core.errors import RateLimited
from penguinmails_core.identity.throttle import ACCOUNT, NETWORK, Throttle, network_of

HERE, THERE = "192.0.2.7", "198.51.100.9"


@pytest.fixture(params=["redis", "none", "away"])
async def throttle(request: pytest.FixtureRequest, redis: Redis) -> AsyncIterator[Throttle]:
    if request.param == "redis":
        yield Throttle(redis)
    elif request.param == "none":
        yield Throttle(None)
    else:
        away = Redis.from_url("redis://127.0.0.1:9")
        yield Throttle(away)
        await away.aclose()


def _text(value: bytes | str | None) -> str:
    return value.decode() if isinstance(value, bytes) else value or ""


async def _refused(throttle: Throttle, address: str = HERE, account: str | None = "ada@example.com") -> int:
    """Seconds to wait, 0 when the attempt is allowed."""
    try:
        await throttle.attempt("password", address, account)
    except RateLimited as problem:
        return int(problem.headers["Retry-After"])
    return 0


async def test_the_fifth_attempt_is_the_last_without_a_wait(throttle: Throttle) -> None:
    for _ in range(ACCOUNT.free):
        assert await _refused(throttle) == 0
    assert await _refused(throttle) > 0
    assert await _refused(throttle, account="ADA@example.com ") > 0  # the same account however it is written
    assert await _refused(throttle, account="bob@example.com") == 0  # and nobody else


async def test_an_account_is_protected_from_many_places_but_never_locked(throttle: Throttle) -> None:
    for place in range(ACCOUNT.free):
        assert await _refused(throttle, f"203.0.{place}.1") == 0
    assert 0 < await _refused(throttle, THERE) <= ACCOUNT.longest + 1


async def test_a_sign_in_forgives_the_account_but_not_the_network(throttle: Throttle) -> None:
    for number in range(NETWORK.free):
        await throttle.attempt("password", HERE, f"user{number}@example.com")
    await throttle.forgive("password", HERE, "user0@example.com")
    assert await _refused(throttle, HERE, "somebody@example.com") > 0
    assert await _refused(throttle, "192.0.2.200", "somebody@example.com") > 0  # the same network
    assert await _refused(throttle, THERE, "user0@example.com") == 0


async def test_forgiving_lets_the_person_try_again(throttle: Throttle) -> None:
    for _ in range(ACCOUNT.free):
        await _refused(throttle)
    await throttle.forgive("password", HERE, "ada@example.com")
    assert await _refused(throttle) == 0


async def test_passkeys_do_not_count_against_accounts(throttle: Throttle) -> None:
    for _ in range(ACCOUNT.free + 1):
        await _refused(throttle)
    await throttle.attempt("passkey", HERE)


async def test_many_guesses_at_once_are_many_guesses(redis: Redis) -> None:
    throttle = Throttle(redis)
    waits = await asyncio.gather(*(_refused(throttle) for _ in range(100)))
    assert waits.count(0) == ACCOUNT.free


async def test_the_wait_doubles_up_to_a_bound(redis: Redis) -> None:
    throttle = Throttle(redis)
    waits = []
    for number in range(12):
        # From a new place each time, so that only the account counts up.
        assert await _refused(throttle, f"203.0.{number}.1") == 0
        (key,) = await redis.keys("penguinmails:{signin}:password:a:*")
        assert 0 < await redis.ttl(key) <= 3600
        count, allowed_at = _text(await redis.get(key)).split(":")
        seconds, _ = await redis.time()
        waits.append(max(round(int(allowed_at) / 1000 - seconds), 0))
        await redis.set(key, count + ":0")  # the wait is over; the count stays
    assert waits[: ACCOUNT.free - 1] == [0] * (ACCOUNT.free - 1)
    expected = [min(2**power, ACCOUNT.longest) for power in range(12 - ACCOUNT.free + 1)]
    assert all(abs(wait - wanted) <= 1 for wait, wanted in zip(waits[ACCOUNT.free - 1 :], expected, strict=True)), waits


async def test_no_address_is_in_the_cache(redis: Redis) -> None:
    await Throttle(redis).attempt("password", HERE, "ada@example.com")
    keys = repr(await redis.keys("*"))
    assert "ada" not in keys
    assert "192.0" not in keys


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.7", "192.0.2.0/24"),
        ("::ffff:192.0.2.7", "192.0.2.0/24"),
        ("2001:db8:1:2:3::4", "2001:db8:1:2::/64"),
        ("", "unknown"),
    ],
)
def test_networks(address: str, network: str) -> None:
    assert network_of(address) == network
