"""From an event to a signed request, and what the answers mean."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text
from svix.webhooks import WebhookVerificationError

from penguinmails_core.config import WebhookSettings
from penguinmails_core.kit.clock import rfc3339
from penguinmails_core.kit.ids import Prefix, encode
from penguinmails_webhooks.delivery_events import MessageAttemptExhausted
from penguinmails_webhooks.endpoints import webhook_endpoints
from penguinmails_webhooks.retry import MAX_ATTEMPTS
from tests.fixtures.factories import make_tenant
from tests.webhooks.engine.world import BOX, Receiver, World, answer


async def test_an_event_arrives_signed(world: World, receiver: Receiver) -> None:
    endpoint, secret = await world.endpoint(receiver.url())
    [event] = await world.happen()
    await world.engine().run_once()

    [request] = receiver.requests
    request.verify(secret)
    with pytest.raises(WebhookVerificationError):
        request.verify("whsec_" + "A" * 43 + "=")
    assert request.id == encode(Prefix.EVENT, event) == request.event["id"]
    assert request.headers["content-type"] == "application/json"
    assert request.event["type"] == "email.queued"
    assert request.event["data"] == {"number": 0}
    assert request.event["organization_id"] == encode(Prefix.ORGANIZATION, world.tenant.id)

    [delivery] = await world.deliveries()
    assert (delivery["status"], delivery["due_at"], delivery["attempts"]) == ("delivered", None, 1)
    assert (delivery["last_status_code"], delivery["last_error"]) == (204, None)
    assert delivery["delivered_at"] is not None
    [attempt] = await world.attempts()
    assert (attempt["number"], attempt["status_code"], attempt["error"]) == (1, 204, None)
    assert (attempt["delivery_id"], attempt["endpoint_id"]) == (delivery["id"], endpoint.id)


async def test_a_failure_is_retried_with_the_same_id_and_body(world: World, receiver: Receiver) -> None:
    endpoint, secret = await world.endpoint(receiver.url())
    await world.happen()
    receiver.answers["/hook"] = answer(503, text="try \0 later é" + "x" * 5000)
    engine = world.engine()
    await engine.run_once()

    [delivery] = await world.deliveries()
    assert (delivery["status"], delivery["attempts"]) == ("pending", 1)
    assert delivery["last_error"] == "status: the receiver answered 503, not 2xx"
    [attempt] = await world.attempts()
    assert attempt["status_code"] == 503
    assert attempt["response_body"].startswith("try \ufffd later é")
    assert len(attempt["response_body"].encode()) == 2048
    wait = await world.database.worker.fetchval("select due_at - now() from webhook_deliveries")
    assert timedelta(seconds=1) < wait < timedelta(seconds=5.6)
    await engine.run_once()
    assert len(receiver.requests) == 1  # not due yet

    del receiver.answers["/hook"]
    await world.hurry()
    await engine.run_once()
    first, second = receiver.requests
    assert (first.id, first.body) == (second.id, second.body)
    second.verify(secret)
    assert [row["number"] for row in await world.attempts()] == [1, 2]
    assert [row["status"] for row in await world.deliveries()] == ["delivered"]
    failing = "select failing_since from webhook_endpoints where id = $1"
    assert await world.database.worker.fetchval(failing, endpoint.id) is None


async def test_retries_end_and_that_is_told(world: World, receiver: Receiver) -> None:
    endpoint, _ = await world.endpoint(receiver.url(), ("email.*",))
    await world.endpoint(receiver.url("/other"), ("message.*",))
    [happened] = await world.happen()
    receiver.answers["/hook"] = answer(500)
    engine = world.engine()
    for _ in range(MAX_ATTEMPTS + 2):
        await engine.run_once()
        await world.hurry()
    [delivery] = await world.deliveries(endpoint)
    assert (delivery["status"], delivery["due_at"]) == ("exhausted", None)
    assert len(receiver.at("/hook")) == MAX_ATTEMPTS
    assert len(receiver.ids()) == 1
    [told] = receiver.at("/other")
    assert told.event["type"] == "message.attempt.exhausted"
    assert told.event["data"] == {
        "endpoint_id": encode(Prefix.WEBHOOK_ENDPOINT, endpoint.id),
        "delivery_id": encode(Prefix.WEBHOOK_DELIVERY, delivery["id"]),
        "event_id": encode(Prefix.EVENT, happened),
        "type": "email.queued",
        "attempts": MAX_ATTEMPTS,
        "last_status_code": 500,
        "last_error": "status: the receiver answered 500, not 2xx",
    }
    MessageAttemptExhausted.model_validate(told.event["data"])
    assert engine.counters.retried == MAX_ATTEMPTS - 1
    assert engine.counters.exhausted == 1


async def test_nothing_is_told_of_what_tells_of_endpoints(world: World, receiver: Receiver) -> None:
    """Else an endpoint that asked for everything and is broken would be told of for ever."""
    await world.endpoint(receiver.url())
    receiver.answers["/hook"] = answer(500)
    for kind in ("webhook_endpoint.disabled", "message.attempt.exhausted"):
        await world.happen(type_=kind)
    engine = world.engine(breaker_failures=1000)
    for _ in range(MAX_ATTEMPTS + 1):
        await engine.run_once()
        await world.hurry()
    assert {row["status"] for row in await world.deliveries()} == {"exhausted"}
    assert await world.database.worker.fetchval("select count(*) from events") == 2


async def test_retry_after_is_honoured(world: World, receiver: Receiver) -> None:
    await world.endpoint(receiver.url())
    await world.happen()
    receiver.answers["/hook"] = answer(429, headers={"Retry-After": "3600"})
    await world.engine().run_once()
    wait = await world.database.worker.fetchval("select due_at - now() from webhook_deliveries")
    assert timedelta(minutes=59) < wait < timedelta(minutes=67)


async def test_gone_disables_the_endpoint_and_says_so(world: World, receiver: Receiver) -> None:
    endpoint, _ = await world.endpoint(receiver.url("/gone?token=s3cret"))
    await world.endpoint(receiver.url("/other"), ("webhook_endpoint.*",))
    await world.happen(5)
    receiver.answers["/gone"] = answer(410)
    engine = world.engine()
    await engine.run_once()
    status = "select status, disabled_reason from webhook_endpoints where id = $1"
    assert tuple(await world.database.worker.fetchrow(status, endpoint.id)) == ("disabled", "gone")
    statuses = {row["status"] for row in await world.deliveries(endpoint)}
    assert statuses == {"exhausted", "cancelled"}
    assert len(receiver.at("/gone")) < 5
    assert engine.counters.disabled == 1

    await world.happen()
    await engine.run_once()
    assert len(await world.deliveries(endpoint)) == 5
    [told] = receiver.at("/other")
    assert told.event["type"] == "webhook_endpoint.disabled"
    assert told.event["data"] == {
        "endpoint_id": encode(Prefix.WEBHOOK_ENDPOINT, endpoint.id),
        "url": receiver.url("/gone"),
        "reason": "gone",
        "failing_since": told.event["data"]["failing_since"],
        "last_status_code": 410,
    }


async def test_five_days_of_failures_disable(world: World, receiver: Receiver) -> None:
    endpoint, _ = await world.endpoint(receiver.url())
    receiver.answers["/hook"] = answer(500)
    await world.happen()
    engine = world.engine()
    await engine.run_once()
    row = "select status, failing_since from webhook_endpoints where id = $1"
    state = await world.database.worker.fetchrow(row, endpoint.id)
    assert state["status"] == "enabled"
    assert state["failing_since"] is not None

    since = await world.database.worker.fetchval(
        "update webhook_endpoints set failing_since = now() - interval '5 days' where id = $1 returning failing_since",
        endpoint.id,
    )
    # The second failure in five days says little: nothing may have been sent in between.
    await world.hurry()
    await engine.run_once()
    assert (await world.database.worker.fetchrow(row, endpoint.id))["status"] == "enabled"
    await world.hurry()
    await engine.run_once()
    assert await world.database.worker.fetchval(row, endpoint.id) == "disabled"
    assert [delivery["status"] for delivery in await world.deliveries()] == ["cancelled"]
    event = await world.database.worker.fetchrow("select * from events where type = 'webhook_endpoint.disabled'")
    assert event["payload"]["reason"] == "failing"
    audited = await world.database.worker.fetchrow(
        "select * from audit_logs where action = 'webhook_endpoint.disabled'"
    )
    assert (audited["actor_kind"], audited["resource_id"]) == ("system", endpoint.id)
    assert audited["after"] == {"status": "disabled", "disabled_reason": "failing"}
    assert event["payload"]["failing_since"] == rfc3339(since)
    assert (event["resource_id"], event["sequence"], event["workspace_id"]) == (endpoint.id, 1, None)


async def test_one_success_ends_the_count_of_days(world: World, receiver: Receiver) -> None:
    await world.endpoint(receiver.url())
    await world.database.worker.execute("update webhook_endpoints set failing_since = now() - interval '6 days'")
    await world.happen()
    await world.engine().run_once()
    row = await world.database.worker.fetchrow("select status, failing_since from webhook_endpoints")
    assert tuple(row) == ("enabled", None)


async def test_a_receiver_can_refuse_one_message(world: World, receiver: Receiver) -> None:
    await world.endpoint(receiver.url())
    await world.happen()
    receiver.answers["/hook"] = answer(400, headers={"webhook-delivery": "abort-message"})
    await world.engine().run_once()
    [delivery] = await world.deliveries()
    assert (delivery["status"], delivery["due_at"]) == ("exhausted", None)
    assert "asked not to be sent this event again" in delivery["last_error"]
    row = await world.database.worker.fetchrow("select status, failing_since from webhook_endpoints")
    assert tuple(row) == ("enabled", None)


async def test_private_receivers_are_refused(world: World, receiver: Receiver) -> None:
    """An endpoint made while private hosts were allowed, or whose name now leads inside."""
    await world.endpoint(receiver.url().replace("http://127.0.0.1", "http://localhost"))
    await world.endpoint(f"https://127.0.0.1:{receiver.port}/hook")
    await world.happen()
    await world.engine(allow_private=False).run_once()
    assert receiver.requests == []
    errors = {row["last_error"] for row in await world.deliveries()}
    assert errors == {
        "invalid_url: use https; plain http is not allowed here",
        "forbidden_address: the host is a loopback address, which is not allowed; use a public one",
    }
    assert {row["error"] for row in await world.attempts()} == errors
    assert {row["status"] for row in await world.deliveries()} == {"exhausted", "pending"}


async def test_both_secrets_sign_after_a_rotation(world: World, receiver: Receiver) -> None:
    endpoint, old = await world.endpoint(receiver.url())
    service = webhook_endpoints(BOX, WebhookSettings(allow_private=True))
    principal = world.tenant.principal()
    async with world.database.tenant(world.tenant.id) as session:
        _, new = await service.rotate_secret(session, principal, endpoint.id)
    assert new is not None
    await world.happen()
    engine = world.engine()
    await engine.run_once()
    [request] = receiver.requests
    request.verify(old)
    request.verify(new)

    await world.database.worker.execute("update webhook_endpoints set older_secrets = '[]'")
    await world.happen()
    await engine.run_once()
    request = receiver.requests[-1]
    request.verify(new)
    with pytest.raises(WebhookVerificationError):
        request.verify(old)


async def test_a_secret_that_does_not_open_is_a_recorded_failure(world: World, receiver: Receiver) -> None:
    await world.endpoint(receiver.url())
    await world.database.worker.execute("update webhook_endpoints set secret = secret || 'x'")
    await world.happen()
    await world.engine().run_once()
    assert receiver.requests == []
    [delivery] = await world.deliveries()
    assert delivery["status"] == "pending"
    assert delivery["last_error"].startswith("secret: ")


async def test_an_event_that_is_not_kept_any_more(world: World, receiver: Receiver) -> None:
    await world.endpoint(receiver.url())
    await world.happen()
    engine = world.engine()
    receiver.answers["/hook"] = answer(500)
    await engine.run_once()
    await world.database.worker.execute("delete from events")
    await world.hurry()
    await engine.run_once()
    [delivery] = await world.deliveries()
    assert delivery["status"] == "exhausted"
    assert delivery["last_error"].startswith("expired: ")


async def test_the_log_of_attempts_belongs_to_its_tenant(world: World, receiver: Receiver) -> None:
    await world.endpoint(receiver.url())
    await world.happen()
    await world.engine().run_once()
    other = await make_tenant(world.database, "Umbrella")
    counts: dict[Any, list[int]] = {}
    for tenant in (world.tenant, other):
        async with world.database.tenant(tenant.id) as session:
            counts[tenant.id] = [
                (await session.execute(text(f"select count(*) from {table}"))).scalar_one()
                for table in ("webhook_endpoints", "webhook_deliveries", "webhook_attempts", "events")
            ]
    assert counts == {world.tenant.id: [1, 1, 1, 1], other.id: [0, 0, 0, 0]}
