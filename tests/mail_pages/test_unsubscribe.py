"""One click and one button: who is suppressed, what is told, and what scanners and guessers cannot do."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from penguinmails_api.app import create_gateway
from penguinmails_core.events.types import EventType
from penguinmails_core.kit import ids
from penguinmails_core.unsubscribes.links import Subscriber
from penguinmails_webhooks.events import envelope_model, render
from tests.fixtures.client import ApiClient
from tests.fixtures.factories import Tenant
from tests.mail_pages.world import Mail


def fits_the_catalogue(event: Mapping[str, Any]) -> None:
    envelope_model(EventType(event["type"])).model_validate_json(render(event))


async def test_one_click_suppresses_and_tells(mail: Mail) -> None:
    ada = await mail.subscriber(list_name="product-news")
    answer = await mail.one_click(mail.path(ada))
    assert answer.status_code == 200
    assert "set-cookie" not in answer.headers
    assert "location" not in answer.headers
    [row] = await mail.suppressions()
    assert (row["address"], row["reason"], row["mode"], row["expires_at"]) == (
        "ada@example.com",
        "unsubscribe",
        "live",
        None,
    )
    assert row["evidence"]["recipient_id"] == ids.encode("rcp", ada.recipient_id)
    assert row["workspace_id"] == mail.tenant.workspace_id
    [event] = await mail.events(ada.recipient_id)
    assert (event["type"], event["sequence"]) == ("email.unsubscribed", 2)
    assert (event["payload"]["method"], event["payload"]["list"]) == ("one_click", "product-news")
    [created] = await mail.events(row["id"])
    assert created["type"] == "suppression.created"
    for told in (event, created):
        fits_the_catalogue(told)


async def test_asking_again_changes_nothing_and_tells_nothing(mail: Mail) -> None:
    path = mail.path(await mail.subscriber())
    answers = await asyncio.gather(*(mail.one_click(path) for _ in range(5)))
    answers.append(await mail.one_click(path))
    assert {answer.status_code for answer in answers} == {200}
    assert len(await mail.suppressions()) == 1
    assert sorted(event["type"] for event in await mail.events()) == ["email.unsubscribed", "suppression.created"]


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_looking_changes_nothing(mail: Mail, method: str) -> None:
    answer = await mail.request(method, mail.path(await mail.subscriber()))
    assert answer.status_code == 200
    assert "set-cookie" not in answer.headers
    assert answer.headers["cache-control"] == "no-store"
    assert "script-src" not in answer.headers["content-security-policy"]
    if method == "HEAD":
        assert answer.content == b""
    else:
        assert answer.text.count("<form") == 1
        assert "ada@example.com" not in answer.text  # mail is forwarded
        assert "Acme" in answer.text
    assert await mail.suppressions() == []
    assert await mail.events() == []


async def test_the_button_of_the_page(mail: Mail) -> None:
    ada = await mail.subscriber()
    path = mail.path(ada)
    assert "You are unsubscribed" in (await mail.press(path, "unsubscribe")).text
    [event] = await mail.events(ada.recipient_id)
    assert event["payload"]["method"] == "link"
    assert "You are unsubscribed" in (await mail.request("GET", path)).text


async def test_a_mistake_is_taken_back_and_recorded(mail: Mail) -> None:
    path = mail.path(await mail.subscriber())
    await mail.one_click(path)
    assert "subscribed again" in (await mail.press(path, "resubscribe")).text
    assert await mail.suppressions() == []
    [lifted] = [event for event in await mail.events() if event["type"] == "suppression.lifted"]
    assert lifted["payload"]["consent"] is True
    fits_the_catalogue(lifted)
    [entry] = await mail.rows("select * from audit_logs where action = 'suppression.lifted'")
    assert entry["actor_kind"] == "system"
    await mail.press(path, "resubscribe")
    await mail.one_click(path)  # and their next wish counts as much as the first
    assert len(await mail.suppressions()) == 1


async def test_multipart_and_odd_bodies_are_the_same_wish(mail: Mail) -> None:
    multipart = (
        '--x\r\nContent-Disposition: form-data; name="List-Unsubscribe"\r\n\r\nOne-Click\r\n--x--\r\n',
        "multipart/form-data; boundary=x",
    )
    for number, (body, content_type) in enumerate((multipart, ("", "text/plain"), ("step=" + "x" * 3000, "x/y"))):
        ada = await mail.subscriber(f"ada{number}@example.com")
        answer = await mail.request("POST", mail.path(ada), body, **{"Content-Type": content_type})
        assert answer.status_code == 200, answer.text
    assert len(await mail.suppressions()) == 3


async def test_a_link_outlives_its_message(mail: Mail) -> None:
    path = mail.path(mail.nobody())
    assert (await mail.request("GET", path)).status_code == 200
    assert (await mail.one_click(path)).status_code == 200
    [row] = await mail.suppressions()
    assert row["address"] == "gone@example.com"
    assert [event["type"] for event in await mail.events()] == ["suppression.created"]


async def test_the_wish_takes_the_place_of_what_others_may_lift(mail: Mail) -> None:
    ada = await mail.subscriber(campaign=False)
    await mail.suppress("ada@example.com", "hard_bounce")
    await mail.one_click(mail.path(ada))
    assert [row["reason"] for row in await mail.suppressions()] == ["unsubscribe"]


async def test_what_is_left_is_what_the_message_was_of(mail: Mail) -> None:
    """Who leaves a newsletter still gets their receipts."""
    await mail.one_click(mail.path(await mail.subscriber(list_name="news")))
    assert await mail.scopes() == [("list", "news")]
    await mail.one_click(mail.path(await mail.subscriber()))
    assert await mail.scopes() == [("category", "campaign"), ("list", "news")]
    await mail.one_click(mail.path(await mail.subscriber(campaign=False)))
    assert await mail.scopes() == [("category", "campaign"), ("list", "news"), ("organization", "")]


async def test_who_left_more_need_not_leave_less(mail: Mail) -> None:
    await mail.one_click(mail.path(await mail.subscriber()))
    answer = await mail.request("GET", mail.path(await mail.subscriber(list_name="news")))
    assert "You are unsubscribed" in answer.text
    await mail.one_click(mail.path(await mail.subscriber(list_name="news")))
    assert await mail.scopes() == [("category", "campaign")]


async def test_a_complaint_stands_and_is_not_taken_back_here(mail: Mail) -> None:
    path = mail.path(await mail.subscriber())
    await mail.suppress("ada@example.com", "complaint")
    await mail.one_click(path)
    await mail.press(path, "resubscribe")
    assert [row["reason"] for row in await mail.suppressions()] == ["complaint"]
    assert await mail.events() == []


@pytest.mark.parametrize("token", ["x", "A" * 90, "a" * 2000, "%00", "\u00e4"])
async def test_what_is_no_link_is_a_friendly_404(mail: Mail, token: str) -> None:
    for method in ("GET", "POST"):
        answer = await mail.request(method, f"/u/{token}")
        assert answer.status_code == 404
        if answer.headers["content-type"].startswith("text/html"):
            assert "This link does not work" in answer.text


async def test_a_changed_link_is_none(mail: Mail) -> None:
    path = mail.path(await mail.subscriber())
    changed = path[:-5] + ("A" if path[-5] != "A" else "B") + path[-4:]
    assert (await mail.one_click(changed)).status_code == 404
    assert await mail.suppressions() == []


async def test_a_link_acts_in_the_organization_that_sent(mail: Mail, stranger: Tenant) -> None:
    """A recipient's id together with another tenant's id finds nothing of the other's."""
    ada = await mail.subscriber()
    foreign = Subscriber(stranger.id, ada.recipient_id, ada.address)
    assert (await mail.one_click(mail.path(foreign))).status_code == 200
    [row] = await mail.suppressions()
    assert (row["organization_id"], row["workspace_id"]) == (stranger.id, None)
    assert await mail.events(ada.recipient_id) == []


async def test_an_organization_that_is_gone(mail: Mail) -> None:
    lost = Subscriber(ids.new_uuid(), ids.new_uuid(), "ada@example.com")
    for method in ("GET", "POST"):
        answer = await mail.request(method, mail.path(lost))
        assert answer.status_code == 404
        assert "no longer here" in answer.text
    assert await mail.suppressions() == []


async def test_one_link_cannot_be_called_without_end(mail: Mail) -> None:
    path = mail.path(await mail.subscriber())
    answers = [await mail.request("HEAD", path) for _ in range(70)]
    assert answers[-1].status_code == 429
    assert "retry-after" in answers[-1].headers
    assert (await mail.one_click(mail.path(await mail.subscriber("bob@example.com")))).status_code == 200


async def test_nothing_is_sent_after_it(mail: Mail) -> None:
    """Seen by the API as well."""
    await mail.one_click(mail.path(await mail.subscriber()))
    async with ApiClient(create_gateway(mail.services), mail.tenant.key) as client:
        found = (await client.get("/v1/suppressions?reason=unsubscribe")).json()["data"]
    assert [item["address"] for item in found] == ["ada@example.com"]
    assert "one click" in found[0]["evidence"]["reply"]
