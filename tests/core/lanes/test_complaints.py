"""Complaints are counted for their lane, and too many stop it, whoever's mail it was; nobody else's lane."""

from __future__ import annotations

from uuid import UUID

from penguinmails_core.kit.db import Database
from penguinmails_core.kit.ids import new_uuid
from penguinmails_core.lanes import repository
from penguinmails_core.lanes.complaints import complained

ONE, TWO = UUID(int=1), UUID(int=2)
YAHOO, GOOGLE = "live/campaign/default/yahoo", "live/transactional/default/google"


async def lanes(database: Database, sent: int) -> dict[str, UUID]:
    made = [(new_uuid(), "default", group) for group in ("google", "yahoo")]
    rows = {row["provider_group"]: row["id"] for row in await repository.ensure(database.worker, made)}
    async with database.worker.acquire() as connection:
        await repository.count(connection, [(ONE, lane, sent, 0, 0, 0) for lane in rows.values()])
    return rows


async def complain(database: Database, *recipients: tuple[UUID, str]) -> list[UUID]:
    async with database.worker.acquire() as connection, connection.transaction():
        return await complained(connection, recipients)


async def paused(database: Database) -> list[str]:
    rows = await database.worker.fetch("select provider_group from lanes where paused_until > now()")
    return [row["provider_group"] for row in rows]


async def test_a_burst_stops_the_right_lane_once(database: Database) -> None:
    made = await lanes(database, 1000)
    assert await complain(database, *[(ONE, YAHOO)] * 3, (TWO, GOOGLE)) == []
    assert await complain(database, *[(TWO, YAHOO)] * 2) == [made["yahoo"]]
    assert await paused(database) == ["yahoo"]
    [decision] = await database.worker.fetch("select * from lane_decisions")
    assert (decision["action"], decision["rule"], decision["organization_id"]) == ("pause", "complaints", None)
    assert decision["why"].startswith("5 complaints about 1000 messages")
    # What is complained about later left before the pause: it does not pause again for a day.
    assert await complain(database, (ONE, YAHOO)) == []
    await database.worker.execute("update lanes set paused_until = null")
    assert await complain(database, (ONE, YAHOO)) == []
    counted = await database.worker.fetch(
        "select organization_id, complained from lane_days where lane_id = $1 order by organization_id", made["yahoo"]
    )
    assert [tuple(row) for row in counted] == [(ONE, 5), (TWO, 2)]


async def test_few_among_many_stop_nothing(database: Database) -> None:
    await lanes(database, 10_000)
    assert await complain(database, *[(ONE, YAHOO)] * 29) == []
    assert await paused(database) == []
    assert await complain(database, (ONE, YAHOO)) != []


async def test_test_mode_and_lanes_that_are_not_there_count_nothing(database: Database) -> None:
    assert await complain(database, *[(ONE, "test/campaign/default/yahoo")] * 9, *[(ONE, YAHOO)] * 9) == []
    assert await database.worker.fetch("select * from lane_days") == []
