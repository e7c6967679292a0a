"""The send rate follows complaints and bounces: down at once, up in steps, with data in a real database."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from penguinmails_core.audit.actor import Actor
from penguinmails_core.kit.clock import utcnow
from penguinmails_core.kit.db import Database
from penguinmails_core.kit.doorbell import Doorbell
from penguinmails_core.kit.ids import new_uuid
from penguinmails_core.limits import service
from penguinmails_core.limits.catalogue import Limit, OrganizationLimits, Throttle
from penguinmails_core.limits.reputation import RECOVERY, Reputation, judge
from tests.fixtures.factories import Tenant, make_tenant


@pytest.fixture
async def tenant(database: Database) -> Tenant:
    tenant = await make_tenant(database)
    await service.set_plan(database, Actor.operator(tenant.id), "business")
    return tenant


@pytest.fixture
def reputation(database: Database) -> Reputation:
    return Reputation(database, Doorbell())


async def outcomes(database: Database, tenant: Tenant, at: datetime, mode: str = "live", **counts: int) -> None:
    """Events as the sender writes them."""
    rows: list[tuple[Any, ...]] = [
        (tenant.id, new_uuid(), at, tenant.workspace_id, mode, f"email.{kind}", new_uuid(), 2, {})
        for kind, count in counts.items()
        for _ in range(count)
    ]
    await database.worker.executemany(
        "insert into events (organization_id, id, created_at, workspace_id, mode, type, resource_id, sequence, "
        "payload) values ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        rows,
    )


async def limits(database: Database, tenant: Tenant) -> OrganizationLimits:
    async with database.tenant(tenant.id) as session:
        return await service.limits_of(session, tenant.id)


async def test_rising_complaints_cut_the_rate_and_say_why(
    database: Database, tenant: Tenant, reputation: Reputation
) -> None:
    now = utcnow()
    await outcomes(database, tenant, now - timedelta(hours=1), delivered=997, complained=2)
    assert await reputation.run_once(now) == 0  # two complaints are no pattern
    await outcomes(database, tenant, now - timedelta(hours=1), complained=2)
    assert await reputation.run_once(now) == 1
    found = await limits(database, tenant)
    assert found.throttle is not None
    assert (found.throttle.factor, found.throttle.reference_per_day) == (0.5, 997)
    assert found.throttle.reason == (
        "complaints are 0.40% of the mail of the last 24 hours (4 of 997); the limit is 0.30%"
    )
    assert (found.sends.per_second, found.sends.per_day, found.sends.per_month) == (50, 20_000, 200_000)
    assert await reputation.run_once(now) == 0


async def test_it_gets_worse_at_once_and_better_in_steps(
    database: Database, tenant: Tenant, reputation: Reputation
) -> None:
    now = utcnow()
    await outcomes(database, tenant, now - timedelta(hours=1), delivered=800, bounced=200)
    await reputation.run_once(now)
    assert await factor(database, tenant) == 0.05
    # A day later the bounces are out of the short window, and a week later out of both.
    await database.worker.execute("delete from events where organization_id = $1", tenant.id)
    await database.worker.execute("delete from delivery_hours where organization_id = $1", tenant.id)
    seen = []
    for _ in range(5):
        await reputation.run_once(now + timedelta(minutes=5))  # too early: nothing moves
        now += RECOVERY
        await reputation.run_once(now)
        seen.append(await factor(database, tenant))
    assert seen == [0.25, 0.5, 0.75, 1.0, 1.0]
    assert (await limits(database, tenant)).throttle is None


async def factor(database: Database, tenant: Tenant) -> float:
    found = await database.worker.fetchrow(
        "select factor::float8, reason from sending_reputations where organization_id = $1", tenant.id
    )
    assert (found["reason"] is None) == (found["factor"] == 1)
    value: float = found["factor"]
    return value


async def test_while_recovering_the_reason_stays(database: Database, tenant: Tenant, reputation: Reputation) -> None:
    now = utcnow()
    await outcomes(database, tenant, now - timedelta(hours=30), delivered=900, bounced=100)
    await outcomes(database, tenant, now - timedelta(hours=1), delivered=100, bounced=30)
    await reputation.run_once(now)
    assert await factor(database, tenant) == 0.05
    await database.worker.execute("delete from delivery_hours where hour > $1", now - timedelta(hours=24))
    await database.worker.execute("delete from events where created_at > $1", now - timedelta(hours=24))
    await reputation.run_once(now + RECOVERY)
    found = await limits(database, tenant)
    assert found.throttle is not None
    assert found.throttle.factor == 0.25
    assert found.throttle.reason.startswith("bounces are 10.00% of the mail of the last 7 days")
    assert found.throttle.reason.endswith("; recovering")


async def test_test_mail_others_and_small_samples_do_not_count(
    database: Database, tenant: Tenant, reputation: Reputation
) -> None:
    now, other = utcnow(), await make_tenant(database, "Umbrella")
    await outcomes(database, tenant, now - timedelta(hours=1), mode="test", delivered=500, bounced=500)
    await outcomes(database, tenant, now - timedelta(hours=1), delivered=20, bounced=20, complained=20)
    await outcomes(database, other, now - timedelta(hours=1), delivered=500, bounced=500)
    assert await reputation.run_once(now) == 1
    assert (await limits(database, tenant)).throttle is None
    # The other is on the self-hosted plan, which does not throttle its own operator.
    assert (await limits(database, other)).throttle is None


async def test_thresholds_are_data(database: Database, tenant: Tenant, reputation: Reputation) -> None:
    now = utcnow()
    await database.worker.execute(
        "insert into reputation_rules (metric, window_hours, rate, min_sample, min_count, factor) "
        "values ('bounces', 48, 0.01, 10, 1, 0.9)"
    )
    await outcomes(database, tenant, now - timedelta(hours=40), delivered=98, bounced=2)
    assert await reputation.run_once(now) == 1
    assert await factor(database, tenant) == 0.9


async def test_the_change_is_in_the_audit_log(database: Database, tenant: Tenant, reputation: Reputation) -> None:
    await outcomes(database, tenant, utcnow(), delivered=500, bounced=500)
    await reputation.run_once(utcnow())
    row = await database.worker.fetchrow(
        "select actor_kind, after from audit_logs where organization_id = $1 "
        "and action = 'organization.send_rate_changed'",
        tenant.id,
    )
    assert (row["actor_kind"], row["after"]["factor"]) == ("system", 0.05)


def test_a_plan_without_a_day_limit_is_throttled_from_the_usual_volume() -> None:
    free: dict[Limit, Any] = {}
    for reference, expected in ((40_000, 10_000), (0, 100)):
        found = OrganizationLimits(new_uuid(), "enterprise", "Enterprise", free, {}, Throttle(0.25, "x", reference))
        assert found.sends.per_day == expected
        assert found.sends.per_month is None


def test_the_strictest_rule_counts() -> None:
    rules = [
        {"metric": "bounces", "window_hours": 24, "rate": 0.05, "min_sample": 10, "min_count": 1, "factor": 0.75},
        {"metric": "complaints", "window_hours": 24, "rate": 0.01, "min_sample": 10, "min_count": 1, "factor": 0.25},
    ]
    worst = judge(rules, {24: {"delivered": 90, "bounced": 10, "complained": 2}})
    assert worst.factor == 0.25
    assert judge(rules, {24: {"delivered": 90, "bounced": 10, "complained": 0}}).factor == 0.75
    assert judge(rules, {24: {"delivered": 5, "bounced": 1, "complained": 2}}).factor == 1
    assert judge(rules, {24: {}}).factor == 1
