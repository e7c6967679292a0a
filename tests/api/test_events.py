"""The recoverable log: in commit order, from anywhere, and nothing is skipped."""

from __future__ import annotations

import asyncio
import random
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from penguinmails_api.services import Services
from penguinmails_core.events import service
from penguinmails_core.events.repository import EventFilter, Position
from penguinmails_core.kit import cursors, ids
from penguinmails_core.kit.clock import utcnow
from penguinmails_core.kit.db import Database
from tests.fixtures.client import ApiClient, problem
from tests.fixtures.factories import Recipient, Tenant, make_email, make_event


async def read_all(client: ApiClient, query: str = "", limit: int = 2) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    cursor = None
    while True:
        after = f"&after={cursor}" if cursor else ""
        page = (await client.get(f"/v1/events?limit={limit}{query}{after}")).json()
        found += page["data"]
        if not page["has_more"]:
            return found
        cursor = page["next_cursor"]


async def test_events_are_what_webhooks_get(client: ApiClient, database: Database, tenant: Tenant) -> None:
    email_id = await make_email(database, tenant, [Recipient("ada@example.com")])
    (event,) = await read_all(client)
    assert (event["type"], event["sequence"], event["schema_version"]) == ("email.queued", 1, 1)
    assert event["data"]["email_id"] == ids.encode("msg", email_id)
    assert (await client.get(f"/v1/events/{event['id']}")).json() == event


async def test_the_log_is_read_on_from_a_cursor_or_an_event(
    client: ApiClient, database: Database, tenant: Tenant
) -> None:
    for number in range(5):
        await make_email(database, tenant, subject=str(number))
    events = await read_all(client)
    assert [event["data"]["subject"] for event in events] == list("01234")
    rest = (await client.get(f"/v1/events?after={events[2]['id']}")).json()
    assert [event["data"]["subject"] for event in rest["data"]] == ["3", "4"]
    end = (await client.get(f"/v1/events?after={events[4]['id']}")).json()
    assert end == {"data": [], "has_more": False, "next_cursor": None}
    await make_email(database, tenant, subject="5")
    more = (await client.get(f"/v1/events?after={events[4]['id']}")).json()
    assert [event["data"]["subject"] for event in more["data"]] == ["5"]


async def test_filters(client: ApiClient, database: Database, tenant: Tenant) -> None:
    one, two = Recipient("a@example.com"), Recipient("b@example.com")
    email_id = await make_email(database, tenant, [one, two])
    await client.post(f"/v1/emails/{ids.encode('msg', email_id)}/cancel")
    assert len(await read_all(client, "&types=email.*")) == 4
    assert [event["type"] for event in await read_all(client, "&types=email.cancelled")] == ["email.cancelled"] * 2
    assert await read_all(client, "&types=webhook.*") == []
    assert len(await read_all(client, "&types=webhook.*&types=email.queued")) == 2
    mine = await read_all(client, f"&resource_id={ids.encode('rcp', one.id)}")
    assert [event["sequence"] for event in mine] == [1, 2]


async def test_bad_parameters_are_named(client: ApiClient) -> None:
    for query, parameter in (
        ("types=email.lost", "types"),
        ("resource_id=msg_x", "resource_id"),
        ("resource_id=rcp_x", "resource_id"),
        ("after=AQID", "after"),
        ("after=evt_x", "after"),
        ("after=" + ids.encode("evt", ids.new_uuid()), "after"),
        ("limit=101", "limit"),
    ):
        document = problem(await client.get("/v1/events?" + query), 422, "validation_failed")
        assert document["errors"][0]["pointer"].startswith(parameter)


async def test_an_email_s_events_are_its_own(client: ApiClient, database: Database, tenant: Tenant) -> None:
    one = await make_email(database, tenant, [Recipient("a@example.com"), Recipient("b@example.com")])
    await make_email(database, tenant)
    first = (await client.get(f"/v1/emails/{ids.encode('msg', one)}/events?limit=1")).json()
    assert first["has_more"]
    second = (await client.get(f"/v1/emails/{ids.encode('msg', one)}/events?after={first['next_cursor']}")).json()
    seen = first["data"] + second["data"]
    assert {event["data"]["recipient"]["address"] for event in seen} == {"a@example.com", "b@example.com"}


async def test_a_late_commit_is_never_skipped(client: ApiClient, database: Database, tenant: Tenant) -> None:
    """An older transaction commits after a younger one was already there to read."""
    async with database.worker.acquire() as slow, database.worker.acquire() as fast:
        late = slow.transaction()
        await late.start()
        late_id = await make_event(slow, tenant.id, tenant.workspace_id, ids.new_uuid(), _data("late"))
        async with fast.transaction():
            await make_event(fast, tenant.id, tenant.workspace_id, ids.new_uuid(), _data("early"))
        seen = await read_all(client)
        assert seen == []  # held back while the older transaction is open
        await late.commit()
    seen = await read_all(client, limit=1)
    assert [event["data"]["subject"] for event in seen] == ["late", "early"]
    assert seen[0]["id"] == ids.encode("evt", late_id)


async def test_a_reader_among_writers_misses_nothing(services: Services, database: Database, tenant: Tenant) -> None:
    """Writers hold transactions open for different times while a reader follows the log."""
    chance = random.Random(7)
    written: list[Any] = []

    async def write(count: int) -> None:
        for _ in range(count):
            async with database.worker.acquire() as connection, connection.transaction():
                event = await make_event(connection, tenant.id, tenant.workspace_id, ids.new_uuid(), _data("x"))
                await asyncio.sleep(chance.choice([0, 0, 0.002, 0.02]))
            written.append(event)

    read: list[Any] = []
    position: Position | None = None

    async def follow() -> None:
        nonlocal position
        async with services.database.tenant(tenant.id) as session:
            rows, _ = await service.list_events(session, tenant.principal(), EventFilter(), after=position, limit=7)
        if rows:
            read.extend(row["id"] for row in rows)
            position = Position.of(rows[-1])

    writers = asyncio.gather(*(write(25) for _ in range(4)))
    while not writers.done():
        await follow()
    await writers
    while len(read) < len(written):
        before = len(read)
        await follow()
        assert len(read) > before, f"{len(written) - before} events were skipped"
    assert sorted(read) == sorted(written)
    assert len(set(read)) == len(read)


def _data(subject: str) -> dict[str, Any]:
    return {
        "email_id": ids.encode("msg", ids.new_uuid()),
        "recipient_id": ids.encode("rcp", ids.new_uuid()),
        "recipient": {"address": "ada@example.com", "name": None, "kind": "to"},
        "from": "hello@acme.test",
        "subject": subject,
        "class": "transactional",
        "tags": [],
        "metadata": {},
        "message_id": "x@acme.test",
    }


async def test_a_place_from_before_all_that_is_kept(client: ApiClient, database: Database, tenant: Tenant) -> None:
    """410 tells where to go on: never an empty page that looks like the end of the log."""
    await make_email(database, tenant)
    (event,) = await read_all(client)
    old = uuid_from(utcnow() - timedelta(days=31))
    places = [ids.encode("evt", old), cursors.encode_position(1, old)]
    for place in places:
        for path in ("/v1/events", "/v1/events/stream"):
            document = problem(await client.get(f"{path}?after={place}"), 410, "event_expired")
            assert document["oldest_event_id"] == event["id"]
    document = problem(
        await client.get("/v1/events/stream", headers={"Last-Event-ID": places[0]}), 410, "event_expired"
    )
    assert "30 days" in document["detail"]
    # Whoever keeps them longer may go on from there, if it was ever an event of theirs.
    await client.patch("/v1/organization", json={"event_retention_days": 60})
    assert (await read_all(client, f"&types=email.*&after={places[1]}")) == [event]
    problem(await client.get(f"/v1/events?after={places[0]}"), 422, "validation_failed")


async def test_what_is_older_than_the_organization_keeps_is_not_shown(
    client: ApiClient, database: Database, tenant: Tenant
) -> None:
    """At once, and not only when housekeeping has been there."""
    await make_email(database, tenant)
    (event,) = await read_all(client)
    old = uuid_from(utcnow() - timedelta(days=8))
    await database.worker.execute(
        "insert into events select organization_id, $1, created_at - interval '8 days', workspace_id, mode, type, "
        "resource_id, 2, schema_version, payload from events",
        old,
    )
    assert [row["sequence"] for row in await read_all(client)] == [1, 2]
    changed = await client.patch("/v1/organization", json={"event_retention_days": 7})
    assert changed.json()["event_retention_days"] == 7
    assert await read_all(client, "&types=email.*") == [event]
    problem(await client.get(f"/v1/events/{ids.encode('evt', old)}"), 404, "not_found")
    for days in (0, 91, "x", None):
        response = await client.patch("/v1/organization", json={"event_retention_days": days})
        assert problem(response, 422, "validation_failed")["errors"][0]["pointer"] == "/event_retention_days"


def uuid_from(moment: datetime) -> UUID:
    """A UUIDv7 of that time."""
    return UUID(int=(int(moment.timestamp() * 1000) << 80) | 7 << 76 | 2 << 62)
