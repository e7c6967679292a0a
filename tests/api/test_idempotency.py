"""The same key, the same answer, one piece of work; and every way in which peers get that wrong."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from penguinmails_api.services import Services
from penguinmails_core.api_keys.service import create_key
from penguinmails_core.errors import Conflict, IdempotencyInFlight, IdempotencyMismatch
from penguinmails_core.idempotency import service
from penguinmails_core.idempotency.keys import fingerprint
from penguinmails_core.idempotency.service import KeyedRequest
from penguinmails_core.kit import ids
from penguinmails_core.kit.db import Database
from penguinmails_core.scopes import Scope
from tests.fixtures.client import ApiClient, problem
from tests.fixtures.factories import Recipient, Tenant, make_email


def cancel(email_id: Any) -> str:
    return f"/v1/emails/{ids.encode('msg', email_id)}/cancel"


async def keys(database: Database) -> list[Any]:
    rows: list[Any] = await database.worker.fetch("select * from idempotency_keys order by created_at")
    return rows


async def test_a_second_request_gets_the_first_answer(client: ApiClient, database: Database, tenant: Tenant) -> None:
    email_id = await make_email(database, tenant, [Recipient("a@example.com", "failed")])
    path = f"/v1/emails/{ids.encode('msg', email_id)}/retry"
    first = await client.post(path, idempotency_key="one")
    second = await client.post(path, idempotency_key="one")
    assert first.status_code == second.status_code == 200
    assert first.content == second.content
    assert "idempotency-replayed" not in first.headers
    assert second.headers["idempotency-replayed"] == "true"
    assert first.headers["request-id"] != second.headers["request-id"]
    # Without the key the same call would be a conflict: nothing has failed any more.
    problem(await client.post(path), 409, "conflict")
    events = (await client.get("/v1/events")).json()["data"]
    assert [event["type"] for event in events] == ["email.queued", "email.queued"]


async def test_one_key_on_two_paths_is_a_mismatch(client: ApiClient, database: Database, tenant: Tenant) -> None:
    """W3: a fingerprint of the route's template would replay A's answer for B, and B would never be cancelled."""
    one, two = await make_email(database, tenant), await make_email(database, tenant)
    assert (await client.post(cancel(one), idempotency_key="k")).status_code == 200
    problem(await client.post(cancel(two), idempotency_key="k"), 422, "idempotency_key_reused")
    assert (await client.get(f"/v1/emails/{ids.encode('msg', two)}")).json()["status"] == "queued"


async def test_another_principal_does_not_get_the_answer(client: ApiClient, database: Database, tenant: Tenant) -> None:
    """W5: keys of the same organization do not share answers, whatever their scopes."""
    email_id = await make_email(database, tenant)
    _, other = await create_key(database, tenant.id, mode="live", name="other")
    _, reader = await create_key(database, tenant.id, mode="live", name="reader", scopes=[Scope.EMAILS_READ])
    assert (await client.post(cancel(email_id), idempotency_key="k")).status_code == 200
    assert "idempotency-replayed" not in (await client.as_(other).post(cancel(email_id), idempotency_key="k")).headers
    problem(await client.as_(reader).post(cancel(email_id), idempotency_key="k"), 403, "missing_scope")


async def test_refusals_are_not_stored(client: ApiClient, database: Database, tenant: Tenant, stranger: Tenant) -> None:
    """W5: 401, 403, 404, 409 and 422 leave no key behind; the request may be repeated when the reason is gone."""
    email_id = await make_email(database, tenant, [Recipient("a@example.com", "delivered")])
    problem(await client.post(cancel(email_id), idempotency_key="k"), 409, "conflict")
    problem(await client.as_(stranger.key).post(cancel(email_id), idempotency_key="k"), 404, "not_found")
    problem(await client.as_(None).post(cancel(email_id), idempotency_key="k"), 401, "unauthenticated")
    assert await keys(database) == []
    await database.worker.execute("update email_recipients set status = 'deferred' where message_id = $1", email_id)
    assert (await client.post(cancel(email_id), idempotency_key="k")).status_code == 200


async def test_many_at_once_do_the_work_once(client: ApiClient, database: Database, tenant: Tenant) -> None:
    email_id = await make_email(database, tenant)
    answers = await asyncio.gather(*(client.post(cancel(email_id), idempotency_key="k") for _ in range(6)))
    assert {answer.status_code for answer in answers} <= {200, 409}
    bodies = {answer.content for answer in answers if answer.status_code == 200}
    assert len(bodies) == 1
    events = (await client.get("/v1/events")).json()["data"]
    assert [event["type"] for event in events] == ["email.queued", "email.cancelled"]


@pytest.mark.parametrize("key", ["", " ", "a b", "é", "x" * 256, "tab\tbed"])
async def test_a_malformed_key_is_400(client: ApiClient, database: Database, tenant: Tenant, key: str) -> None:
    email_id = await make_email(database, tenant)
    response = await client.post(cancel(email_id), headers={"Idempotency-Key": key.encode("latin-1")})
    problem(response, 400, "invalid_idempotency_key")
    assert (await client.get(f"/v1/emails/{ids.encode('msg', email_id)}")).json()["status"] == "queued"


@pytest.mark.parametrize("key", ["x" * 255, "!", "~", '"quoted"', "8e03978e-40d5-43dd-bc93-6894a57f9324"])
async def test_any_visible_ascii_is_a_key(client: ApiClient, database: Database, tenant: Tenant, key: str) -> None:
    email_id = await make_email(database, tenant)
    assert (await client.post(cancel(email_id), idempotency_key=key)).status_code == 200


def request_of(tenant: Tenant, key: str | None = "k", mark: bytes = b"f") -> KeyedRequest:
    return KeyedRequest(tenant.id, tenant.live_key.id, key, mark)


async def answer(_: AsyncSession) -> bytes:
    return b'{"id":"whe_1","secret":"whsec_x"}'


async def test_a_stored_secret_is_not_stored(database: Database, tenant: Tenant) -> None:
    """W6: an answer that shows a secret once is stored and replayed without it."""
    first = await service.run(database, request_of(tenant), answer, status=201, redact=["secret"])
    second = await service.run(database, request_of(tenant), answer, status=201, redact=["secret"])
    assert first.body == b'{"id":"whe_1","secret":"whsec_x"}'
    assert (second.status, second.body, second.replayed) == (201, b'{"id":"whe_1","secret":null}', True)
    assert all(b"whsec" not in row["response"] for row in await keys(database))


async def test_a_crash_leaves_neither_work_nor_key(database: Database, tenant: Tenant) -> None:
    """W4: work and key share a transaction, so a request that dies can be repeated at once."""

    async def dies(session: AsyncSession) -> bytes:
        await session.execute(text("update workspaces set name = 'half done'"))
        raise Conflict("died in the middle")

    with pytest.raises(Conflict):
        await service.run(database, request_of(tenant), dies)
    assert await keys(database) == []
    assert await database.worker.fetchval("select count(*) from workspaces where name = 'half done'") == 0
    assert not (await service.run(database, request_of(tenant), answer)).replayed


async def test_a_client_that_leaves_in_the_middle_leaves_nothing_locked(database: Database, tenant: Tenant) -> None:
    started = asyncio.Event()

    async def slow(session: AsyncSession) -> bytes:
        await session.execute(text("update workspaces set name = 'half done'"))
        started.set()
        await asyncio.sleep(60)
        return b"{}"

    request = asyncio.create_task(service.run(database, request_of(tenant), slow))
    await started.wait()
    with pytest.raises(IdempotencyInFlight) as caught:
        await service.run(database, request_of(tenant), answer)
    assert caught.value.headers["Retry-After"] == "1"
    request.cancel()
    with pytest.raises(asyncio.CancelledError):
        await request
    assert not (await service.run(database, request_of(tenant), answer)).replayed
    assert await database.worker.fetchval("select count(*) from workspaces where name = 'half done'") == 0


async def test_a_second_request_waits_for_a_short_first(database: Database, tenant: Tenant) -> None:
    started, go = asyncio.Event(), asyncio.Event()

    async def first(session: AsyncSession) -> bytes:
        started.set()
        await go.wait()
        return await answer(session)

    one = asyncio.create_task(service.run(database, request_of(tenant), first))
    await started.wait()
    two = asyncio.create_task(service.run(database, request_of(tenant), answer))
    async with database.worker.acquire() as connection:
        while not await connection.fetchval("select count(*) from pg_locks where not granted"):
            await asyncio.sleep(0.001)
    go.set()
    assert not (await one).replayed
    assert (await two).replayed


async def test_another_fingerprint_is_a_mismatch(database: Database, tenant: Tenant) -> None:
    await service.run(database, request_of(tenant), answer)
    with pytest.raises(IdempotencyMismatch):
        await service.run(database, request_of(tenant, mark=b"other"), answer)


async def test_without_a_key_the_work_is_simply_done(database: Database, tenant: Tenant) -> None:
    for _ in range(2):
        assert not (await service.run(database, request_of(tenant, key=None), answer)).replayed
    assert await keys(database) == []


async def test_old_keys_are_swept(services: Services, database: Database, tenant: Tenant) -> None:
    for key in ("old", "new"):
        await service.run(database, request_of(tenant, key=key), answer)
    await database.worker.execute(
        "update idempotency_keys set created_at = now() - interval '25 hours' where key = 'old'"
    )
    assert await service.sweep(database.worker) == 1
    assert [row["key"] for row in await keys(database)] == ["new"]


def test_the_fingerprint_tells_requests_apart() -> None:
    marks = [
        fingerprint("POST", "/a", b"", b""),
        fingerprint("PUT", "/a", b"", b""),
        fingerprint("POST", "/b", b"", b""),
        fingerprint("POST", "/a", b"b", b""),
        fingerprint("POST", "/a", b"", b"b"),
        fingerprint("POST", "/ab", b"", b""),
        fingerprint("POST", "/a", b"x", b"y"),
        fingerprint("POST", "/a", b"xy", b""),
        fingerprint("POST", "/a", b"", b"xy"),
    ]
    assert len(set(marks)) == len(marks)
    assert all(len(mark) == 32 for mark in marks)
    assert fingerprint("POST", "/a", b"x", b"y") == marks[6]
