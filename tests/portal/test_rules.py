"""What a link lets its visitor do, and whom it keeps out; without a browser."""

from __future__ import annotations

import logging
import time
from typing import Any

import httpx
import pytest

from penguinmails_api.observability.logs import mask
from penguinmails_api.services import Services
from penguinmails_core.api_keys.service import create_key, revoke_key
from penguinmails_core.kit import ids
from penguinmails_core.kit.db import Database
from penguinmails_core.webhook_endpoints.consumers import MAX_OF_CONSUMER
from penguinmails_webhooks.engine import WebhookEngine
from penguinmails_webhooks.replays import Replays
from tests.fixtures.factories import Tenant, make_workspace
from tests.fixtures.people import make_member, sign_in
from tests.portal.world import CONSUMER, URL, Portal, path_of
from tests.webhooks.engine.world import Receiver, answer


def refused(page: httpx.Response, status: int) -> None:
    """A page for people, that tells nothing of how it is made."""
    assert page.status_code == status, page.text
    assert page.headers["content-type"].startswith("text/html")
    assert "Traceback" not in page.text
    assert "<h1" in page.text


async def test_a_link_opens_as_often_as_it_is_followed_and_changes_nothing(portal: Portal, database: Database) -> None:
    link = await portal.link()
    before = await database.worker.fetch("select * from webhook_portal_links")
    for _ in range(3):
        page = await (await portal.visit(link)).get()
        assert page.status_code == 200
        assert "No endpoints yet" in page.text
    assert await database.worker.fetch("select * from webhook_portal_links") == before


async def test_what_a_visitor_makes_belongs_to_the_consumer(portal: Portal) -> None:
    visit = await portal.visit()
    made = await visit.add(URL, "email.delivered", "email.*")
    shown = (await portal.api.get(f"/v1/webhook_endpoints/{made}")).json()
    assert (shown["consumer"], shown["events"], shown["url"]) == (CONSUMER, ["email.*"], URL)
    assert URL in (await visit.get()).text


async def test_the_audit_log_names_the_link(portal: Portal) -> None:
    visit = await portal.visit()
    made = await visit.add()
    assert (await visit.post(f"/endpoints/{made}/rotate")).status_code == 200
    assert (await visit.post(f"/endpoints/{made}/delete")).status_code == 303
    entries = (await portal.api.get("/v1/audit_logs", params={"actor_id": visit.link["id"]})).json()["data"]
    assert [entry["action"] for entry in entries] == [
        "webhook_endpoint.deleted",
        "webhook_endpoint.secret_rotated",
        "webhook_endpoint.created",
    ]
    actor = entries[0]["actor"]
    assert (actor["kind"], actor["id"], actor["label"]) == ("webhook_portal_link", visit.link["id"], CONSUMER)
    assert entries[0]["ip"]


GETS = ("", "/edit", "/rotate", "/delete", "/replay", "/diagnose", "/deliveries/{delivery}")
ACTIONS = ("/edit", "/rotate", "/delete", "/replay", "/diagnose", "/test", "/enable", "/disable")
POSTS = (*ACTIONS, "/deliveries/{delivery}/replay")


async def _foreign(portal: Portal, stranger: Tenant, database: Database) -> dict[str, str]:
    """Endpoints that a visitor for `CONSUMER` in live mode must not know of."""
    test_link = await portal.link(portal.tenant.test)
    in_test_mode = await (await portal.visit(test_link)).add()
    return {
        "another consumer's": await portal.endpoint(consumer="customer_7"),
        "the organization's own": await portal.endpoint(consumer=None),
        "another organization's": await portal.endpoint(tenant=stranger),
        "the other mode's": in_test_mode,
        "nobody's": ids.encode("whe", ids.new_uuid()),
        "no id at all": "whe_1'or'1",
    }


async def test_endpoints_of_others_do_not_exist(portal: Portal, stranger: Tenant, database: Database) -> None:
    visit = await portal.visit()
    others = await _foreign(portal, stranger, database)
    delivery = ids.encode("whd", ids.new_uuid())
    before = await database.worker.fetch("select * from webhook_endpoints order by id")
    for whose, endpoint in others.items():
        if whose != "no id at all":
            assert endpoint not in (await visit.get()).text
        for path in GETS:
            refused(await visit.get(f"/endpoints/{endpoint}{path.format(delivery=delivery)}"), 404)
        for path in POSTS:
            fields = {"url": URL, "events": "email.*", "which": "failed"}
            refused(await visit.post(f"/endpoints/{endpoint}{path.format(delivery=delivery)}", fields), 404)
    assert await database.worker.fetch("select * from webhook_endpoints order by id") == before


async def test_a_delivery_is_reached_through_its_own_endpoint_only(
    portal: Portal, engine: WebhookEngine, receiver: Receiver
) -> None:
    visit = await portal.visit()
    mine = await visit.add(receiver.url("/mine"))
    theirs = await portal.endpoint(receiver.url("/theirs"), consumer="customer_7")
    await portal.happen()
    await engine.run_once()
    listed = (await portal.api.get(f"/v1/webhook_endpoints/{theirs}/deliveries")).json()["data"][0]["id"]
    refused(await visit.get(f"/endpoints/{mine}/deliveries/{listed}"), 404)
    refused(await visit.post(f"/endpoints/{mine}/deliveries/{listed}/replay"), 404)
    assert len(receiver.at("/theirs")) == 1


async def test_a_link_of_one_workspace_sees_that_workspace(portal: Portal, database: Database) -> None:
    north = ids.encode("ws", await make_workspace(database, portal.tenant.id, "north"))
    in_all = await portal.endpoint()
    visit = await portal.visit(workspace_id=north)
    refused(await visit.get(f"/endpoints/{in_all}"), 404)
    made = await visit.add()
    assert (await portal.api.get(f"/v1/webhook_endpoints/{made}")).json()["workspace_id"] == north


async def test_read_only_looks_and_changes_nothing(portal: Portal, database: Database) -> None:
    endpoint = await portal.endpoint()
    visit = await portal.visit(read_only=True)
    page = await visit.get(f"/endpoints/{endpoint}")
    assert page.status_code == 200
    assert 'method="post"' not in page.text
    assert "Add endpoint" not in (await visit.get()).text
    before = await database.worker.fetch("select * from webhook_endpoints")
    for path in POSTS:
        refused(await visit.post(f"/endpoints/{endpoint}{path.format(delivery='x')}", {"which": "failed"}), 403)
    refused(await visit.post("/endpoints/new", {"url": URL, "events": "email.*"}), 403)
    refused(await visit.get("/endpoints/new"), 403)
    assert await database.worker.fetch("select * from webhook_endpoints") == before


async def test_only_allowed_events_can_be_chosen(portal: Portal) -> None:
    visit = await portal.visit(events=["email.*"])
    form = (await visit.get("/endpoints/new")).text
    assert 'value="email.bounced"' in form
    assert 'value="domain.verified"' not in form
    assert 'value="*"' not in form
    for pattern in ("*", "domain.*", "api_key.created", "nonsense", "email.*\0"):
        page = await visit.post("/endpoints/new", {"url": URL, "events": [pattern]})
        refused(page, 422)
        assert "cannot be chosen here" in page.text
    narrow = await portal.visit(events=["email.bounced", "email.complained"])
    assert 'value="email.*"' not in (await narrow.get("/endpoints/new")).text
    refused(await narrow.post("/endpoints/new", {"url": URL, "events": ["email.*"]}), 422)
    await narrow.add(URL, "email.bounced")
    assert "domain.verified" not in (await visit.get("/events")).text


async def test_what_the_organization_chose_beyond_the_link_stays(portal: Portal) -> None:
    visit = await portal.visit(events=["email.bounced"])
    endpoint = await portal.endpoint()  # email.*
    page = await visit.post(f"/endpoints/{endpoint}/edit", {"url": URL, "events": ["email.bounced"]})
    assert page.status_code == 303, page.text
    events = (await portal.api.get(f"/v1/webhook_endpoints/{endpoint}")).json()["events"]
    assert events == ["email.bounced", "email.*"]


@pytest.mark.parametrize(
    "fields",
    [
        {"url": "ftp://x.example", "events": "email.*"},
        {"url": "", "events": "email.*"},
        {"url": URL},
        {"url": URL, "events": "email.*", "description": "x" * 501},
        {"url": URL, "events": "email.*", "description": "a\0b"},
    ],
)
async def test_what_is_wrong_is_told_beside_its_field(portal: Portal, fields: dict[str, Any]) -> None:
    visit = await portal.visit()
    page = await visit.post("/endpoints/new", fields)
    refused(page, 422)
    assert 'class="error"' in page.text
    assert (await portal.api.get("/v1/webhook_endpoints")).json()["data"] == []


async def test_a_full_consumer_is_told_so(portal: Portal) -> None:
    for _ in range(MAX_OF_CONSUMER):
        await portal.endpoint()
    visit = await portal.visit()
    page = await visit.post("/endpoints/new", {"url": URL, "events": "email.*"})
    refused(page, 409)
    assert f"at most {MAX_OF_CONSUMER} webhook endpoints" in page.text


async def test_expired_revoked_and_unknown_links(portal: Portal, database: Database) -> None:
    link = await portal.link()
    visit = await portal.visit(link)
    await portal.api.delete(f"/v1/webhook_portal/links/{link['id']}")
    refused(await portal.get(path_of(link["url"])), 410)
    refused(await visit.get(), 410)
    refused(await visit.post("/endpoints/new", {"url": URL, "events": "email.*"}), 410)
    link = await portal.link()
    visit = await portal.visit(link)
    await database.worker.execute("update webhook_portal_links set expires_at = now()")
    refused(await portal.get(path_of(link["url"])), 410)
    refused(await visit.get(), 410)
    for token in ("whpl_x", "x", "whpl_" + "a" * 43, "%00", "whpl_%F0%9F%90%A7"):
        refused(await portal.get(f"/portal/l/{token}"), 404)
    assert (await portal.api.get("/v1/webhook_endpoints")).json()["data"] == []


async def test_a_link_ends_with_the_key_that_made_it(
    portal: Portal, services: Services, database: Database, tenant: Tenant
) -> None:
    made, key = await create_key(database, tenant.id, mode="live", name="portal", scopes=["webhook_endpoints:write"])
    visit = await portal.visit(await portal.link(key))
    assert (await visit.get()).status_code == 200
    await database.worker.execute("update api_keys set scopes = '{webhook_endpoints:read}' where id = $1", made.id)
    assert (await visit.get()).status_code == 200
    refused(await visit.post("/endpoints/new", {"url": URL, "events": "email.*"}), 403)
    await revoke_key(database, services.doorbell, tenant.id, made.id)
    refused(await visit.get(), 410)
    refused(await portal.get(path_of(visit.link["url"])), 410)


async def test_a_link_ends_with_the_membership_of_the_person_who_made_it(
    portal: Portal, services: Services, database: Database, tenant: Tenant
) -> None:
    person = await make_member(database, tenant.id, "developer")
    browser = await sign_in(services, portal.api, person.user_id, tenant.id)
    response = await browser.post("/v1/webhook_portal/links", json={"consumer": CONSUMER})
    visit = await portal.visit(response.json())
    assert (await visit.get()).status_code == 200
    await database.worker.execute("update members set role = 'billing' where id = $1", person.member_id)
    refused(await visit.get(), 410)


async def test_sessions_end_when_nothing_is_done(
    portal: Portal, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    visit = await portal.visit()
    now = time.time()
    monkeypatch.setattr("penguinmails_api.portal.sessions.time.time", lambda: now + 20 * 60)
    page = (await visit.get()).text  # a page hands out a younger token
    assert visit.base not in page
    monkeypatch.setattr("penguinmails_api.portal.sessions.time.time", lambda: now + 31 * 60)
    refused(await visit.get(), 410)


async def test_tampered_sessions_are_nobodys(portal: Portal) -> None:
    visit = await portal.visit()
    token = visit.base.removeprefix("/portal/s/")
    flipped = token[:20] + ("A" if token[20] != "A" else "B") + token[21:]
    for forged in (flipped, token[:-4], token + "AAAA", "whps_", "whps_####", token.removeprefix("whps_"), "%FF"):
        refused(await portal.get(f"/portal/s/{forged}"), 404)


async def test_replaying_sends_again_with_the_same_id(
    portal: Portal, engine: WebhookEngine, receiver: Receiver, database: Database
) -> None:
    visit = await portal.visit()
    endpoint = await visit.add(receiver.url())
    receiver.answers["/hook"] = answer(500, text="broken")
    await portal.happen(3)
    await engine.run_once()
    await database.worker.execute("update webhook_deliveries set status = 'exhausted', due_at = null")
    del receiver.answers["/hook"]
    page = await visit.get(f"/endpoints/{endpoint}?status=exhausted&type=email.delivered&since=2020-01-01")
    assert page.text.count("/deliveries/whd_") == 3
    assert "Nothing matches" in (await visit.get(f"/endpoints/{endpoint}?status=delivered")).text
    assert "Nothing matches" in (await visit.get(f"/endpoints/{endpoint}?until=2020-01-01")).text
    delivery = (await portal.api.get(f"/v1/webhook_endpoints/{endpoint}/deliveries")).json()["data"][0]["id"]
    detail = (await visit.get(f"/endpoints/{endpoint}/deliveries/{delivery}")).text
    assert "the receiver answered 500" in detail
    assert "First byte" in detail
    assert "broken" in detail
    assert "&#34;number&#34;: " in detail  # any of the three: ids of one millisecond are in no order
    one = await visit.post(f"/endpoints/{endpoint}/deliveries/{delivery}/replay")
    assert one.status_code == 303
    await engine.run_once()
    assert sorted(receiver.ids().values()) == [1, 1, 2]
    rest = await visit.post(f"/endpoints/{endpoint}/replay", {"which": "failed", "since": "2020-01-01T00:00"})
    assert rest.status_code == 303
    assert "The replay has begun" in (await portal.get(rest.headers["location"])).text
    refused(await visit.post(f"/endpoints/{endpoint}/replay", {"which": "missing"}), 409)  # one at a time
    await Replays(database, portal.services.doorbell).run_once()
    await engine.run_once()
    assert sorted(receiver.ids().values()) == [2, 2, 2]
    await Replays(database, portal.services.doorbell).run_once()
    assert "The last replay is complete: 2 sent again" in (await visit.get(f"/endpoints/{endpoint}")).text
    refused(await visit.post(f"/endpoints/{endpoint}/replay", {"which": "failed", "since": "soon"}), 422)
    refused(await visit.post(f"/endpoints/{endpoint}/replay", {"which": "missing", "since": "2999-01-01T00:00"}), 422)
    refused(await visit.post(f"/endpoints/{endpoint}/replay", {"which": "everything"}), 400)


async def test_a_replay_is_cancelled_by_its_own_endpoint_only(portal: Portal) -> None:
    visit = await portal.visit()
    endpoint, other = await visit.add(), await visit.add()
    theirs = await portal.endpoint(consumer="customer_7")
    await portal.happen()
    assert (await visit.post(f"/endpoints/{endpoint}/replay", {"which": "all"})).status_code == 303
    started = await portal.api.post(f"/v1/webhook_endpoints/{theirs}/replay", json={"only": "all"})
    foreign = started.json()["id"]
    mine = (await portal.api.get("/v1/webhook_replays")).json()["data"][1]["id"]
    refused(await visit.post(f"/endpoints/{endpoint}/replays/{foreign}/cancel"), 404)
    refused(await visit.post(f"/endpoints/{other}/replays/{mine}/cancel"), 404)
    refused(await visit.post(f"/endpoints/{theirs}/replays/{foreign}/cancel"), 404)
    page = (await visit.get(f"/endpoints/{endpoint}")).text
    assert "<progress" in page
    assert (await visit.post(f"/endpoints/{endpoint}/replays/{mine}/cancel")).status_code == 303
    assert "The last replay was cancelled" in (await visit.get(f"/endpoints/{endpoint}")).text


async def test_diagnosis_says_what_is_wrong(portal: Portal, receiver: Receiver, database: Database) -> None:
    visit = await portal.visit(events=["email.bounced"])
    endpoint = await visit.add(receiver.url(), "email.bounced")
    fine = await visit.post(f"/endpoints/{endpoint}/diagnose", {"event": "email.bounced"})
    assert fine.status_code == 200
    assert "It works" in fine.text
    assert receiver.requests[0].event["type"] == "email.bounced"
    receiver.answers["/hook"] = answer(302, headers={"Location": "https://elsewhere.example/"})
    moved = await visit.post(f"/endpoints/{endpoint}/diagnose", {"event": "webhook.test"})
    assert "It does not work yet" in moved.text
    assert "https://elsewhere.example/" in moved.text
    refused(await visit.post(f"/endpoints/{endpoint}/diagnose", {"event": "api_key.created"}), 400)
    theirs = await portal.endpoint(receiver.url("/theirs"), consumer="customer_7")
    refused(await visit.post(f"/endpoints/{theirs}/diagnose", {"event": "email.bounced"}), 404)
    assert receiver.at("/theirs") == []
    assert await database.worker.fetchval("select count(*) from webhook_deliveries") == 0


async def test_endpoints_with_other_settings_show_what_is_sent(
    portal: Portal, engine: WebhookEngine, receiver: Receiver
) -> None:
    """Set by the organization: Ed25519 has no secret to show, a thin payload holds ids only."""
    body = {"url": receiver.url(), "events": ["email.*"], "consumer": CONSUMER}
    response = await portal.api.post("/v1/webhook_endpoints", json=body | {"signature": "ed25519", "payload": "thin"})
    endpoint = response.json()["id"]
    visit = await portal.visit()
    rotated = (await visit.post(f"/endpoints/{endpoint}/rotate")).text
    assert "whpk_" in rotated
    assert "None" not in rotated
    shown = (await visit.get(f"/endpoints/{endpoint}")).text
    assert "whpk_" in shown
    assert "whsec_" not in shown
    await portal.happen()
    await engine.run_once()
    assert receiver.requests[0].event["data"] == {}
    delivery = (await portal.api.get(f"/v1/webhook_endpoints/{endpoint}/deliveries")).json()["data"][0]["id"]
    page = (await visit.get(f"/endpoints/{endpoint}/deliveries/{delivery}")).text
    assert "&#34;data&#34;: {}" in page


async def test_pages_of_deliveries_turn_both_ways(portal: Portal, engine: WebhookEngine, receiver: Receiver) -> None:
    visit = await portal.visit()
    endpoint = await visit.add(receiver.url())
    await portal.happen(45)
    await engine.run_once()
    seen, path = [], f"/endpoints/{endpoint}"
    for expected in (20, 20, 5):
        page = (await visit.get(path)).text
        assert page.count("/deliveries/whd_") == expected
        seen.append(page)
        if expected == 20:
            path = _link(page, "Older →").removeprefix(visit.base)
    assert "Older →" not in seen[-1]
    back = (await visit.get(_link(seen[-1], "← Newer").removeprefix(visit.base))).text
    assert _deliveries(back) == _deliveries(seen[1])
    assert "← Newer" not in seen[0]
    refused(await visit.get(f"/endpoints/{endpoint}?after=nonsense"), 422)


def _link(page: str, text: str) -> str:
    before = page[: page.index(f">{text}")]
    return before.rpartition('href="')[2].partition("#")[0].partition('"')[0].replace("&amp;", "&")


def _deliveries(page: str) -> list[str]:
    return [part[:30] for part in page.split("/deliveries/")[1:]]


async def test_who_may_frame_it(portal: Portal) -> None:
    plain = await (await portal.visit()).get()
    assert "frame-ancestors 'none'" in plain.headers["content-security-policy"]
    assert plain.headers["x-frame-options"] == "DENY"
    visit = await portal.visit(frame_ancestors=["https://app.example.com", "http://127.0.0.1:3000"])
    for page in (await visit.get(), await visit.get("/endpoints/whe_x")):
        policy = page.headers["content-security-policy"]
        assert policy.endswith("frame-ancestors https://app.example.com http://127.0.0.1:3000")
        assert "x-frame-options" not in page.headers
        assert "'unsafe" not in policy
    for path in ("/login", "/portal/l/whpl_unknown", "/docs"):
        page = await portal.get(path)
        assert "frame-ancestors 'none'" in page.headers["content-security-policy"], path


async def test_nothing_is_changed_by_looking(portal: Portal, database: Database) -> None:
    endpoint = await portal.endpoint()
    visit = await portal.visit()
    before = await database.worker.fetch("select * from webhook_endpoints")
    for path in POSTS:
        page = await visit.get(f"/endpoints/{endpoint}{path.format(delivery='x')}")
        assert page.status_code in (200, 404, 405), path
    assert await database.worker.fetch("select * from webhook_endpoints") == before


async def test_other_kinds_of_bodies_are_refused(portal: Portal) -> None:
    visit = await portal.visit()
    refused(await portal.post(visit.base + "/endpoints/new", {}, **{"Content-Type": "application/json"}), 415)
    many = {f"f{number}": "x" for number in range(500)}
    refused(await visit.post("/endpoints/new", many), 400)


async def test_tokens_stay_out_of_logs(portal: Portal, caplog: pytest.LogCaptureFixture) -> None:
    link = await portal.link()
    visit = await portal.visit(link)
    for path in (path_of(link["url"]), visit.base):
        assert mask(f"GET {path} 200").endswith("/[redacted] 200")
    with caplog.at_level(logging.DEBUG):
        await visit.get()
    assert visit.base not in "".join(map(mask, caplog.messages))


async def test_markup_stays_text(portal: Portal) -> None:
    visit = await portal.visit(theme={"name": "<b>Acme</b>"})
    made = await visit.add("https://hooks.example.com/?<script>alert(1)</script>")
    for page in (await visit.get(), await visit.get(f"/endpoints/{made}")):
        assert "<script>alert" not in page.text
        assert "<b>Acme" not in page.text
