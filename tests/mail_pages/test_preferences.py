"""The preference page: list by list, all at once, and back again."""

from __future__ import annotations

import re

import pytest

from penguinmails_api.app import create_gateway
from penguinmails_core.kit.ids import new_uuid
from penguinmails_core.unsubscribes.links import Subscriber
from tests.fixtures.client import ApiClient
from tests.fixtures.factories import Tenant
from tests.mail_pages.world import Mail


def boxes(page: str) -> dict[str, bool]:
    """By list, whether its box is checked."""
    found = re.findall(r'<input type="checkbox" name="list" value="([^"]+)"( checked)?>', page)
    return {name: bool(checked) for name, checked in found}


async def reader(mail: Mail) -> Subscriber:
    """Somebody who had mail of two lists."""
    await mail.subscriber(list_name="offers")
    return await mail.subscriber(list_name="news")


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_looking_changes_nothing(mail: Mail, method: str) -> None:
    answer = await mail.request(method, mail.preferences(await reader(mail)))
    assert answer.status_code == 200
    assert boxes(answer.text) == ({"news": True, "offers": True} if method == "GET" else {})
    assert await mail.events() == []


async def test_list_by_list(mail: Mail) -> None:
    ada = await reader(mail)
    path = mail.preferences(ada)
    assert boxes((await mail.press(path, "save", "offers")).text) == {"news": False, "offers": True}
    assert await mail.scopes() == [("list", "news")]
    [event] = await mail.events(ada.recipient_id)
    assert (event["payload"]["method"], event["payload"]["list"]) == ("preferences", "news")
    await mail.press(path, "save", "offers")
    assert len(await mail.events(ada.recipient_id)) == 1
    assert boxes((await mail.press(path, "save", "news", "offers")).text) == {"news": True, "offers": True}
    assert await mail.suppressions() == []


async def test_everything_and_one_list_back(mail: Mail) -> None:
    path = mail.preferences(await reader(mail))
    answer = await mail.press(path, "none")
    assert boxes(answer.text) == {"news": False, "offers": False}
    assert "no newsletters and offers at all" in answer.text
    assert await mail.scopes() == [("category", "campaign")]
    await mail.press(path, "save", "news")
    assert await mail.scopes() == [("list", "offers")]
    await mail.press(path, "none")
    await mail.press(path, "again")
    assert await mail.scopes() == [("list", "offers")]


async def test_what_it_does_not_know_it_does_not_change(mail: Mail) -> None:
    path = mail.preferences(await reader(mail))
    for body in ("", "step=other", "list=news", "step=save&list=news&list=offers&list=strangers"):
        answer = await mail.request("POST", path, body, **{"Content-Type": "application/x-www-form-urlencoded"})
        assert answer.status_code == 200
    assert (await mail.one_click(path)).status_code == 200
    assert await mail.suppressions() == []


async def test_a_complaint_stands(mail: Mail) -> None:
    ada = await reader(mail)
    await mail.suppress("ada@example.com", "complaint")
    path = mail.preferences(ada)
    for step in ("save", "again"):
        assert boxes((await mail.press(path, step, "news")).text) == {"news": False, "offers": False}
    assert [row["reason"] for row in await mail.suppressions()] == ["complaint"]


async def test_it_shows_nothing_of_others(mail: Mail, stranger: Tenant) -> None:
    ada = await reader(mail)
    await mail.subscriber("bob@example.com", "bobs-list")
    foreign = Subscriber(stranger.id, ada.recipient_id, ada.address, "news")
    assert boxes((await mail.request("GET", mail.preferences(ada))).text) == {"news": True, "offers": True}
    assert boxes((await mail.request("GET", mail.preferences(foreign))).text) == {"news": True}


async def test_it_works_when_the_message_is_gone(mail: Mail) -> None:
    gone = Subscriber(mail.tenant.id, new_uuid(), "ada@example.com", "news")
    await mail.press(mail.preferences(gone), "save")
    assert await mail.scopes() == [("list", "news")]


async def test_what_is_no_link(mail: Mail) -> None:
    for method in ("GET", "POST"):
        assert "This link does not work" in (await mail.request(method, "/p/broken")).text


async def test_topics_have_names_for_people_and_are_offered_to_all(mail: Mail) -> None:
    async with ApiClient(create_gateway(mail.services), mail.tenant.key) as client:
        for body in (
            {"list": "news", "name": "Product <b>news</b>", "description": "Once a month."},
            {"list": "beta", "name": "A first look"},
            {"list": "secret", "name": "Secret", "public": False},
        ):
            assert (await client.post("/v1/topics", json=body)).status_code == 201
    path = mail.preferences(await reader(mail))
    page = (await mail.request("GET", path)).text
    assert list(boxes(page)) == ["beta", "offers", "news"]
    assert "Product &lt;b&gt;news&lt;/b&gt;" in page
    assert "Once a month." in page
    await mail.press(path, "save", "news", "offers")
    assert await mail.scopes() == [("list", "beta")]
