"""Reading messages, and changing what still waits."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from penguinmails_api.services import Services
from penguinmails_core.content.service import ContentService
from penguinmails_core.content.stores import RowStore
from penguinmails_core.kit import ids
from penguinmails_core.kit.clock import rfc3339, utcnow
from penguinmails_core.kit.db import Database, create_pool
from penguinmails_core.register import WORKER_ROLE
from tests.fixtures.client import ApiClient, problem
from tests.fixtures.factories import Recipient, Tenant, make_content, make_email


def path(email_id: Any, tail: str = "") -> str:
    return f"/v1/emails/{ids.encode('msg', email_id)}{tail}"


async def listed(client: ApiClient, query: str) -> list[str]:
    response = await client.get("/v1/emails?" + query)
    assert response.status_code == 200, response.text
    return [email["subject"] for email in response.json()["data"]]


async def events_of(client: ApiClient, email_id: Any) -> list[tuple[str, int]]:
    data = (await client.get(path(email_id, "/events"))).json()["data"]
    return [(event["type"], event["sequence"]) for event in data]


async def test_an_email_shows_each_recipient(client: ApiClient, database: Database, tenant: Tenant) -> None:
    email_id = await make_email(
        database,
        tenant,
        [
            Recipient("ada@example.com", "delivered", code=250, reply="OK", attempts=1),
            Recipient("bob@example.com", "bounced", kind="cc", code=550, reply="No such user", attempts=2),
        ],
        tags=["welcome"],
        metadata={"user_id": "42"},
    )
    email = (await client.get(path(email_id))).json()
    assert (email["id"], email["status"], email["class"]) == (ids.encode("msg", email_id), "partial", "transactional")
    assert email["from"] == {"address": "hello@acme.test", "name": None}
    assert (email["tags"], email["metadata"]) == (["welcome"], {"user_id": "42"})
    assert email["message_id"] == email["id"] + "@acme.test"
    ada, bob = email["recipients"]
    assert (ada["kind"], ada["status"], ada["attempts"], ada["next_attempt_at"]) == ("to", "delivered", 1, None)
    assert bob["last_reply"] == {"code": 550, "enhanced_code": None, "reply": "No such user"}


async def test_pages_follow_each_other_in_both_directions(
    client: ApiClient, database: Database, tenant: Tenant
) -> None:
    start = utcnow() - timedelta(hours=1)
    for number in range(7):
        await make_email(database, tenant, subject=str(number), created_at=start + timedelta(minutes=number))
    pages, cursor, cursors = [], None, []
    while True:
        page = (await client.get("/v1/emails", params={"limit": 3} | ({"after": cursor} if cursor else {}))).json()
        pages.append([email["subject"] for email in page["data"]])
        if not page["has_more"]:
            assert page["next_cursor"] is None
            break
        cursor = page["next_cursor"]
        cursors.append(cursor)
    assert pages == [["6", "5", "4"], ["3", "2", "1"], ["0"]]
    back = (await client.get("/v1/emails", params={"limit": 2, "before": cursors[1]})).json()
    assert [email["subject"] for email in back["data"]] == ["3", "2"]
    assert back["has_more"]
    back = (await client.get("/v1/emails", params={"limit": 9, "before": back["next_cursor"]})).json()
    assert [email["subject"] for email in back["data"]] == ["6", "5", "4"]
    assert not back["has_more"]


async def test_filters(client: ApiClient, database: Database, tenant: Tenant) -> None:
    now = utcnow()
    ada, bob = Recipient("ada@example.com", "failed"), Recipient("bob@example.com")
    ago = [now - timedelta(minutes=minutes) for minutes in range(4)]
    tomorrow = now + timedelta(days=1)
    await make_email(database, tenant, [ada], subject="dead", tags=["a", "b"], created_at=ago[3])
    await make_email(database, tenant, [bob], subject="waits", tags=["b"], created_at=ago[2])
    bob = Recipient("bob@example.com")
    await make_email(database, tenant, [bob], subject="later", scheduled_at=tomorrow, created_at=ago[1])
    await make_email(
        database,
        tenant,
        [Recipient("bob@example.com", "delivered"), Recipient("cyd@example.com", "deferred", kind="bcc")],
        subject="mixed",
        from_address="news@other.test",
        created_at=now - timedelta(days=3),
    )
    assert await listed(client, "status=failed") == ["dead"]
    assert await listed(client, "status=queued") == ["waits"]
    assert await listed(client, "status=scheduled") == ["later"]
    assert await listed(client, "status=failed&status=deferred") == ["dead", "mixed"]
    assert await listed(client, "to=bob@EXAMPLE.com&status=delivered") == ["mixed"]
    assert await listed(client, "to=bob@example.com&status=deferred") == []
    assert await listed(client, "to=cyd@example.com") == ["mixed"]
    assert await listed(client, "from=news@other.test") == ["mixed"]
    assert await listed(client, "domain=OTHER.test") == ["mixed"]
    assert await listed(client, "tag=b") == ["waits", "dead"]
    assert await listed(client, "tag=a&tag=b") == ["waits", "dead"]
    day_ago = rfc3339(now - timedelta(days=1))
    assert await listed(client, f"created_before={day_ago}") == ["mixed"]
    assert await listed(client, f"created_after={day_ago}") == ["later", "waits", "dead"]


@pytest.mark.parametrize(
    ("statuses", "later", "expected"),
    [
        (["queued"], True, "scheduled"),
        (["queued", "queued"], False, "queued"),
        (["queued", "cancelled"], True, "queued"),
        (["sending", "queued"], False, "sending"),
        (["delivered", "deferred"], False, "deferred"),
        (["delivered", "delivered"], False, "delivered"),
        (["delivered", "failed"], False, "partial"),
    ],
)
async def test_the_status_is_derived(
    client: ApiClient, database: Database, tenant: Tenant, statuses: list[str], later: bool, expected: str
) -> None:
    recipients = [Recipient(f"r{number}@example.com", status) for number, status in enumerate(statuses)]
    at = utcnow() + timedelta(days=1) if later else None
    email_id = await make_email(database, tenant, recipients, scheduled_at=at)
    assert (await client.get(path(email_id))).json()["status"] == expected


async def test_cancel_stops_what_waits(client: ApiClient, database: Database, tenant: Tenant) -> None:
    recipients = [
        Recipient("a@example.com", "queued"),
        Recipient("b@example.com", "deferred"),
        Recipient("c@example.com", "delivered"),
    ]
    email_id = await make_email(database, tenant, recipients)
    email = (await client.post(path(email_id, "/cancel"))).json()
    assert [one["status"] for one in email["recipients"]] == ["cancelled", "cancelled", "delivered"]
    assert [one["next_attempt_at"] for one in email["recipients"]] == [None] * 3
    events = await events_of(client, email_id)
    assert sorted(events) == [("email.cancelled", 2)] * 2 + [("email.queued", 1)] * 3


async def test_cancel_twice_changes_nothing_more(client: ApiClient, database: Database, tenant: Tenant) -> None:
    email_id = await make_email(database, tenant)
    for _ in range(2):
        assert (await client.post(path(email_id, "/cancel"))).json()["status"] == "cancelled"
    assert await events_of(client, email_id) == [("email.queued", 1), ("email.cancelled", 2)]


async def test_cancel_says_why_it_cannot(client: ApiClient, database: Database, tenant: Tenant) -> None:
    email_id = await make_email(
        database, tenant, [Recipient("a@example.com", "delivered"), Recipient("b@example.com", "sending")]
    )
    document = problem(await client.post(path(email_id, "/cancel")), 409, "conflict")
    assert "1 is delivered" in document["detail"]
    assert "1 is sending" in document["detail"]
    assert document["current_status"] == "sending"


async def test_reschedule_moves_the_due_time_and_the_end_of_life(
    client: ApiClient, database: Database, tenant: Tenant
) -> None:
    email_id = await make_email(database, tenant, scheduled_at=utcnow() + timedelta(hours=1))
    before = (await client.get(path(email_id))).json()
    at = rfc3339(utcnow() + timedelta(days=2))
    email = (await client.patch(path(email_id), json={"scheduled_at": at})).json()
    assert (email["scheduled_at"], email["status"]) == (at, "scheduled")
    assert email["recipients"][0]["next_attempt_at"] == at
    assert email["expires_at"] > before["expires_at"]
    events = (await client.get(path(email_id, "/events"))).json()["data"]
    assert [(event["type"], event["sequence"]) for event in events] == [("email.scheduled", 1), ("email.scheduled", 2)]
    assert events[1]["data"]["scheduled_at"] == at


async def test_a_time_that_has_passed_means_now(client: ApiClient, database: Database, tenant: Tenant) -> None:
    email_id = await make_email(database, tenant, scheduled_at=utcnow() + timedelta(hours=1))
    email = (await client.patch(path(email_id), json={"scheduled_at": "2020-01-01T00:00:00Z"})).json()
    assert email["status"] == "queued"
    assert email["expires_at"] > rfc3339(utcnow() + timedelta(hours=71))


async def test_reschedule_has_limits(client: ApiClient, database: Database, tenant: Tenant) -> None:
    email_id = await make_email(database, tenant)
    far = rfc3339(utcnow() + timedelta(days=400))
    document = problem(await client.patch(path(email_id), json={"scheduled_at": far}), 422, "validation_failed")
    assert document["errors"][0]["pointer"] == "/scheduled_at"
    partly = await make_email(
        database, tenant, [Recipient("a@example.com", "sending"), Recipient("b@example.com", "queued")]
    )
    soon = rfc3339(utcnow() + timedelta(days=1))
    problem(await client.patch(path(partly), json={"scheduled_at": soon}), 409, "conflict")
    email = (await client.get(path(partly))).json()
    assert [one["next_attempt_at"] == soon for one in email["recipients"]] == [False, False]
    assert await events_of(client, partly) == [("email.queued", 1)] * 2


async def test_retry_revives_only_the_failed(client: ApiClient, database: Database, tenant: Tenant) -> None:
    email_id = await make_email(
        database,
        tenant,
        [
            Recipient("a@example.com", "failed", reason="expired", attempts=9),
            Recipient("b@example.com", "bounced"),
            Recipient("c@example.com", "delivered"),
        ],
        created_at=utcnow() - timedelta(days=20),
    )
    email = (await client.post(path(email_id, "/retry"))).json()
    assert [one["status"] for one in email["recipients"]] == ["queued", "bounced", "delivered"]
    assert email["recipients"][0]["next_attempt_at"]
    assert email["recipients"][0]["reason"] is None
    assert email["expires_at"] > rfc3339(utcnow() + timedelta(hours=71))
    assert ("email.queued", 2) in await events_of(client, email_id)


async def test_retry_says_why_it_cannot(client: ApiClient, database: Database, tenant: Tenant) -> None:
    delivered = await make_email(database, tenant, [Recipient("a@example.com", "delivered")])
    problem(await client.post(path(delivered, "/retry")), 409, "conflict")
    unknown = await make_email(
        database, tenant, [Recipient("a@example.com", "failed", reason="outcome_unknown")], message_class="campaign"
    )
    document = problem(await client.post(path(unknown, "/retry")), 409, "conflict")
    assert "never sent twice" in document["detail"]


async def test_cancel_loses_against_a_claim_that_came_first(
    client: ApiClient, database: Database, tenant: Tenant
) -> None:
    """A sender holds the row: cancel waits for it, looks again and does not touch what is being sent."""
    email_id = await make_email(database, tenant)
    async with database.worker.acquire() as connection:
        async with connection.transaction():
            await connection.execute(
                "update email_recipients set status = 'sending', due_at = null where message_id = $1", email_id
            )
            cancel = asyncio.create_task(client.post(path(email_id, "/cancel")))
            while not await connection.fetchval("select count(*) from pg_locks where not granted"):
                await asyncio.sleep(0.005)
        response = await cancel
    problem(response, 409, "conflict")
    assert (await client.get(path(email_id))).json()["status"] == "sending"


async def test_content_that_is_gone_or_away(
    client: ApiClient, services: Services, database: Database, tenant: Tenant
) -> None:
    email_id = await make_email(database, tenant)
    document = problem(await client.get(path(email_id, "/content")), 404, "not_found")
    assert "no longer kept" in document["detail"]
    away = await create_pool(database.dsn, WORKER_ROLE, size=1, name="content")
    await away.close()
    real, services.content = services.content, ContentService(away, RowStore(), own_server=True)
    problem(await client.get(path(email_id, "/content")), 503, "unavailable")
    assert (await client.get(path(email_id))).status_code == 200
    services.content = real


async def test_content_is_given_back_as_it_was_sent(client: ApiClient, database: Database, tenant: Tenant) -> None:
    email_id = await make_email(database, tenant)
    await make_content(database, tenant, email_id, filename='Röchnung".pdf')
    content = (await client.get(path(email_id, "/content"))).json()
    assert (content["text"], content["html"]) == ("Hello", None)
    assert content["headers"] == {"X-Campaign": "spring"}
    (attachment,) = content["attachments"]
    assert (attachment["filename"], attachment["size"]) == ('Röchnung".pdf', 4)
    file = await client.get(path(email_id, f"/attachments/{attachment['id']}"))
    assert (file.status_code, file.content) == (200, b"%PDF")
    assert file.headers["content-disposition"].startswith("attachment;")
    assert file.headers["content-type"] == "application/octet-stream"
    other = ids.encode("att", ids.new_uuid())
    problem(await client.get(path(email_id, f"/attachments/{other}")), 404, "not_found")
