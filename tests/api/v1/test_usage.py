"""`GET /v1/usage`: requests, sends, quotas and forecasts, and the events that tell of thresholds."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from penguinmails_api.services import Services
from penguinmails_core.api_keys.service import create_key
from penguinmails_core.audit.actor import Actor
from penguinmails_core.kit import ids
from penguinmails_core.kit.clock import utcnow
from penguinmails_core.kit.db import Database
from penguinmails_core.limits import service
from penguinmails_core.usage.periods import Span, period
from penguinmails_core.usage.quotas import quotas_of
from penguinmails_core.usage.thresholds import ThresholdWatch
from tests.fixtures.client import ApiClient, problem
from tests.fixtures.factories import Tenant, make_domain, make_email, make_workspace

MESSAGE = {"from": "hello@acme.test", "to": ["ada@example.com", "bob@example.com"], "subject": "Hi", "text": "Hello"}


async def limit(services: Services, tenant: Tenant, **limits: int | None) -> None:
    for name, value in limits.items():
        await service.override(services.database, Actor.operator(tenant.id), name, value, reason="a test")
    services.limits.forget()


async def usage(client: ApiClient, query: str = "") -> dict[str, Any]:
    await client.gateway.services.usage.flush()
    response = await client.get("/v1/usage" + query)
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.json()
    return found


async def test_usage_by_day_operation_and_key(
    client: ApiClient, services: Services, tenant: Tenant, database: Database
) -> None:
    await make_domain(database, tenant, "acme.test")
    await client.get("/v1/me")
    await client.get("/v1/me")
    problem(await client.get("/v1/emails/msg_x"), 404, "not_found")
    problem(await client.get("/v1/nowhere"), 404, "not_found")
    assert (await client.post("/v1/emails", json=MESSAGE)).status_code == 202
    await client.as_(tenant.test).get("/v1/me")
    found = await usage(client)
    operations = {row["operation"]: (row["requests"], row["errors"]) for row in found["by_operation"]}
    assert operations == {"me_get": (2, 0), "emails_get": (1, 1), "unmatched": (1, 1), "emails_send": (1, 0)}
    [actor] = found["by_actor"]
    assert (actor["kind"], actor["id"]) == ("api_key", ids.encode("key", tenant.live_key.id))
    assert (actor["requests"], actor["messages"], actor["sends"]) == (5, 1, 2)
    assert found["totals"] == {"requests": 5, "cost": 5, "refused": 0, "errors": 2, "messages": 1, "sends": 2}
    assert found["by_day"][-1]["date"] == found["period"]["end_date"] == utcnow().date().isoformat()
    assert len(found["by_day"]) == utcnow().day
    assert found["plan"] == {"code": "self_hosted", "name": "Self-hosted"}
    assert (found["quotas"], found["throttle"]) == ([], None)
    narrow = await usage(client, f"?operation=me_get&api_key_id={actor['id']}")
    assert [row["operation"] for row in narrow["by_operation"]] == ["me_get"]
    assert (await usage(client.as_(tenant.test)))["totals"]["sends"] == 0


async def test_another_tenants_usage_is_not_seen(client: ApiClient, tenant: Tenant, stranger: Tenant) -> None:
    await client.get("/v1/me")
    theirs = await usage(client.as_(stranger.key), f"?api_key_id={ids.encode('key', tenant.live_key.id)}")
    assert theirs["totals"]["requests"] == 0
    assert theirs["by_actor"] == []


async def test_a_key_of_a_workspace_sees_its_own_requests_only(
    client: ApiClient, tenant: Tenant, database: Database
) -> None:
    workspace = await make_workspace(database, tenant.id, "client")
    _, bound = await create_key(
        database, tenant.id, mode="live", name="bound", scopes=["usage:read"], workspace_id=workspace
    )
    await client.get("/v1/me")
    await client.as_(bound).get("/v1/me")
    assert (await usage(client.as_(bound)))["totals"]["requests"] == 1
    assert (await usage(client))["totals"]["requests"] == 3


async def test_quotas_limits_and_what_is_left(
    client: ApiClient, services: Services, tenant: Tenant, database: Database
) -> None:
    await make_domain(database, tenant, "acme.test")
    await service.set_plan(database, Actor.operator(tenant.id), "starter")
    await limit(services, tenant, max_emails_per_day=10, api_requests_per_day=1000)
    assert (await client.post("/v1/emails", json=MESSAGE)).status_code == 202
    found = await usage(client)
    quotas = {quota["name"]: quota for quota in found["quotas"]}
    assert list(quotas) == ["day", "sends-day", "sends-month"]
    day = quotas["sends-day"]
    assert (day["unit"], day["limit"], day["used"], day["remaining"], day["percent"]) == ("sends", 10, 2, 8, 20.0)
    assert quotas["sends-month"]["limit"] == 10_000
    assert quotas["day"]["used"] == 1
    limits = {entry["name"]: entry for entry in found["limits"]}
    assert (limits["max_domains"]["limit"], limits["max_domains"]["used"]) == (5, 1)
    assert limits["max_emails_per_day"]["override"] == {"reason": "a test", "ends_at": None}
    assert limits["max_contacts"] == {"name": "max_contacts", "limit": 5000, "used": None, "override": None}


async def test_refused_requests_are_counted_and_cost_nothing(
    client: ApiClient, services: Services, tenant: Tenant
) -> None:
    await limit(services, tenant, api_requests_per_day=7)
    for _ in range(2):
        await client.get("/v1/me")
    assert (await client.get("/v1/usage")).status_code == 200
    problem(await client.get("/v1/usage"), 429, "rate_limit_exceeded")
    await services.usage.flush()
    await limit(services, tenant, api_requests_per_day=None)
    found = await usage(client)
    row = next(row for row in found["by_operation"] if row["operation"] == "usage_get")
    assert (row["requests"], row["refused"], row["cost"]) == (2, 1, 5)


async def test_the_throttle_is_told_here_and_in_the_refusal(
    client: ApiClient, services: Services, tenant: Tenant, database: Database
) -> None:
    await make_domain(database, tenant, "acme.test")
    await service.set_plan(database, Actor.operator(tenant.id), "starter")
    await limit(services, tenant, max_emails_per_day=500)
    await database.worker.execute(
        "insert into sending_reputations (organization_id, factor, wanted, reason) values ($1, 0.25, 0.25, $2)",
        tenant.id,
        "complaints are 0.60% of the mail of the last 24 hours (6 of 1,000); the limit is 0.50%",
    )
    services.limits.forget()
    found = await usage(client)
    assert found["throttle"]["factor"] == 0.25
    assert next(q for q in found["quotas"] if q["name"] == "sends-day")["limit"] == 125
    many = {"emails": [MESSAGE] * 63}
    document = problem(await client.post("/v1/emails/batch", json=many), 429, "send_quota_exceeded")
    assert "cut to 25% of the plan's: complaints are 0.60%" in document["detail"]
    assert document["throttle"]["reason"] == found["throttle"]["reason"]


@pytest.mark.parametrize(
    "query",
    [
        "?start_date=2026-11-25&end_date=2026-11-24",
        "?end_date=2999-01-01",
        "?start_date=2020-01-01",
        "?start_date=yesterday",
        "?api_key_id=key_1",
        "?group=day",
    ],
)
async def test_what_cannot_be_asked(client: ApiClient, query: str) -> None:
    document = problem(await client.get("/v1/usage" + query), 422, "validation_failed")
    assert document["errors"][0]["pointer"] in query


async def test_usage_needs_its_scope(client: ApiClient, tenant: Tenant, database: Database) -> None:
    _, key = await create_key(database, tenant.id, mode="live", name="x", scopes=["emails:read"])
    problem(await client.as_(key).get("/v1/usage"), 403, "missing_scope")


async def thresholds(database: Database, tenant: Tenant) -> list[tuple[int, int]]:
    rows = await database.worker.fetch(
        "select sequence, payload from events where organization_id = $1 and type = 'usage.threshold_reached' "
        "order by sequence",
        tenant.id,
    )
    return [(row["sequence"], row["payload"]["threshold"]) for row in rows]


async def test_thresholds_are_told_once(
    client: ApiClient, services: Services, tenant: Tenant, database: Database
) -> None:
    await make_domain(database, tenant, "acme.test")
    await limit(services, tenant, max_emails_per_month=20)
    for _ in range(7):
        await client.post("/v1/emails", json=MESSAGE)
    await services.thresholds.look()
    assert await thresholds(database, tenant) == []
    await client.post("/v1/emails", json=MESSAGE)  # 16 of 20
    await services.thresholds.look()
    await services.thresholds.look()
    assert await thresholds(database, tenant) == [(1, 80)]
    for _ in range(2):
        await client.post("/v1/emails", json=MESSAGE)
    await services.thresholds.look()
    assert await thresholds(database, tenant) == [(1, 80), (2, 95), (3, 100)]
    event = next(e for e in (await client.get("/v1/events?types=usage.*")).json()["data"])
    assert (event["data"]["quota"], event["data"]["limit"], event["workspace_id"]) == ("sends-month", 20, None)


async def test_thresholds_are_told_once_by_many_processes(
    services: Services, tenant: Tenant, database: Database
) -> None:
    await limit(services, tenant, max_emails_per_day=1)
    await make_email(database, tenant)
    watches = [ThresholdWatch(database, services.doorbell, default_plan="self_hosted") for _ in range(4)]
    start = period(Span.DAY, utcnow()).start.timestamp()
    for watch in watches:
        watch.hint(tenant.id, "sends-day", start, 1, 1)
    await asyncio.gather(*(watch.look() for watch in watches))
    assert await thresholds(database, tenant) == [(1, 80), (2, 95), (3, 100)]


async def test_a_hint_waits_until_the_messages_agree(services: Services, tenant: Tenant, database: Database) -> None:
    await limit(services, tenant, max_emails_per_day=1)
    start = period(Span.DAY, utcnow()).start.timestamp()
    services.thresholds.hint(tenant.id, "sends-day", start, 1, 1)
    await services.thresholds.look()
    assert await thresholds(database, tenant) == []
    await make_email(database, tenant)
    await services.thresholds.look()
    assert len(await thresholds(database, tenant)) == 3
    services.thresholds.hint(tenant.id, "sends-day", start - 86400, 1, 1)
    await services.thresholds.look()  # of a day that is over
    assert services.thresholds._open == set()


async def test_the_forecast_says_when_it_runs_out(services: Services, tenant: Tenant, database: Database) -> None:
    await limit(services, tenant, max_emails_per_month=3000, max_emails_per_day=None)
    async with database.tenant(tenant.id) as session:
        limits = await service.limits_of(session, tenant.id)
    noon = utcnow().replace(day=15, hour=12, minute=0, second=0, microsecond=0)
    days = [(noon - timedelta(days=n)).date() for n in range(1, 7)] + [noon.date()]
    rows = [{"day": day, "mode": "live", "sends": 200 if day != noon.date() else 100} for day in days]
    [quota] = quotas_of(limits, rows, 0, noon)
    assert (quota.used, quota.per_day, quota.remaining) == (1300, 200.0, 1700)
    assert quota.exhausted_at == noon + timedelta(days=8.5)
    slow = [row | {"sends": 10} for row in rows]
    [quota] = quotas_of(limits, slow, 0, noon)
    assert (quota.used, quota.exhausted_at) == (70, None)  # whole again before
    [quota] = quotas_of(limits, [], 0, noon)
    assert (quota.per_day, quota.exhausted_at) == (0.0, None)
    [quota] = quotas_of(limits, [{"day": noon.date(), "mode": "live", "sends": 3000}], 0, noon)
    assert quota.exhausted_at == noon
