"""Plans in force: what an organization's plan and overrides mean for its requests and its mail."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from redis.asyncio import Redis

from penguinmails_api.rate_limits.admission import batch_cost
from penguinmails_api.services import Services, Settings
from penguinmails_core.audit.actor import Actor
from penguinmails_core.config import ApiSettings, DatabaseSettings
from penguinmails_core.kit.clock import utcnow
from penguinmails_core.kit.db import Database
from penguinmails_core.kit.doorbell import LIMITS
from penguinmails_core.limits import service
from tests.fixtures.client import ApiClient, problem
from tests.fixtures.factories import Tenant, make_domain, make_email

MESSAGE = {"from": "hello@acme.test", "to": ["ada@example.com"], "subject": "Hi", "text": "Hello"}


@pytest.fixture
def settings() -> Settings:
    return Settings(api=ApiSettings(), database=DatabaseSettings(pool_size=2, ingest_connections=1))


async def change(services: Services, tenant: Tenant, **limits: int | None) -> None:
    for name, value in limits.items():
        await service.override(services.database, Actor.operator(tenant.id), name, value, reason="a test")
    services.limits.forget()


async def on_plan(services: Services, tenant: Tenant, plan: str) -> None:
    await service.set_plan(services.database, Actor.operator(tenant.id), plan)
    services.limits.forget()


async def script_calls(redis: Redis) -> int:
    stats = await redis.info("commandstats")
    return sum(stats.get(f"cmdstat_{name}", {"calls": 0})["calls"] for name in ("evalsha", "eval"))


async def test_without_a_plan_nothing_is_asked_and_the_headers_are_the_same(client: ApiClient, redis: Redis) -> None:
    before = await script_calls(redis)
    response = await client.get("/v1/me")
    assert response.headers["ratelimit-policy"] == '"default";q=600000;w=60, "burst";q=20000;w=2'
    assert response.headers["ratelimit-limit"] == "20000"
    assert await script_calls(redis) == before


async def test_a_plan_lists_its_policies_and_all_keys_share_them(
    client: ApiClient, services: Services, tenant: Tenant, redis: Redis
) -> None:
    await on_plan(services, tenant, "starter")
    await client.get("/v1/me")  # loads the script
    before = await script_calls(redis)
    response = await client.get("/v1/me")
    assert await script_calls(redis) == before + 1
    assert response.headers["ratelimit-policy"] == (
        '"second";q=10;w=1, "minute";q=60;w=60, "burst";q=100;w=100, '
        '"sends-second";q=10;w=1;qu="sends", "sends-burst";q=1000;w=100;qu="sends", '
        '"sends-day";q=2000;w=86400;qu="sends", "sends-month";q=10000;w=2678400;qu="sends"'
    )
    await change(services, tenant, api_requests_per_second=None, api_requests_per_minute=1, api_burst=4)
    left = int((await client.get("/v1/me")).headers["ratelimit-remaining"])
    answers = [await client.as_(tenant.test).get("/v1/me") for _ in range(left + 1)]
    assert [answer.status_code for answer in answers] == [200] * left + [429]
    document = problem(await client.get("/v1/me"), 429, "rate_limit_exceeded")
    assert document["violated_policies"] == ["burst"]


async def test_another_organization_has_a_budget_of_its_own(
    client: ApiClient, services: Services, tenant: Tenant, stranger: Tenant
) -> None:
    await change(services, tenant, api_requests_per_minute=1, api_burst=1)
    assert (await client.get("/v1/me")).status_code == 200
    problem(await client.get("/v1/me"), 429, "rate_limit_exceeded")
    assert (await client.as_(stranger.key).get("/v1/me")).status_code == 200


async def test_an_override_that_ends_gives_the_plan_back(client: ApiClient, services: Services, tenant: Tenant) -> None:
    actor, end = Actor.operator(tenant.id), utcnow() + timedelta(milliseconds=300)
    await service.override(services.database, actor, "api_requests_per_day", 77, reason="launch week", ends_at=end)
    services.limits.forget()
    assert '"day";q=77;w=86400' in (await client.get("/v1/me")).headers["ratelimit-policy"]
    async with asyncio.timeout(10):
        while '"day"' in (await client.get("/v1/me")).headers["ratelimit-policy"]:
            await asyncio.sleep(0.02)


async def test_a_change_is_felt_through_the_doorbell(client: ApiClient, services: Services, tenant: Tenant) -> None:
    await client.get("/v1/me")
    await service.override(services.database, Actor.operator(tenant.id), "api_requests_per_day", 5, reason="x")
    services.doorbell.ring(LIMITS)
    async with asyncio.timeout(10):
        while '"day";q=5' not in (await client.get("/v1/me")).headers["ratelimit-policy"]:
            await asyncio.sleep(0.02)


async def test_a_limit_of_nought_lets_nothing_through(client: ApiClient, services: Services, tenant: Tenant) -> None:
    await change(services, tenant, api_requests_per_second=0)
    problem(await client.get("/v1/me"), 429, "rate_limit_exceeded")


async def post(client: ApiClient, *, recipients: int = 1, **more: Any) -> Any:
    message = MESSAGE | {"to": [f"ada{n}@example.com" for n in range(recipients)]}
    return await client.post("/v1/emails", json=message, **more)


async def test_the_send_quota_counts_recipients_and_spares_other_requests(
    client: ApiClient, services: Services, tenant: Tenant, database: Database
) -> None:
    await make_domain(database, tenant, "acme.test")
    await change(services, tenant, max_emails_per_day=5)
    assert (await post(client, recipients=3)).status_code == 202
    response = await post(client, recipients=3)
    document = problem(response, 429, "send_quota_exceeded")
    assert document["violated_policies"] == ["sends-day"]
    assert response.headers["ratelimit"].startswith('"sends-day";r=2;t=')
    assert 0 < int(response.headers["retry-after"]) <= 86400
    assert (await post(client, recipients=2)).status_code == 202
    problem(await post(client), 429, "send_quota_exceeded")
    assert (await client.get("/v1/emails")).status_code == 200
    test_mail = await client.as_(tenant.test).post("/v1/emails", json=MESSAGE)  # never leaves, so it is not counted
    assert test_mail.status_code == 202


async def test_what_is_not_accepted_costs_no_sends(
    client: ApiClient, services: Services, tenant: Tenant, database: Database
) -> None:
    await make_domain(database, tenant, "acme.test")
    await change(services, tenant, max_emails_per_month=2)
    problem(await client.post("/v1/emails", json=MESSAGE | {"to": ["nobody"]}), 422, "validation_failed")
    problem(await client.post("/v1/emails", json=MESSAGE | {"from": "x@other.test"}), 403, "domain_not_verified")
    first = await post(client, idempotency_key="one")
    again = await post(client, idempotency_key="one")
    assert (first.status_code, again.headers["idempotency-replayed"]) == (202, "true")
    await services.limiter.stop()
    assert (await post(client)).status_code == 202
    problem(await post(client), 429, "send_quota_exceeded")


async def test_a_batch_costs_by_its_messages_and_says_when_it_never_fits(
    client: ApiClient, services: Services, tenant: Tenant, database: Database
) -> None:
    assert [batch_cost(n) for n in (0, 1, 2, 100, 101, 1000)] == [1, 1, 2, 2, 3, 11]
    await make_domain(database, tenant, "acme.test")
    await change(services, tenant, api_requests_per_minute=1, api_burst=10, max_emails_per_day=150)
    response = await client.post("/v1/emails/batch", json={"emails": [MESSAGE] * 120})
    assert response.status_code == 202
    assert (await client.get("/v1/me")).headers["ratelimit-remaining"] == "6"  # 1 + 2, and 1
    document = problem(
        await client.post("/v1/emails/batch", json={"emails": [MESSAGE] * 151}), 429, "send_quota_exceeded"
    )
    assert "split it" in document["detail"]
    partial = await client.post("/v1/emails/batch?partial=true", json={"emails": [MESSAGE] * 31})
    problem(partial, 429, "send_quota_exceeded")
    partial = await client.post("/v1/emails/batch?partial=true", json={"emails": [MESSAGE] * 30})
    assert partial.status_code == 207


async def test_a_flushed_redis_does_not_give_the_month_again(
    client: ApiClient, services: Services, tenant: Tenant, database: Database, redis: Redis
) -> None:
    await make_domain(database, tenant, "acme.test")
    for _ in range(3):
        await make_email(database, tenant)
    await change(services, tenant, max_emails_per_month=4)
    await redis.flushdb()
    assert (await post(client)).status_code == 202
    problem(await post(client), 429, "send_quota_exceeded")


async def test_every_operation_is_covered(client: ApiClient, services: Services, tenant: Tenant) -> None:
    """Over the limit the answer of each guarded operation is 429 with one set of headers, whatever its kind."""
    await change(services, tenant, api_requests_per_minute=1, api_burst=1)
    await client.get("/v1/me")
    tried = 0
    for path, operations in client.contract.document["paths"].items():
        for method, operation in operations.items():
            if not operation.get("security") or not path.startswith("/v"):
                continue
            concrete = path.replace("{", "").replace("}", "")
            body = b"{}" if method in ("post", "put", "patch") else None
            response = await client.request(method.upper(), concrete, content=body)
            document = problem(response, 429, "rate_limit_exceeded")
            assert document["violated_policies"] == ["burst"], path
            assert response.headers["ratelimit-limit"] == "1", path
            assert len(response.headers.get_list("ratelimit-policy")) == 1, path
            assert "retry-after" in response.headers
            assert operation["x-cost"] >= 1
            tried += 1
    assert tried > 20
