"""Rate limits: told in headers, enforced per key, kept in Redis, and no outage without it."""

from __future__ import annotations

import asyncio
import logging
import math
import re

import pytest
from redis.asyncio import Redis

from penguinmails_api.app import create_gateway
from penguinmails_api.rate_limit import LocalBuckets, Policy, RateLimiter, Verdict
from penguinmails_api.services import FAILURES, Services, Settings
from penguinmails_core.config import ApiSettings, DatabaseSettings
from penguinmails_core.kit.crypto import new_api_key
from tests.fixtures.client import ApiClient, problem
from tests.fixtures.factories import Tenant


@pytest.fixture
def settings() -> Settings:
    """Slow enough that nothing comes back during a test."""
    return Settings(
        api=ApiSettings(rate_limit=1, rate_burst=3),
        database=DatabaseSettings(pool_size=2, ingest_connections=1, worker_connections=2),
    )


async def test_headers_count_down_and_agree_with_each_other(client: ApiClient) -> None:
    for left in (2, 1, 0):
        headers = (await client.get("/v1/me")).headers
        assert headers["ratelimit-policy"] == '"default";q=1;w=60, "burst";q=3;w=180'
        assert headers["ratelimit-limit"] == "3"
        assert headers["ratelimit-remaining"] == str(left)
        found = re.fullmatch(r'"burst";r=(\d+);t=(\d+)', headers["ratelimit"])
        assert found is not None
        assert found.groups() == (headers["ratelimit-remaining"], headers["ratelimit-reset"])
        assert 0 < int(headers["ratelimit-reset"]) <= 180


async def test_over_the_limit_is_429_and_names_the_policy(client: ApiClient, tenant: Tenant) -> None:
    for _ in range(3):
        assert (await client.get("/v1/me")).status_code == 200
    response = await client.get("/v1/me")
    document = problem(response, 429, "rate_limit_exceeded")
    assert document["violated_policies"] == ["burst"]
    assert 1 <= int(response.headers["retry-after"]) <= 60
    assert response.headers["ratelimit-remaining"] == "0"
    assert response.headers["ratelimit-limit"] == "3"
    # Another key has a bucket of its own.
    assert (await client.as_(tenant.test).get("/v1/me")).status_code == 200


async def test_a_burst_at_once_gets_one_verdict_each(client: ApiClient) -> None:
    answers = await asyncio.gather(*(client.get("/v1/me") for _ in range(8)))
    assert sorted(answer.status_code for answer in answers) == [200] * 3 + [429] * 5
    granted = [answer.headers["ratelimit-remaining"] for answer in answers if answer.status_code == 200]
    assert sorted(granted) == ["0", "1", "2"]


async def test_errors_cost_as_much_as_successes(client: ApiClient) -> None:
    problem(await client.get("/v1/emails/msg_x"), 404, "not_found")
    problem(await client.get("/v1/emails?limit=101"), 422, "validation_failed")
    assert (await client.get("/v1/me")).headers["ratelimit-remaining"] == "0"


async def test_two_processes_share_one_budget(redis: Redis) -> None:
    policy = Policy("default", 1, 5)
    one, two = RateLimiter(policy, redis), RateLimiter(policy, redis)
    verdicts = await asyncio.gather(*(limiter.take("key") for _ in range(4) for limiter in (one, two)))
    assert sum(verdict.allowed for verdict in verdicts) == 5
    await one.stop()
    await two.stop()


async def test_calls_of_one_turn_are_one_round_trip(redis: Redis) -> None:
    limiter = RateLimiter(Policy("default", 1, 100), redis)
    await limiter.take("warm")  # loads the script
    before = (await redis.info("commandstats")).get("cmdstat_evalsha", {"calls": 0})["calls"]
    await asyncio.gather(*(limiter.take(f"key {number % 3}") for number in range(50)))
    after = (await redis.info("commandstats"))["cmdstat_evalsha"]["calls"]
    assert after - before == 1


async def test_the_script_is_loaded_again_after_a_flush(redis: Redis) -> None:
    limiter = RateLimiter(Policy("default", 1, 3), redis)
    assert (await limiter.take("key")).remaining == 2
    await redis.script_flush()
    assert (await limiter.take("key")).remaining == 1


async def test_redis_and_local_buckets_agree(redis: Redis) -> None:
    policy = Policy("default", 600, 4)
    shared, local = RateLimiter(policy, redis), LocalBuckets(policy)
    for _ in range(4):
        ours, theirs = local.take("key"), await shared.take("key")
        assert (ours.allowed, ours.remaining) == (theirs.allowed, theirs.remaining)
        assert math.isclose(ours.reset, theirs.reset, abs_tol=0.1)


async def test_a_refill_lets_the_next_one_pass() -> None:
    buckets = LocalBuckets(Policy("default", 6000, 1))  # one each 10 ms
    assert buckets.take("key").allowed
    refused = buckets.take("key")
    assert refused == Verdict(False, 0, refused.reset, refused.retry_after)
    assert 0 < refused.retry_after <= 0.01
    while not buckets.look("key").allowed:
        await asyncio.sleep(0.001)
    assert buckets.take("key").allowed


async def test_local_buckets_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("penguinmails_api.rate_limit._MAX_LOCAL_BUCKETS", 10)
    buckets = LocalBuckets(Policy("default", 1, 1))
    for number in range(100):
        buckets.take(number)
    assert len(buckets._full) == 10


async def test_redis_gone_is_a_warning_and_no_outage(caplog: pytest.LogCaptureFixture) -> None:
    nobody = Redis.from_url("redis://127.0.0.1:1/0")
    limiter = RateLimiter(Policy("default", 1, 3), nobody)
    with caplog.at_level(logging.WARNING, "penguinmails_api.rate_limit"):
        verdicts = [await limiter.take("key") for _ in range(5)]
    assert [verdict.allowed for verdict in verdicts] == [True] * 3 + [False] * 2
    assert len(caplog.records) == 1
    await nobody.aclose()


async def test_a_redis_that_hangs_does_not_hang_us() -> None:
    async def swallow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(4096):
            pass
        writer.close()

    server = await asyncio.start_server(swallow, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    hanging = Redis.from_url(f"redis://127.0.0.1:{port}/0")
    limiter = RateLimiter(Policy("default", 1, 3), hanging)
    assert (await limiter.take("key")).allowed
    assert (await limiter.take("key")).remaining == 1  # decided here, without asking again
    await hanging.aclose()
    server.close()
    await server.wait_closed()


async def test_a_readiness_check_names_a_lost_redis(services: Services, tenant: Tenant) -> None:
    real, services.redis = services.redis, Redis.from_url("redis://127.0.0.1:1/0")
    async with ApiClient(create_gateway(services), tenant.key) as client:
        response = await client.get("/readyz")
    assert (response.status_code, response.json()["parts"]["redis"]) == (200, "degraded")
    assert services.redis is not None
    await services.redis.aclose()
    services.redis = real


async def test_failures_are_limited_by_address(client: ApiClient, tenant: Tenant) -> None:
    guesser = client.as_(new_api_key("live"), address="192.0.2.66")
    for _ in range(FAILURES.burst):
        client.gateway.services.failures.take("192.0.2.66")
    response = await guesser.get("/v1/me")
    document = problem(response, 429, "rate_limit_exceeded")
    assert document["violated_policies"] == ["unauthenticated-burst"]
    problem(await client.as_(new_api_key("live"), address="192.0.2.67").get("/v1/me"), 401, "unauthenticated")
    # A key that works is not locked out by a guesser behind the same address.
    await client.get("/v1/me")
    assert (await client.as_(tenant.key, address="192.0.2.66").get("/v1/me")).status_code == 200
