"""Reports of receivers through the gateway: each counted once, told by source, and what they allow."""

from __future__ import annotations

import time
from base64 import b64encode
from typing import Any

from penguinmails_core.kit import ids
from penguinmails_core.kit.db import Database
from tests.fixtures.client import ApiClient, problem
from tests.fixtures.dmarc import dmarc_report
from tests.fixtures.factories import Tenant, make_domain

NAME = "mail.acme.example"


async def path_of(database: Database, tenant: Tenant) -> str:
    return f"/v1/domains/{ids.encode('dom', await make_domain(database, tenant, NAME))}"


async def hand_in(client: ApiClient, path: str, report: bytes) -> dict[str, Any]:
    response = await client.post(f"{path}/reports", json={"content": b64encode(report).decode()})
    assert response.status_code == 201, response.text
    taken: dict[str, Any] = response.json()
    return taken


async def test_reports_are_counted_once_and_told_by_source(
    client: ApiClient, tenant: Tenant, database: Database
) -> None:
    path, today = await path_of(database, tenant), int(time.time()) // 86_400 * 86_400
    good, bad = ("192.0.2.1", 20, "pass", "pass"), ("203.0.113.9", 1, "fail", "fail")
    for day in range(1, 9):
        report = dmarc_report(NAME, [good], begin=today - day * 86_400, report_id=str(day))
        assert (await hand_in(client, path, report))["duplicate"] is False
    assert (await hand_in(client, path, report))["duplicate"] is True
    found = (await client.get(f"{path}/dmarc_sources")).json()
    assert (found["messages"], found["aligned"]) == (160, 160)
    assert found["proposal"] == {"policy": "none", "next": "quarantine", "ready": True, "reasons": []}
    # Of the domain above, which has no policy of its own for ours; and somebody who fails.
    rows = [bad, ("192.0.2.1", 4, "fail", "pass")] * 5
    await hand_in(client, path, dmarc_report("acme.example", rows, begin=today - 86_400, reporter="other.example"))
    found = (await client.get(f"{path}/dmarc_sources", params={"days": 30})).json()
    assert [(s["source_ip"], s["messages"], s["aligned"], s["dkim_aligned"]) for s in found["sources"]] == [
        ("192.0.2.1", 180, 180, 160),
        ("203.0.113.9", 5, 0, 0),
    ]
    assert found["sources"][0]["reporters"] == ["other.example", "receiver.example"]
    assert (found["proposal"]["ready"], found["proposal"]["reasons"]) == (False, ["too_many_fail"])
    assert (await client.get(f"{path}/dmarc_sources", params={"days": 1})).json()["messages"] < 185


async def test_what_is_no_report_of_the_domain_is_refused(
    client: ApiClient, tenant: Tenant, stranger: Tenant, database: Database
) -> None:
    path = await path_of(database, tenant)
    elsewhere = dmarc_report("other.example", [("192.0.2.1", 1, "pass", "pass")])
    for content, code in (
        (b64encode(elsewhere).decode(), "other_domain"),
        (b64encode(b"hello").decode(), "unreadable_report"),
        ("?", "invalid_base64"),
        ("ä", "invalid_base64"),
    ):
        refused = await client.post(
            f"{path}/reports", content=_json(content), headers={"Content-Type": "application/json"}
        )
        assert [error["code"] for error in problem(refused, 422, "validation_failed")["errors"]] == [code], content
    mine = {"content": b64encode(dmarc_report(NAME, [])).decode()}
    problem(await client.as_(stranger.key).post(f"{path}/reports", json=mine), 404, "not_found")
    problem(await client.as_(stranger.key).get(f"{path}/dmarc_sources"), 404, "not_found")
    problem(await client.as_(tenant.test).post(f"{path}/reports", json=mine), 403, "forbidden")
    problem(await client.get(f"{path}/dmarc_sources", params={"days": 0}), 422, "validation_failed")


def _json(content: str) -> bytes:
    escaped = "".join(c if c.isascii() else f"\\u{ord(c):04x}" for c in content)
    return f'{{"content": "{escaped}"}}'.encode()
