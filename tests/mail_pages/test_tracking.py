"""From a click to a verdict: where links lead, what is kept, and what nobody can make of them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest

from penguinmails_core.config import TrackingSettings
from penguinmails_core.events.types import EventType
from penguinmails_core.kit.ids import new_uuid
from penguinmails_core.maintenance.service import Maintenance
from penguinmails_core.tracking.hits import HitLog
from penguinmails_core.tracking.judge import HitJudge
from penguinmails_core.tracking.links import Target
from penguinmails_webhooks.events import envelope_model, render
from tests.fixtures.factories import Tenant
from tests.mail_pages.world import Mail

CHROME = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36"
URLS = ["https://acme.example/a?x=1&y=2", "https://acme.example/b", "https://acme.example/c"]


async def tracked(mail: Mail) -> Target:
    """The image of a message with three links."""
    subscriber = await mail.subscriber()
    await mail.services.database.worker.execute(
        "insert into tracked_links (organization_id, id, urls) "
        "select organization_id, message_id, $2 from email_recipients where id = $1",
        subscriber.recipient_id,
        URLS,
    )
    return Target(subscriber.organization_id, subscriber.recipient_id)


def path(mail: Mail, target: Target, link: int | None = None) -> str:
    links = mail.services.tracking_links
    assert links is not None
    url = links.url(Target(target.organization_id, target.recipient_id, link))
    return url.removeprefix(mail.services.public.base)


async def judged(mail: Mail) -> list[Any]:
    """The events, once everything is written and judged."""
    await mail.services.hits.flush()
    judge = HitJudge(mail.services.database, mail.services.doorbell, settle=timedelta(0))
    while await judge.run_once():
        pass
    events = await mail.rows("select * from events where type in ('email.opened', 'email.clicked') order by sequence")
    for event in events:
        fits_the_catalogue(event)
    return events


def fits_the_catalogue(event: Mapping[str, Any]) -> None:
    envelope_model(EventType(event["type"])).model_validate_json(render(event))


async def test_a_click_leads_on_and_is_told(mail: Mail) -> None:
    target = await tracked(mail)
    answer = await mail.request("GET", path(mail, target, 0), **{"User-Agent": CHROME})
    assert (answer.status_code, answer.headers["location"]) == (302, URLS[0])
    assert "set-cookie" not in answer.headers
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["cache-control"] == "no-store"
    [event] = await judged(mail)
    assert (event["type"], event["sequence"], event["resource_id"]) == ("email.clicked", 2, target.recipient_id)
    data = event["payload"]
    assert (data["actor"], data["rule"], data["url"], data["first"]) == ("human", "browser_click", URLS[0], True)


async def test_an_open_is_told(mail: Mail) -> None:
    target = await tracked(mail)
    answer = await mail.request("GET", path(mail, target), **{"User-Agent": "Mozilla/5.0"})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "image/gif"
    assert answer.content.startswith(b"GIF89a")
    assert answer.headers["cache-control"].startswith("no-store")
    [event] = await judged(mail)
    assert (event["type"], event["payload"]["actor"]) == ("email.opened", "proxy")
    assert event["payload"]["rule"] == "apple_mail_privacy"


async def test_a_scanner_that_follows_all_links_is_one_from_the_first(mail: Mail) -> None:
    target = await tracked(mail)
    for link in range(3):
        await mail.request("GET", path(mail, target, link), **{"User-Agent": CHROME})
    events = await judged(mail)
    assert [event["payload"]["rule"] for event in events] == ["all_links_at_once"] * 3
    assert [event["payload"]["first"] for event in events] == [True, False, False]
    assert [event["sequence"] for event in events] == [2, 3, 4]


async def test_hits_wait_until_what_belongs_together_is_there(mail: Mail) -> None:
    target = await tracked(mail)
    await mail.request("GET", path(mail, target, 0), **{"User-Agent": CHROME})
    await mail.services.hits.flush()
    assert await HitJudge(mail.services.database, mail.services.doorbell).run_once() == 0


async def test_head_leads_on_but_is_no_person(mail: Mail) -> None:
    target = await tracked(mail)
    answer = await mail.request("HEAD", path(mail, target, 1), **{"User-Agent": CHROME})
    assert (answer.status_code, answer.headers["location"], answer.content) == (302, URLS[1], b"")
    [event] = await judged(mail)
    assert event["payload"]["actor"] == "scanner"


async def test_no_address_is_kept(mail: Mail) -> None:
    await mail.request("GET", path(mail, await tracked(mail), 0), **{"X-Forwarded-For": "203.0.113.7"})
    await judged(mail)
    [row] = await mail.rows("select * from tracking_hits")
    assert set(row.keys()) == {
        "organization_id", "id", "recipient_id", "kind", "link", "at", "method", "user_agent", "prefetch", "verdict",
        "confidence", "rule",
    }  # fmt: skip


async def test_nobody_can_make_a_link_that_leads_elsewhere(mail: Mail) -> None:
    target = await tracked(mail)
    good = path(mail, target, 0)
    for bad in (
        good + "?url=https://evil.example",
        good + "/https://evil.example",
        good[:-3] + "AAA",
        path(mail, target, 7),  # no such link
        path(mail, target).replace("/o/", "/t/"),  # the image is no link
        "/t/https://evil.example",
    ):
        answer = await mail.request("GET", bad)
        assert answer.headers.get("location", URLS[0]) == URLS[0], bad
        if bad != good + "?url=https://evil.example":
            assert answer.status_code == 404, bad


async def test_a_link_of_one_organization_finds_nothing_in_another(mail: Mail, stranger: Tenant) -> None:
    target = await tracked(mail)
    foreign = Target(stranger.id, target.recipient_id)
    assert (await mail.request("GET", path(mail, foreign, 0))).status_code == 404
    assert (await mail.request("GET", path(mail, foreign))).status_code == 200
    assert await judged(mail) == []


@pytest.mark.parametrize("token", ["x", "A" * 80, "%00"])
async def test_broken_links(mail: Mail, token: str) -> None:
    assert (await mail.request("GET", f"/t/{token}")).status_code == 404
    assert (await mail.request("GET", f"/o/{token}")).headers["content-type"] == "image/gif"
    assert await judged(mail) == []


async def test_a_message_that_is_gone_takes_its_links_and_hits_along(mail: Mail) -> None:
    target = await tracked(mail)
    await mail.request("GET", path(mail, target, 0))
    await judged(mail)
    await mail.request("GET", path(mail, target))  # on its way while the message goes
    await mail.services.database.worker.execute("delete from email_messages")
    assert (await mail.request("GET", path(mail, target, 0))).status_code == 404
    await judged(mail)
    assert await mail.rows("select 1 from tracking_hits union all select 1 from tracked_links") == []
    assert (await mail.request("GET", path(mail, Target(target.organization_id, new_uuid())))).status_code == 200


async def test_a_loop_is_cut(mail: Mail) -> None:
    target, other = await tracked(mail), Target(mail.tenant.id, (await mail.subscriber("bob@example.com")).recipient_id)
    hits = HitLog(mail.services.database.worker)
    for _ in range(80):
        hits.add(target, "GET", CHROME, prefetch=False)
    hits.add(other, "GET", CHROME, prefetch=False)
    await hits.flush()
    found = await mail.rows("select recipient_id, count(*) as hits from tracking_hits group by 1")
    assert {row["recipient_id"]: row["hits"] for row in found} == {target.recipient_id: 50, other.recipient_id: 1}


async def test_old_hits_are_forgotten(mail: Mail) -> None:
    target = await tracked(mail)
    await mail.request("GET", path(mail, target))
    await judged(mail)
    database = mail.services.database
    await Maintenance(database, tracking=TrackingSettings(_env_file=None)).run_once()
    assert len(await mail.rows("select 1 from tracking_hits")) == 1
    await database.worker.execute("update tracking_hits set at = now() - interval '91 days'")
    await Maintenance(database, tracking=TrackingSettings(_env_file=None)).run_once()
    assert await mail.rows("select 1 from tracking_hits") == []


async def test_two_judges_tell_each_hit_once(mail: Mail) -> None:
    target = await tracked(mail)
    for link in (0, 1, 2, 0, 1, 2):
        await mail.request("GET", path(mail, target, link))
    await mail.services.hits.flush()
    judges = [HitJudge(mail.services.database, mail.services.doorbell, settle=timedelta(0)) for _ in range(3)]
    await asyncio.gather(*(judge.run_once() for judge in judges))
    events = await judged(mail)
    assert [event["sequence"] for event in events] == list(range(2, 8))
