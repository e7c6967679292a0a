"""`/v1/lanes`: an organization sees the lanes that it has mail in, and of what others do there nothing."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from penguinmails_core.api_keys.service import create_key
from penguinmails_core.kit import cursors, ids
from penguinmails_core.kit.clock import utcnow
from penguinmails_core.kit.db import Database
from penguinmails_core.kit.ids import new_uuid
from penguinmails_core.lanes import repository
from penguinmails_core.scopes import Scope
from tests.fixtures.client import ApiClient, problem
from tests.fixtures.factories import Tenant, make_tenant

WORDS = "5.7.1 part of their network is on our block list (S3150)"


async def lane(database: Database, *owners: UUID, group: str = "microsoft") -> UUID:
    """One lane that all of them have mail in."""
    [row] = await repository.ensure(database.worker, [(new_uuid(), "default", group)])
    await repository.join(database.worker, [(owner, row["id"]) for owner in owners])
    found: UUID = row["id"]
    return found


async def decide(database: Database, lane_id: UUID, *, owner: UUID | None = None, by: UUID, **columns: Any) -> UUID:
    decision = new_uuid()
    row = {"action": "pause", "rule": "microsoft.block_list", **columns}
    async with database.worker.acquire() as connection:
        await repository.write_decisions(
            connection,
            [
                (
                    decision,
                    lane_id,
                    owner,
                    utcnow(),
                    row["action"],
                    row["rule"],
                    "one such reply is enough",
                    3,
                    utcnow() + timedelta(hours=2),
                    '{"per_second": 100.0}',
                    '{"paused": true}',
                )
            ],
            [(by, new_uuid(), decision, "acme.test", "outlook.com", "blocked", 550, "5.7.1", WORDS)],
        )
    return decision


def path(lane_id: UUID, *rest: str) -> str:
    return "/".join((f"/v1/lanes/{ids.encode('lan', lane_id)}", *rest))


@pytest.fixture
async def other(database: Database) -> Tenant:
    return await make_tenant(database)


async def test_a_lane_shows_its_state_and_ones_own_mail(
    client: ApiClient, database: Database, tenant: Tenant, other: Tenant
) -> None:
    lane_id = await lane(database, tenant.id, other.id)
    async with database.worker.acquire() as connection:
        await repository.count(connection, [(tenant.id, lane_id, 5, 2, 1, 1), (other.id, lane_id, 900, 90, 9, 9)])
    await database.worker.execute(
        "update lanes set paused_until = now() + interval '1 hour', pause_rule = 'microsoft.block_list', "
        "pause_reason = 'blocked', sent_today = 905"
    )
    shown = (await client.get(path(lane_id))).json()
    assert (shown["source"], shown["provider_group"], shown["state"]) == ("default", "microsoft", "paused")
    assert (shown["rule"], shown["reason"]) == ("microsoft.block_list", "blocked")
    assert shown["today"] == {"sent": 5, "deferred": 2, "bounced": 1, "blocked": 1, "complained": 0}
    assert shown["hold"] == {"held": False, "since": None, "note": None}
    assert (await client.get("/v1/lanes")).json()["data"] == [shown]


async def test_lanes_of_others_are_not_there(
    client: ApiClient, database: Database, tenant: Tenant, other: Tenant
) -> None:
    theirs = await lane(database, other.id)
    await decide(database, theirs, by=other.id)
    assert (await client.get("/v1/lanes")).json()["data"] == []
    for answer in (
        await client.get(path(theirs)),
        await client.get(path(theirs, "decisions")),
        await client.post(path(theirs, "pause")),
        await client.post(path(theirs, "resume")),
    ):
        problem(answer, 404, "not_found")
    # Row-level security says so too, whatever a service asks.
    async with database.tenant(tenant.id) as session:
        assert (await session.execute(text("select count(*) from lane_decisions"))).scalar_one() == 0
        assert (await session.execute(text("select count(id) from lanes"))).scalar_one() == 0


async def test_decisions_show_the_words_to_those_whose_mail_they_answered(
    client: ApiClient, database: Database, tenant: Tenant, other: Tenant
) -> None:
    lane_id = await lane(database, tenant.id, other.id)
    mine = await decide(database, lane_id, by=tenant.id)
    theirs = await decide(database, lane_id, by=other.id, action="slow", rule="rate")
    await decide(database, lane_id, owner=other.id, by=other.id, action="pause_domain", rule="authentication")
    shown = (await client.get(path(lane_id, "decisions"))).json()["data"]
    found = {item["id"]: item for item in shown}
    assert set(found) == {ids.encode("lde", theirs), ids.encode("lde", mine)}
    assert found[ids.encode("lde", theirs)]["evidence"] == []
    [evidence] = found[ids.encode("lde", mine)]["evidence"]
    assert (evidence["reply"], evidence["recipient_domain"], evidence["code"]) == (WORDS, "outlook.com", 550)
    assert found[ids.encode("lde", mine)]["after"] == {"paused": True}


async def test_decisions_come_page_by_page(client: ApiClient, database: Database, tenant: Tenant) -> None:
    lane_id = await lane(database, tenant.id)
    made = sorted([ids.encode("lde", await decide(database, lane_id, by=tenant.id)) for _ in range(5)])
    first = (await client.get(path(lane_id, "decisions"), params={"limit": 2})).json()
    rest = (await client.get(path(lane_id, "decisions"), params={"after": first["next_cursor"]})).json()
    back = (
        await client.get(path(lane_id, "decisions"), params={"before": _cursor(rest["data"][-1]), "limit": 3})
    ).json()
    assert [item["id"] for item in first["data"] + rest["data"]] == made[::-1]
    assert [item["id"] for item in back["data"]] == made[1:4][::-1]


def _cursor(item: dict[str, Any]) -> str:
    return cursors.encode_id(ids.decode("lde", item["id"]))


async def test_a_pause_is_ones_own(client: ApiClient, database: Database, tenant: Tenant, other: Tenant) -> None:
    lane_id = await lane(database, tenant.id, other.id)
    held = (await client.post(path(lane_id, "pause"), json={"note": "new landing page"})).json()
    assert held["hold"]["held"] is True
    assert held["hold"]["note"] == "new landing page"
    assert held["state"] == "open"
    again = (await client.post(path(lane_id, "pause"))).json()
    assert again["hold"]["since"] == held["hold"]["since"]
    rows = await database.worker.fetch("select organization_id from lane_members where paused_at is not null")
    assert [row["organization_id"] for row in rows] == [tenant.id]
    entries = (await client.get("/v1/audit_logs")).json()["data"]
    assert [entry["action"] for entry in entries][:2] == ["lane.paused", "lane.paused"]
    gone = (await client.post(path(lane_id, "resume"))).json()
    assert gone["hold"] == {"held": False, "since": None, "note": None}
    assert (await client.post(path(lane_id, "resume"))).status_code == 200


async def test_who_may_only_read_cannot_pause(client: ApiClient, database: Database, tenant: Tenant) -> None:
    lane_id = await lane(database, tenant.id)
    _, key = await create_key(database, tenant.id, mode="live", name="reader", scopes=[Scope.LANES_READ])
    reader = client.as_(key)
    assert (await reader.get(path(lane_id))).status_code == 200
    problem(await reader.post(path(lane_id, "pause")), 403, "missing_scope")


async def test_a_note_has_its_bounds(client: ApiClient, database: Database, tenant: Tenant) -> None:
    lane_id = await lane(database, tenant.id)
    for note in ("x" * 501, "a\0b"):
        problem(await client.post(path(lane_id, "pause"), json={"note": note}), 422, "validation_failed")


async def test_a_slowed_lane_says_how_fast_it_is(client: ApiClient, database: Database, tenant: Tenant) -> None:
    lane_id = await lane(database, tenant.id)
    await database.worker.execute(
        "update lanes set crawl_until = now() + interval '1 hour', crawl_per_second = 0.25, daily_cap = 50, "
        "cap_reason = 'standard, day 1'"
    )
    shown = (await client.get(path(lane_id))).json()
    assert shown["state"] == "slowed"
    assert shown["limits"]["per_second"] == 0.25
    assert (shown["limits"]["daily_cap"], shown["limits"]["daily_cap_reason"]) == (50, "standard, day 1")
