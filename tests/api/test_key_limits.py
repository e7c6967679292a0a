"""What a key may send, held on the way in: single messages, batches, batches in part."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from penguinmails_core.api_keys.service import create_key
from penguinmails_core.kit import ids
from penguinmails_core.kit.clock import rfc3339, utcnow
from penguinmails_core.kit.db import Database
from tests.fixtures.client import ApiClient, problem
from tests.fixtures.factories import Recipient, Tenant, make_domain, make_email, make_workspace


def message(sender: str = "hello@acme.test", to: int = 1) -> dict[str, Any]:
    return {"from": sender, "to": [f"r{number}@example.com" for number in range(to)], "subject": "Hi", "text": "Hi"}


async def send(client: ApiClient, body: dict[str, Any], **options: Any) -> Any:
    return await client.post("/v1/emails", json=body, **options)


async def batch(client: ApiClient, *bodies: dict[str, Any], partial: bool = False, **options: Any) -> Any:
    query = "?partial=true" if partial else ""
    return await client.post(f"/v1/emails/batch{query}", json={"emails": list(bodies)}, **options)


async def limited(client: ApiClient, database: Database, tenant: Tenant, **limits: Any) -> ApiClient:
    _, secret = await create_key(database, tenant.id, mode="test", name="limited", **limits)
    return client.as_(secret)


async def derived(client: ApiClient, parent: ApiClient, **members: Any) -> ApiClient:
    me = (await parent.get("/v1/me")).json()["api_key"]["id"]
    body = {"name": "child", "scopes": ["emails:write"], **members}
    made = await parent.post(f"/v1/api_keys/{me}/derive", json=body)
    assert made.status_code == 201, made.text
    return client.as_(made.json()["secret"])


async def sent_today(database: Database) -> list[int]:
    return [row["sends"] for row in await database.worker.fetch("select sends from api_key_sends order by api_key_id")]


async def count_messages(database: Database) -> int:
    count: int = await database.worker.fetchval("select count(*) from email_messages")
    return count


@pytest.mark.parametrize(
    ("limits", "good", "bad", "constraint", "value"),
    [
        (
            {"allowed_mailboxes": ["orders@acme.test"]},
            "Orders <ORDERS@Acme.test>",
            "hello@acme.test",
            "allowed_mailboxes",
            "hello@acme.test",
        ),
        ({"allowed_domains": ["acme.test"]}, "a@ACME.test", "a@mail.acme.test", "allowed_domains", "mail.acme.test"),
        ({"allowed_domains": ["bücher.example"]}, "a@bücher.example", "a@acme.test", "allowed_domains", "acme.test"),
    ],
)
async def test_senders(
    client: ApiClient,
    database: Database,
    tenant: Tenant,
    limits: dict[str, Any],
    good: str,
    bad: str,
    constraint: str,
    value: str,
) -> None:
    caller = await limited(client, database, tenant, **limits)
    assert (await send(caller, message(good))).status_code == 202
    assert (await batch(caller, message(good), message(good))).status_code == 202
    refused = problem(await send(caller, message(bad)), 403, "constraint_violated")
    assert (refused["constraint"], refused["value"], len(refused["limit"])) == (constraint, value, 1)
    assert [error["pointer"] for error in refused["errors"]] == ["/from"]
    before = await count_messages(database)
    refused = problem(await batch(caller, message(good), message(bad)), 403, "constraint_violated")
    assert [error["pointer"] for error in refused["errors"]] == ["/emails/1/from"]
    assert refused["constraint"] == constraint
    assert await count_messages(database) == before
    some = await batch(caller, message(bad), message(good), partial=True)
    assert some.status_code == 207
    assert [item["status"] for item in some.json()["data"]] == [403, 202]
    assert some.json()["data"][0]["problem"]["constraint"] == constraint
    child = await derived(client, caller)
    problem(await send(child, message(bad)), 403, "constraint_violated")
    assert (await send(child, message(good))).status_code == 202


async def test_both_sender_limits_hold_together(client: ApiClient, database: Database, tenant: Tenant) -> None:
    limits = {"allowed_mailboxes": ["a@one.test", "a@two.test"], "allowed_domains": ["one.test"]}
    caller = await limited(client, database, tenant, **limits)
    assert (await send(caller, message("a@one.test"))).status_code == 202
    for sender in ("a@two.test", "b@one.test"):
        problem(await send(caller, message(sender)), 403, "constraint_violated")


async def test_foreign_mail_is_not_sent_again(client: ApiClient, database: Database, tenant: Tenant) -> None:
    caller = await limited(client, database, tenant, allowed_mailboxes=["orders@acme.test"])
    for sender, status in (("hello@acme.test", 403), ("orders@acme.test", 200)):
        failed = [Recipient("ada@example.com", status="failed")]
        email_id = ids.encode("msg", await make_email(database, tenant, failed, mode="test", from_address=sender))
        assert (await caller.post(f"/v1/emails/{email_id}/retry")).status_code == status
        waiting = [Recipient("ada@example.com")]
        email_id = ids.encode("msg", await make_email(database, tenant, waiting, mode="test", from_address=sender))
        later = rfc3339(utcnow() + timedelta(hours=1))
        moved = await caller.patch(f"/v1/emails/{email_id}", json={"scheduled_at": later})
        assert moved.status_code == status, moved.text


async def test_a_daily_cap_counts_recipients(client: ApiClient, database: Database, tenant: Tenant) -> None:
    caller = await limited(client, database, tenant, max_sends_per_day=5)
    assert (await send(caller, message(to=3))).status_code == 202
    response = await send(caller, message(to=3))
    refused = problem(response, 429, "send_limit_reached")
    assert (refused["constraint"], refused["value"], refused["limit"], refused["left"]) == (
        "max_sends_per_day",
        3,
        5,
        2,
    )
    assert 0 < int(response.headers["retry-after"]) <= 86_400
    assert (await send(caller, message(to=2))).status_code == 202
    problem(await batch(caller, message()), 429, "send_limit_reached")
    too_many = problem(await send(caller, message(to=6)), 403, "constraint_violated")
    assert (too_many["value"], too_many["limit"]) == (6, 5)
    assert await sent_today(database) == [5]
    assert await count_messages(database) == 2


async def test_a_new_day_counts_anew(client: ApiClient, database: Database, tenant: Tenant) -> None:
    caller = await limited(client, database, tenant, max_sends_per_day=1)
    assert (await send(caller, message())).status_code == 202
    problem(await send(caller, message()), 429, "send_limit_reached")
    await database.worker.execute("update api_key_sends set day = day - 1")
    assert (await send(caller, message())).status_code == 202


async def test_a_batch_is_counted_as_a_whole(client: ApiClient, database: Database, tenant: Tenant) -> None:
    caller = await limited(client, database, tenant, max_sends_per_day=5)
    assert (await batch(caller, message(to=2), message())).status_code == 202
    problem(await batch(caller, message(), message(), message()), 429, "send_limit_reached")
    some = (await batch(caller, message(to=4), message(to=6), message(), message(), message(), partial=True)).json()
    assert [item["status"] for item in some["data"]] == [429, 403, 202, 202, 429]
    assert (some["accepted"], some["failed"]) == (2, 3)
    assert some["data"][0]["problem"]["code"] == "send_limit_reached"
    assert await sent_today(database) == [5]
    none = await batch(caller, message(), partial=True)
    assert [item["status"] for item in none.json()["data"]] == [429]
    assert await count_messages(database) == 4


async def test_a_replay_costs_nothing(client: ApiClient, database: Database, tenant: Tenant) -> None:
    """Also when the cap is reached: a client that missed its answer must not think that nothing was sent."""
    caller = await limited(client, database, tenant, max_sends_per_day=5)
    first = await send(caller, message(to=2), idempotency_key="one")
    assert (await send(caller, message(to=2), idempotency_key="one")).json() == first.json()
    assert await sent_today(database) == [2]
    some = await batch(caller, message(to=2), message(to=2), partial=True, idempotency_key="two")
    assert [item["status"] for item in some.json()["data"]] == [202, 429]
    assert (await send(caller, message(), idempotency_key="three")).status_code == 202
    again = await send(caller, message(to=2), idempotency_key="one")
    assert (again.status_code, again.json()) == (202, first.json())
    assert again.headers["idempotency-replayed"] == "true"
    again = await batch(caller, message(to=2), message(to=2), partial=True, idempotency_key="two")
    assert again.json() == some.json()
    problem(await send(caller, message(to=3), idempotency_key="one"), 422, "idempotency_key_reused")
    problem(await send(caller, message(), idempotency_key="four"), 429, "send_limit_reached")
    assert await sent_today(database) == [5]
    assert await count_messages(database) == 3


async def test_what_was_not_accepted_is_not_counted(client: ApiClient, database: Database, tenant: Tenant) -> None:
    caller = await limited(client, database, tenant, max_sends_per_day=5)
    problem(await send(caller, message() | {"subject": 5}), 422, "validation_failed")
    assert (await send(caller, message(), idempotency_key="one")).status_code == 202
    problem(await send(caller, message(to=2), idempotency_key="one"), 422, "idempotency_key_reused")
    assert await sent_today(database) == [1]


async def test_many_at_once_never_pass_the_cap(client: ApiClient, database: Database, tenant: Tenant) -> None:
    caller = await limited(client, database, tenant, max_sends_per_day=20)
    child = await derived(client, caller)
    answers = await asyncio.gather(*(send(one, message()) for _ in range(20) for one in (caller, child)))
    assert sorted(answer.status_code for answer in answers) == [202] * 20 + [429] * 20
    assert await count_messages(database) == 20


async def test_derived_keys_share_the_cap(client: ApiClient, database: Database, tenant: Tenant) -> None:
    parent = await limited(client, database, tenant, max_sends_per_day=5)
    child = await derived(client, parent, max_sends_per_day=2)
    other = await derived(client, parent)
    assert (await send(child, message(to=2))).status_code == 202
    problem(await send(child, message()), 429, "send_limit_reached")
    assert (await send(other, message(to=3))).status_code == 202
    problem(await send(other, message()), 429, "send_limit_reached")
    problem(await send(parent, message()), 429, "send_limit_reached")
    assert sorted(await sent_today(database)) == [2, 3, 5]


async def test_keys_without_a_cap_touch_no_counter(client: ApiClient, database: Database, tenant: Tenant) -> None:
    caller = await limited(client, database, tenant, allowed_domains=["acme.test"])
    assert (await send(caller, message())).status_code == 202
    assert (await send(client.as_(tenant.test), message())).status_code == 202
    assert await sent_today(database) == []


async def test_a_key_of_a_workspace_sends_from_its_domains_only(
    client: ApiClient, database: Database, tenant: Tenant
) -> None:
    workspace = await make_workspace(database, tenant.id, "one")
    await make_domain(database, tenant, "acme.test")
    await make_domain(database, tenant, "one.test", workspace_id=workspace)
    _, secret = await create_key(database, tenant.id, mode="live", name="bound", workspace_id=workspace)
    caller = client.as_(secret)
    assert (await send(caller, message("a@one.test"))).status_code == 202
    problem(await send(caller, message("a@acme.test")), 403, "domain_not_verified")
