"""`/v1/domains`: added, looked for in a DNS of our own, and deleted, through the gateway."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from redis.asyncio import Redis

from penguinmails_api.services import Services, Settings, open_services
from penguinmails_core.api_keys.service import create_key
from penguinmails_core.config import DatabaseSettings, SenderSettings
from penguinmails_core.domains.service import signing_keys
from penguinmails_core.embedded import EmbeddedStack
from penguinmails_core.kit import ids
from penguinmails_core.kit.crypto import SecretBox
from penguinmails_core.kit.db import Database
from penguinmails_core.kit.dns import DnsUnavailable, StaticResolver
from penguinmails_core.kit.ids import Prefix
from penguinmails_core.scopes import Scope
from tests.fixtures.client import ApiClient, problem
from tests.fixtures.factories import Tenant, make_workspace

PATH = "/v1/domains"
NAME = "mail.acme.example"
BOX = SecretBox([b"k" * 32])


class World(StaticResolver):
    """A DNS that tests write into."""

    def __init__(self) -> None:
        super().__init__({})

    def publish(self, domain: dict[str, Any], *purposes: str) -> None:
        for record in domain["records"]:
            if not purposes or record["purpose"] in purposes:
                self._records[record["name"]] = {record["type"]: [record["value"]]}

    def set(self, name: str, values: Any) -> None:
        self._records[name] = {"TXT": values}

    def clear(self) -> None:
        self._records.clear()


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
async def services(database: Database, redis: Redis, stack: EmbeddedStack, world: World) -> AsyncIterator[Services]:
    settings = Settings(
        database=DatabaseSettings(pool_size=4, ingest_connections=1, worker_connections=2),
        sender=SenderSettings(spf="include:_spf.example.net"),
    )
    services = await open_services(stack.database_url, stack.redis_url, settings, box=BOX, resolver=world)
    try:
        yield services
    finally:
        await services.close()


async def add(client: ApiClient, name: str = NAME, **members: Any) -> dict[str, Any]:
    response = await client.post(PATH, json={"name": name, **members})
    assert response.status_code == 201, response.text
    made: dict[str, Any] = response.json()
    return made


async def verify(client: ApiClient, domain: dict[str, Any]) -> dict[str, Any]:
    response = await client.post(f"{PATH}/{domain['id']}/verify")
    assert response.status_code == 200, response.text
    seen: dict[str, Any] = response.json()
    return seen


async def told(database: Database, organization: Any) -> list[tuple[str, int, str | None]]:
    rows = await database.worker.fetch(
        "select type, sequence, payload from events where organization_id = $1 order by xid::text::int8, id",
        organization,
    )
    return [(row["type"], row["sequence"], row["payload"].get("reason")) for row in rows]


async def send(client: ApiClient) -> Any:
    body = {"from": f"a@{NAME}", "to": "b@example.com", "subject": "s", "text": "t"}
    return await client.post("/v1/emails", json=body)


async def test_adding_answers_what_to_publish(client: ApiClient, tenant: Tenant, database: Database) -> None:
    made = await add(client, "Mail.ACME.example")
    assert (made["name"], made["status"]) == (NAME, "pending")
    assert made["workspace_id"] == ids.encode(Prefix.WORKSPACE, tenant.workspace_id)
    assert [(record["purpose"], record["name"], record["required"]) for record in made["records"]] == [
        ("dkim", f"pm1._domainkey.{NAME}", True),
        ("dkim", f"pm2._domainkey.{NAME}", False),
        ("spf", NAME, False),
        ("dmarc", f"_dmarc.{NAME}", False),
    ]
    assert {record["status"] for record in made["records"]} == {"unchecked"}
    assert (await client.get(f"{PATH}/{made['id']}")).json() == made
    assert (await client.get(PATH)).json() == {"data": [made], "has_more": False, "next_cursor": None}
    sealed = await database.worker.fetch("select private_key from domain_keys")
    assert len(sealed) == 2
    assert await told(database, tenant.id) == [("domain.created", 1, None)]


async def test_names_in_any_script_are_read(client: ApiClient) -> None:
    made = await add(client, "bücher.example")
    assert (made["name"], made["unicode_name"]) == ("xn--bcher-kva.example", "bücher.example")
    assert len((await client.get(PATH, params={"name": "BÜCHER.example"})).json()["data"]) == 1
    assert (await client.get(PATH, params={"status": "verified"})).json()["data"] == []


@pytest.mark.parametrize("name", ["", "localhost", "a b.example", "192.0.2.1", "-x.example", "acme.example."])
async def test_what_is_no_domain_is_refused(client: ApiClient, name: str) -> None:
    document = problem(await client.post(PATH, json={"name": name}), 422, "validation_failed")
    assert [error["pointer"] for error in document["errors"]] == ["/name"]


async def test_a_name_is_added_once(client: ApiClient) -> None:
    await add(client)
    problem(await client.post(PATH, json={"name": NAME.upper()}), 409, "conflict")


async def test_a_published_key_verifies_and_mail_is_accepted_and_signed(
    client: ApiClient, tenant: Tenant, database: Database, world: World
) -> None:
    made = await add(client)
    problem(await send(client), 403, "domain_not_verified")
    world.publish(made, "dkim")
    seen = await verify(client, made)
    assert seen["status"] == "verified"
    assert seen["verified_at"] is not None
    assert [record["status"] for record in seen["records"]] == ["found", "found", "missing", "missing"]
    assert all(record["detail"] for record in seen["records"][2:])
    assert (await client.get(f"{PATH}/{made['id']}")).json() == seen
    assert (await send(client)).status_code == 202
    assert len(await signing_keys(database.worker, BOX, tenant.id, NAME)) == 2
    assert (await verify(client, made))["verified_at"] == seen["verified_at"]
    assert [kind for kind, _, _ in await told(database, tenant.id)] == [
        "domain.created",
        "domain.verified",
        "email.queued",
    ]


async def test_a_look_that_finds_nothing_fails_and_one_without_an_answer_changes_nothing(
    client: ApiClient, tenant: Tenant, database: Database, world: World
) -> None:
    made = await add(client)
    world.set(f"pm1._domainkey.{NAME}", DnsUnavailable(NAME, "SERVFAIL"))
    seen = await verify(client, made)
    assert (seen["status"], seen["records"][0]["status"]) == ("pending", "unavailable")
    world.clear()
    assert (await verify(client, made))["status"] == "failed"
    world.publish(made)
    assert (await verify(client, made))["status"] == "verified"
    world.set(f"pm1._domainkey.{NAME}", DnsUnavailable(NAME, "time-out"))
    assert (await verify(client, made))["status"] == "verified"
    world.set(f"pm1._domainkey.{NAME}", ["v=DKIM1; p=AAAA"])
    lost = await verify(client, made)
    assert (lost["status"], lost["verified_at"], lost["records"][0]["status"]) == ("failed", None, "mismatch")
    assert await told(database, tenant.id) == [
        ("domain.created", 1, None),
        ("domain.failed", 2, "records_missing"),
        ("domain.verified", 3, None),
        ("domain.failed", 4, "records_missing"),
    ]


async def test_dns_decides_between_two_organizations(
    client: ApiClient, tenant: Tenant, stranger: Tenant, database: Database, world: World
) -> None:
    mine = await add(client)
    other = client.as_(stranger.key)
    theirs = await add(other)
    world.publish(mine)
    await verify(client, mine)
    # They do not hold the zone: their key is not there, so nothing is taken.
    assert (await verify(other, theirs))["status"] == "failed"
    assert (await client.get(f"{PATH}/{mine['id']}")).json()["status"] == "verified"
    # The zone now holds their key in place of ours: it has changed hands.
    world.publish(theirs)
    assert (await verify(other, theirs))["status"] == "verified"
    assert (await client.get(f"{PATH}/{mine['id']}")).json()["status"] == "failed"
    assert (await told(database, tenant.id))[-1] == ("domain.failed", 3, "taken_over")
    assert (await told(database, stranger.id))[-1][0] == "domain.verified"


async def test_deleting_ends_sending(client: ApiClient, tenant: Tenant, database: Database, world: World) -> None:
    made = await add(client)
    world.publish(made)
    await verify(client, made)
    response = await client.delete(f"{PATH}/{made['id']}")
    assert (response.status_code, response.content) == (204, b"")
    problem(await client.get(f"{PATH}/{made['id']}"), 404, "not_found")
    assert await database.worker.fetchval("select count(*) from domain_keys") == 0
    assert await signing_keys(database.worker, BOX, tenant.id, NAME) == []
    problem(await send(client), 403, "domain_not_verified")
    assert (await told(database, tenant.id))[-1] == ("domain.deleted", 3, None)
    again = await add(client)
    assert again["records"][0]["value"] != made["records"][0]["value"]


async def test_adding_is_done_once_for_a_key(client: ApiClient, database: Database) -> None:
    first = await client.post(PATH, json={"name": NAME}, idempotency_key="one")
    again = await client.post(PATH, json={"name": NAME}, idempotency_key="one")
    assert again.headers["idempotency-replayed"] == "true"
    assert again.json() == first.json()
    assert await database.worker.fetchval("select count(*) from domains") == 1


async def test_a_test_key_reads_and_changes_nothing(client: ApiClient, tenant: Tenant) -> None:
    made = await add(client)
    tester = client.as_(tenant.test)
    assert (await tester.get(f"{PATH}/{made['id']}")).status_code == 200
    for request in (
        tester.post(PATH, json={"name": "b.example"}),
        tester.post(f"{PATH}/{made['id']}/verify"),
        tester.delete(f"{PATH}/{made['id']}"),
    ):
        problem(await request, 403, "forbidden")


async def test_nobody_reaches_another_organizations_domain(client: ApiClient, stranger: Tenant) -> None:
    made = await add(client)
    other = client.as_(stranger.key)
    assert (await other.get(PATH)).json()["data"] == []
    for request in (
        other.get(f"{PATH}/{made['id']}"),
        other.post(f"{PATH}/{made['id']}/verify"),
        other.delete(f"{PATH}/{made['id']}"),
    ):
        problem(await request, 404, "not_found")
    assert (await client.get(f"{PATH}/{made['id']}")).json() == made


async def test_workspaces_are_kept_apart(
    client: ApiClient, tenant: Tenant, stranger: Tenant, database: Database
) -> None:
    workspace = await make_workspace(database, tenant.id, "brand")
    _, key = await create_key(
        database, tenant.id, mode="live", name="bound", scopes=[Scope.DOMAINS_WRITE], workspace_id=workspace
    )
    bound = client.as_(key)
    own = await add(bound, "brand.example")
    assert own["workspace_id"] == ids.encode(Prefix.WORKSPACE, workspace)
    given = await add(client, "given.example", workspace_id=ids.encode(Prefix.WORKSPACE, workspace))
    assert given["workspace_id"] == own["workspace_id"]
    main = await add(client)
    assert {item["id"] for item in (await bound.get(PATH)).json()["data"]} == {own["id"], given["id"]}
    problem(await bound.get(f"{PATH}/{main['id']}"), 404, "not_found")
    problem(await bound.delete(f"{PATH}/{main['id']}"), 404, "not_found")
    foreign = ids.encode(Prefix.WORKSPACE, stranger.workspace_id)
    for asker, wanted in ((client, foreign), (bound, main["workspace_id"])):
        body = {"name": "x.example", "workspace_id": wanted}
        document = problem(await asker.post(PATH, json=body), 422, "validation_failed")
        assert document["errors"][0]["pointer"] == "/workspace_id"


async def test_scopes_are_asked_for(client: ApiClient, tenant: Tenant, database: Database) -> None:
    _, key = await create_key(database, tenant.id, mode="live", name="reader", scopes=[Scope.DOMAINS_READ])
    reader = client.as_(key)
    assert (await reader.get(PATH)).status_code == 200
    problem(await reader.post(PATH, json={"name": NAME}), 403, "missing_scope")


async def test_an_spf_record_that_is_there_is_kept_and_gets_what_it_lacks(client: ApiClient, world: World) -> None:
    made = await add(client)
    world.publish(made, "dkim", "dmarc")
    world.set(NAME, ["v=spf1 include:_spf.google.example -all", "google-site-verification=x"])
    seen = await verify(client, made)
    assert seen["status"] == "verified"
    spf = next(record for record in seen["records"] if record["purpose"] == "spf")
    assert (spf["status"], spf["reason"]) == ("mismatch", "mechanism_missing")
    assert spf["value"] == "v=spf1 include:_spf.google.example include:_spf.example.net -all"
    world.set("_spf.google.example", ["v=spf1 ip4:192.0.2.0/24 -all"])
    world.set("_spf.example.net", ["v=spf1 ip4:198.51.100.0/24 -all"])
    world.publish(seen)
    fixed = await verify(client, seen)
    assert {(record["status"], record["reason"]) for record in fixed["records"]} == {("found", None)}
    world.set("_spf.google.example", ["v=spf1 " + "a " * 9 + "-all"])
    costly = next(record for record in (await verify(client, seen))["records"] if record["purpose"] == "spf")
    assert (costly["status"], costly["reason"]) == ("mismatch", "too_many_lookups")
    assert "11 DNS lookups" in costly["detail"]


async def test_what_to_publish_is_exported(client: ApiClient, stranger: Tenant, world: World) -> None:
    made = await add(client)
    path = f"{PATH}/{made['id']}/records/export"
    zone = await client.get(path)
    assert zone.headers["content-type"].startswith("text/plain")
    assert zone.text.count("\tIN\tTXT\t") == 4
    assert 'resource "cloudflare_dns_record"' in (await client.get(path, params={"format": "terraform"})).text
    assert len(json.loads((await client.get(path, params={"format": "cloudflare"})).text)["posts"]) == 4
    problem(await client.get(path, params={"format": "xml"}), 422, "validation_failed")
    world.publish(made)
    world.set("_spf.example.net", ["v=spf1 -all"])
    await verify(client, made)
    assert (await client.get(path)).text == ""
    problem(await client.as_(stranger.key).get(path), 404, "not_found")
