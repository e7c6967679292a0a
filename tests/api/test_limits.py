"""Rate limits: told in headers, enforced for keys, organizations and addresses, kept in Redis, no outage without it."""

from __future__ import annotations

import asyncio
import logging
import re
import time

import pytest
from redis.asyncio import Redis

from penguinmails_api.app import create_gateway
from penguinmails_api.rate_limits import local
from penguinmails_api.rate_limits.admission import FAILURES
from penguinmails_api.rate_limits.limiter import Limiter
from penguinmails_api.rate_limits.local import LocalStore
from penguinmails_api.rate_limits.policies import SENDS, Bound, Bucket, Line, Window
from penguinmails_api.services import Services, Settings
from penguinmails_core.config import ApiSettings, DatabaseSettings
from penguinmails_core.kit.crypto import new_api_key
from penguinmails_core.usage.periods import Span
from tests.fixtures.client import ApiClient, problem
from tests.fixtures.factories import Tenant


@pytest.fixture
def settings() -> Settings:
    """Slow enough that nothing comes back during a test."""
    return Settings(
        api=ApiSettings(rate_limit=1, rate_burst=3),
        database=DatabaseSettings(pool_size=2, ingest_connections=1, worker_connections=2),
    )


def bucket(burst: int, rate: int = 1, key: str = "key") -> Bound:
    return Bound([Line(Bucket("default", rate, burst, label="burst"), key)])


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
    problem(await client.post("/v1/emails", content=b"{"), 400, "invalid_json")
    assert (await client.get("/v1/me")).headers["ratelimit-remaining"] == "0"
    problem(await client.post("/v1/emails", content=b"{"), 429, "rate_limit_exceeded")
    problem(await client.post("/v1/emails", content=b"{"), 429, "rate_limit_exceeded")  # before the body is read


async def test_two_processes_share_one_budget(redis: Redis) -> None:
    bound = bucket(5)
    one, two = Limiter(redis), Limiter(redis)
    verdicts = await asyncio.gather(*(limiter.take(bound) for _ in range(4) for limiter in (one, two)))
    assert sum(verdict.allowed for verdict in verdicts) == 5
    await one.stop()
    await two.stop()


async def test_calls_of_one_turn_are_one_round_trip(redis: Redis) -> None:
    limiter = Limiter(redis)
    bounds = [bucket(100, key=f"key {number}") for number in range(3)]
    await limiter.take(bounds[0])  # loads the script
    before = (await redis.info("commandstats")).get("cmdstat_evalsha", {"calls": 0})["calls"]
    await asyncio.gather(*(limiter.take(bounds[number % 3]) for number in range(50)))
    after = (await redis.info("commandstats"))["cmdstat_evalsha"]["calls"]
    assert after - before == 1


async def test_the_script_is_loaded_again_after_a_flush(redis: Redis) -> None:
    limiter, bound = Limiter(redis), bucket(3)
    assert (await limiter.take(bound)).states[0].remaining == 2
    await redis.script_flush()
    assert (await limiter.take(bound)).states[0].remaining == 1


def mixed(prefix: str) -> Bound:
    requests = [Line(Bucket("a", 60, 4), prefix + "a"), Line(Bucket("b", 600, 50), prefix + "b")]
    window = Window("day", 7, Span.DAY)
    return Bound(requests, [Line(window, prefix + "w"), Line(Bucket("s", 60, 100, unit=SENDS), prefix + "s")])


async def test_redis_and_local_buckets_agree(redis: Redis) -> None:
    """The two implementations of one rule, on the same requests."""
    shared, here, one, two = Limiter(redis), LocalStore(), mixed("one"), mixed("two")
    for cost, sends in ((1, 0), (1, 3), (2, 5), (1, 4), (1, 1), (0, 0)):
        if not cost:
            break
        theirs, ours = await shared.take(one, cost, sends), here.take(two, cost, sends)
        assert (ours.allowed, ours.violated) == (theirs.allowed, theirs.violated)
        assert [s.remaining for s in ours.states] == [s.remaining for s in theirs.states]
        assert [s.reset for s in ours.states] == pytest.approx([s.reset for s in theirs.states], abs=0.5)


@pytest.mark.parametrize("shared", [True, False])
async def test_a_refused_request_takes_nothing(redis: Redis, shared: bool) -> None:
    limiter, bound = Limiter(redis if shared else None), mixed("x")
    refused = await limiter.take(bound, 1, 8)  # the window has 7
    assert not refused.allowed
    assert [refused.lines[i].policy.name for i in refused.violated] == ["day"]
    assert [state.remaining for state in refused.states] == [4, 50, 7, 100]
    taken = await limiter.take(bound, 1, 7)
    assert taken.allowed
    assert [state.remaining for state in taken.states] == [3, 49, 0, 93]


@pytest.mark.parametrize("shared", [True, False])
async def test_what_was_not_sent_is_given_back(redis: Redis, shared: bool) -> None:
    limiter, bound = Limiter(redis if shared else None), mixed("x")
    await limiter.take(bound, 1, 7)
    limiter.give_back(bound, 7)
    await limiter.stop()
    again = await limiter.take(bound, 1, 7)
    assert again.allowed
    assert [state.remaining for state in again.states] == [2, 48, 0, 93]


@pytest.mark.parametrize("shared", [True, False])
async def test_a_window_that_lost_its_memory_goes_on_from_what_is_known(redis: Redis, shared: bool) -> None:
    probe = Window("day", 1, Span.DAY)
    probe.arguments()
    line = Line(Window("day", 10, Span.DAY, base=6, base_start=probe.start), "w")
    limiter, bound = Limiter(redis if shared else None), Bound([], [line])
    assert (await limiter.take(bound, 0, 1)).states[0].remaining == 3
    await redis.flushdb()
    assert (await limiter.take(bound, 0, 1)).states[0].remaining == (3 if shared else 2)
    old = Bound([], [Line(Window("day", 10, Span.DAY, base=6, base_start=probe.start - 86400), "v")])
    assert (await limiter.take(old, 0, 1)).states[0].remaining == 9  # yesterday's count is not today's


async def test_a_refill_lets_the_next_one_pass() -> None:
    store, bound = LocalStore(), bucket(1, 6000)  # one each 10 ms
    assert store.take(bound).allowed
    refused = store.take(bound)
    assert not refused.allowed
    assert 0 < refused.retry_after <= 0.01
    while not store.look(bound).allowed:
        await asyncio.sleep(0.001)
    assert store.take(bound).allowed


async def test_a_remembered_refusal_ends_when_there_is_room(redis: Redis) -> None:
    limiter, bound = Limiter(redis), bucket(1, 6000)
    await limiter.take(bound)
    while not (await limiter.take(bound)).allowed:
        await asyncio.sleep(0.001)
    assert bound.remembered() is None


async def test_local_buckets_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "MAX_ENTRIES", 10)
    store = LocalStore()
    for number in range(100):
        store.take(bucket(1, key=str(number)))
    assert len(store._buckets) == 10


async def test_redis_gone_is_a_warning_and_no_outage(caplog: pytest.LogCaptureFixture) -> None:
    nobody = Redis.from_url("redis://127.0.0.1:1/0")
    limiter, bound = Limiter(nobody), bucket(3)
    with caplog.at_level(logging.WARNING, "penguinmails_api.rate_limits"):
        verdicts = [await limiter.take(bound) for _ in range(5)]
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
    limiter, bound = Limiter(hanging), bucket(3)
    assert (await limiter.take(bound)).allowed
    assert (await limiter.take(bound)).states[0].remaining == 1  # decided here, without asking again
    await hanging.aclose()
    server.close()
    await server.wait_closed()


async def test_a_busy_process_does_not_take_redis_for_away(redis: Redis, caplog: pytest.LogCaptureFixture) -> None:
    """The answer waits in the socket while something else holds the loop for longer than the timeout."""
    for turns in range(16):  # wherever the call has come to
        limiter, bound = Limiter(redis), bucket(3, key=f"key {turns}")
        await limiter.take(bound)
        asked = asyncio.ensure_future(limiter.take(bound))
        for _ in range(turns):
            await asyncio.sleep(0)
        time.sleep(0.1)
        assert (await asked).states[0].remaining == 1
    assert caplog.records == []


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
        client.gateway.services.failures.count("192.0.2.66")
    response = await guesser.get("/v1/me")
    document = problem(response, 429, "rate_limit_exceeded")
    assert document["violated_policies"] == ["unauthenticated-burst"]
    assert response.headers["ratelimit-remaining"] == "0"
    problem(await client.as_(new_api_key("live"), address="192.0.2.67").get("/v1/me"), 401, "unauthenticated")
    # A key that works is not locked out by a guesser behind the same address.
    await client.get("/v1/me")
    assert (await client.as_(tenant.key, address="192.0.2.66").get("/v1/me")).status_code == 200
