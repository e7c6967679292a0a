"""Many at once: emails cancelled, deliveries sent again."""

from __future__ import annotations

from typing import Any

import pytest

from penguinmails_core.kit import ids
from penguinmails_core.kit.clock import rfc3339, utcnow
from penguinmails_core.kit.db import Database
from penguinmails_core.kit.ids import new_uuid
from tests.fixtures.client import ApiClient, problem
from tests.fixtures.factories import Recipient, Tenant, make_email

ENDPOINT = {"url": "https://hooks.example.com/in", "events": ["email.*"]}


async def test_many_emails_are_cancelled_each_on_its_own(
    client: ApiClient, tenant: Tenant, stranger: Tenant, database: Database
) -> None:
    waiting = ids.encode("msg", await make_email(database, tenant))
    done = ids.encode("msg", await make_email(database, tenant, [Recipient("a@example.com", "delivered")]))
    theirs = ids.encode("msg", await make_email(database, stranger))
    body = {"ids": [done, waiting, theirs, "msg_nonsense", waiting]}
    response = await client.post("/v1/emails/cancel", json=body, idempotency_key="one")
    assert response.status_code == 207
    answer = response.json()
    assert [item["status"] for item in answer["data"]] == [409, 200, 404, 404, 200]
    assert [item["index"] for item in answer["data"]] == [0, 1, 2, 3, 4]
    assert (answer["cancelled"], answer["failed"]) == (2, 3)
    assert answer["data"][1]["email"]["status"] == "cancelled"
    assert answer["data"][0]["problem"]["code"] == "conflict"
    assert (await client.as_(stranger.key).get(f"/v1/emails/{theirs}")).json()["status"] == "queued"
    kinds = await database.worker.fetch("select resource_id from events where type = 'email.cancelled'")
    assert len(kinds) == 1
    assert (await client.post("/v1/emails/cancel", json=body, idempotency_key="one")).json() == answer


@pytest.mark.parametrize("body", [{"ids": []}, {"ids": ["msg_x"] * 101}, {}, {"ids": None}])
async def test_one_to_a_hundred(client: ApiClient, body: dict[str, Any]) -> None:
    problem(await client.post("/v1/emails/cancel", json=body), 422, "validation_failed")


async def deliveries(database: Database, tenant: Tenant, endpoint: str, *statuses: str) -> None:
    """One delivery in each of these statuses, of one event each; `lost`: exhausted, and its event is not kept."""
    event = await database.worker.fetchrow("select id, created_at from events limit 1")
    for status in statuses:
        lost = status == "lost"
        await database.worker.execute(
            "insert into webhook_deliveries (organization_id, id, endpoint_id, event_id, event_created_at, event_type, "
            "status) values ($1, $2, $3, $4, $5, 'email.queued', $6)",
            tenant.id,
            new_uuid(),
            ids.decode("whe", endpoint),
            new_uuid() if lost else event["id"],
            event["created_at"],
            "exhausted" if lost else status,
        )


async def made(client: ApiClient) -> str:
    endpoint: str = (await client.post("/v1/webhook_endpoints", json=ENDPOINT)).json()["id"]
    return endpoint


async def test_what_was_given_up_is_due_again(client: ApiClient, tenant: Tenant, database: Database) -> None:
    await make_email(database, tenant)
    first, second, third = await made(client), await made(client), await made(client)
    await deliveries(database, tenant, first, "exhausted", "lost")
    await deliveries(database, tenant, second, "cancelled")
    await deliveries(database, tenant, third, "delivered")

    async def resend(endpoint: str, **body: Any) -> int:
        response = await client.post(f"/v1/webhook_endpoints/{endpoint}/deliveries/resend", json=body)
        assert response.status_code == 202, response.text
        count: int = response.json()["resent"]
        return count

    assert await resend(first, since=rfc3339(utcnow())) == 0
    assert await resend(first) == 1
    assert await resend(first) == 0
    page = (await client.get(f"/v1/webhook_endpoints/{first}/deliveries")).json()["data"]
    assert sorted(item["status"] for item in page) == ["exhausted", "pending"]
    assert await resend(second) == 0
    assert await resend(second, status=["exhausted", "cancelled"]) == 1
    assert await resend(third, status=["exhausted", "cancelled"]) == 0


async def test_a_disabled_or_foreign_endpoint_gets_nothing(client: ApiClient, stranger: Tenant) -> None:
    endpoint = await made(client)
    path = f"/v1/webhook_endpoints/{endpoint}"
    problem(await client.as_(stranger.key).post(f"{path}/deliveries/resend", json={}), 404, "not_found")
    await client.patch(path, json={"status": "disabled"})
    problem(await client.post(f"{path}/deliveries/resend", json={}), 409, "conflict")
    problem(await client.post(f"{path}/deliveries/resend", json={"status": ["delivered"]}), 422, "validation_failed")
