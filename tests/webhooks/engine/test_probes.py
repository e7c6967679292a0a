"""Endpoints that were disabled because they failed are tried again; their owners are told."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from penguinmails_core.config import ContentSettings
from penguinmails_core.content.service import ContentService
from penguinmails_core.emails.accept import Acceptor
from penguinmails_core.emails.draft import DraftLimits
from penguinmails_core.events.types import EventType
from penguinmails_core.kit.ids import Prefix, encode, new_uuid
from penguinmails_core.system_mail.service import ORGANIZATION_ID, SystemMail, prepare
from penguinmails_webhooks.engine import WebhookEngine
from penguinmails_webhooks.events import envelope_model
from penguinmails_webhooks.owner_mail import OwnerMail
from tests.webhooks.engine.test_run import running
from tests.webhooks.engine.world import BOX, Receiver, World, answer


async def disable(world: World, receiver: Receiver, engine: WebhookEngine) -> Any:
    """By failing for five days. Returns the endpoint."""
    endpoint, secret = await world.endpoint(receiver.url())
    receiver.answers["/hook"] = answer(500)
    await world.happen()
    await engine.run_once()
    await world.database.worker.execute(
        "update webhook_endpoints set failing_since = now() - interval '6 days', failing_confirmed_at = now()"
    )
    await world.hurry()
    await engine.run_once()
    state = await of(world)
    assert (state["status"], state["disabled_reason"]) == ("disabled", "failing")
    receiver.requests.clear()
    return endpoint, secret


async def of(world: World) -> dict[str, Any]:
    return dict(await world.database.worker.fetchrow("select * from webhook_endpoints"))


async def probe_now(world: World, engine: WebhookEngine) -> int:
    await world.database.worker.execute("update webhook_endpoints set probe_at = now() where probe_at is not null")
    return await engine.probe()


async def test_it_is_enabled_when_it_answers_again(world: World, receiver: Receiver) -> None:
    engine = world.engine()
    endpoint, secret = await disable(world, receiver, engine)
    assert await engine.probe() == 0  # not yet
    missed = await world.happen()
    await engine.run_once()
    assert receiver.requests == []

    assert await probe_now(world, engine) == 1
    state = await of(world)
    assert (state["status"], state["probes"]) == ("disabled", 1)
    assert timedelta(minutes=119) < state["probe_at"] - state["disabled_at"] < timedelta(minutes=121)
    await probe_now(world, engine)
    state = await of(world)
    assert timedelta(minutes=239) < state["probe_at"] - state["disabled_at"] < timedelta(minutes=241)
    [first, second] = receiver.requests
    first.verify(secret)
    assert first.event["type"] == "webhook.test"
    assert first.id != second.id

    del receiver.answers["/hook"]
    receiver.requests.clear()
    await probe_now(world, engine)
    state = await of(world)
    assert (state["status"], state["disabled_reason"], state["failing_since"]) == ("enabled", None, None)
    assert (state["probe_at"], state["consecutive_failures"], state["breaker"]) == (None, 0, "closed")
    probes = [row for row in await world.deliveries(endpoint) if row["event_type"] == "webhook.test"]
    assert [(row["status"], row["attempts"]) for row in probes] == [
        ("exhausted", 1),
        ("exhausted", 1),
        ("delivered", 1),
    ]
    assert len(await world.attempts()) == 5

    await engine.run_once()
    assert [request.event["type"] for request in receiver.requests] == ["webhook.test", "webhook_endpoint.enabled"]
    told = receiver.requests[1].event
    envelope_model(EventType.WEBHOOK_ENDPOINT_ENABLED).model_validate(told)
    assert told["data"]["endpoint_id"] == encode(Prefix.WEBHOOK_ENDPOINT, endpoint.id)
    assert told["data"]["reason"] == "recovered"
    assert told["data"]["disabled_at"] is not None
    audited = await world.database.worker.fetchrow("select * from audit_logs where action = 'webhook_endpoint.enabled'")
    assert (audited["actor_kind"], audited["actor_label"]) == ("system", "webhook engine")
    assert encode(Prefix.EVENT, missed[0]) not in receiver.ids()  # of the gap: to be replayed


async def test_a_running_engine_probes(world: World, receiver: Receiver) -> None:
    await disable(world, receiver, world.engine())
    del receiver.answers["/hook"]
    await world.database.worker.execute("update webhook_endpoints set probe_at = now()")
    async with running(world.engine(probe_after=timedelta(milliseconds=50))):
        await receiver.until(lambda it: len(it.requests) == 2)


async def test_what_users_disabled_and_what_is_gone_is_left_alone(world: World, receiver: Receiver) -> None:
    engine = world.engine()
    await disable(world, receiver, engine)
    await world.database.worker.execute("update webhook_endpoints set disabled_reason = 'manual'")
    assert await probe_now(world, engine) == 0
    await world.database.worker.execute("update webhook_endpoints set disabled_reason = 'failing'")
    receiver.answers["/hook"] = answer(410)
    assert await probe_now(world, engine) == 1
    state = await of(world)
    assert (state["status"], state["disabled_reason"], state["probe_at"]) == ("disabled", "gone", None)


async def test_probing_ends(world: World, receiver: Receiver) -> None:
    engine = world.engine()
    await disable(world, receiver, engine)
    await world.database.worker.execute("update webhook_endpoints set disabled_at = now() - interval '31 days'")
    await probe_now(world, engine)
    assert (await of(world))["probe_at"] is None


async def test_a_user_who_is_faster_wins(world: World, receiver: Receiver) -> None:
    """The endpoint was disabled by hand while the probe was under way."""
    engine = world.engine()
    await disable(world, receiver, engine)

    async def meanwhile(_: Any) -> Any:
        await world.database.worker.execute(
            "update webhook_endpoints set disabled_reason = 'manual', probe_at = null, notice = null"
        )
        return await answer(204)(_)

    receiver.answers["/hook"] = meanwhile
    await probe_now(world, engine)
    state = await of(world)
    assert (state["status"], state["disabled_reason"], state["notice"]) == ("disabled", "manual", None)


@pytest.fixture
async def mail(world: World) -> AsyncIterator[SystemMail]:
    content = await ContentService.open(world.database, ContentSettings())
    limits = DraftLimits(1_000_000, timedelta(hours=24), {"transactional": timedelta(days=1)})
    await prepare(world.database, BOX, "PenguinMails <noreply@system.test>", nothing_leaves=True)
    try:
        yield SystemMail(Acceptor(world.database.ingest, content), limits, "PenguinMails <noreply@system.test>")
    finally:
        await content.close()


async def own(world: World, email: str, role: str) -> None:
    user = new_uuid()
    await world.database.worker.execute("insert into users (id, email) values ($1, $2)", user, email)
    await world.database.worker.execute(
        "insert into members (organization_id, id, user_id, role) values ($1, $2, $3, $4)",
        world.tenant.id,
        new_uuid(),
        user,
        role,
    )


async def mails(world: World) -> list[tuple[str, str]]:
    rows = await world.database.worker.fetch(
        "select r.address, m.subject from email_messages m join email_recipients r on r.message_id = m.id "
        "where m.organization_id = $1 order by m.id, r.address",
        ORGANIZATION_ID,
    )
    return [(row["address"], row["subject"]) for row in rows]


async def test_owners_are_told(world: World, receiver: Receiver, mail: SystemMail) -> None:
    await own(world, "ada@example.com", "owner")
    await own(world, "grace@example.com", "owner")
    await own(world, "dev@example.com", "developer")
    engine = world.engine()
    await disable(world, receiver, engine)
    owner_mail = OwnerMail(world.database.worker, mail, 30)
    assert await owner_mail.round() == 1
    assert await owner_mail.round() == 0
    subject = f"Webhook endpoint disabled: {receiver.url()}"
    assert sorted(await mails(world)) == [("ada@example.com", subject), ("grace@example.com", subject)]

    del receiver.answers["/hook"]
    await probe_now(world, engine)
    assert await owner_mail.round() == 1
    subjects = {subject for _, subject in await mails(world)}
    assert f"Webhook endpoint enabled again: {receiver.url()}" in subjects


async def test_without_a_sender_nobody_is_told_later_either(world: World, receiver: Receiver, mail: SystemMail) -> None:
    await own(world, "ada@example.com", "owner")
    await disable(world, receiver, world.engine())
    silent = SystemMail(mail._acceptor, mail._limits, None)
    assert await OwnerMail(world.database.worker, silent, 30).round() == 1
    assert await OwnerMail(world.database.worker, mail, 30).round() == 0
    assert await mails(world) == []
