"""`/v1/domains`: options, the change of DKIM keys, and the watch with its grace clock, through the gateway."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from redis.asyncio import Redis

from penguinmails_api.services import Services, Settings, open_services
from penguinmails_core.config import DatabaseSettings, DomainsSettings, SenderSettings
from penguinmails_core.domains.service import signing_keys, txt_lookup
from penguinmails_core.domains.watch import DomainWatch
from penguinmails_core.embedded import EmbeddedStack
from penguinmails_core.kit.clock import utcnow
from penguinmails_core.kit.db import Database
from penguinmails_core.kit.dns import DnsUnavailable
from tests.api.v1.test_domains import BOX, NAME, PATH, World, add, told, verify
from tests.fixtures.client import ApiClient, problem
from tests.fixtures.factories import Tenant

HOURS = [timedelta(hours=hours) for hours in range(100)]


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
async def services(database: Database, redis: Redis, stack: EmbeddedStack, world: World) -> AsyncIterator[Services]:
    settings = Settings(
        database=DatabaseSettings(pool_size=4, ingest_connections=1, worker_connections=2),
        sender=SenderSettings(spf="include:_spf.example.net"),
        domains=DomainsSettings(
            return_path_host="rp.example.net", tracking_host="l.example.net", dmarc_reports="d@example.net"
        ),
    )
    services = await open_services(stack.database_url, stack.redis_url, settings, box=BOX, resolver=world)
    try:
        yield services
    finally:
        await services.close()


@pytest.fixture
def watch(services: Services) -> DomainWatch:
    return DomainWatch(services.database, services.doorbell, services.dns_resolvers, services.dns_policy)


async def shown(client: ApiClient, domain: dict[str, Any]) -> dict[str, Any]:
    answer: dict[str, Any] = (await client.get(f"{PATH}/{domain['id']}")).json()
    return answer


def selectors(domain: dict[str, Any]) -> dict[str, str]:
    found = [record for record in domain["records"] if record["purpose"] == "dkim"]
    return {record["name"].split(".")[0]: record["value"][-4:] for record in found}


async def test_options_decide_the_records(client: ApiClient, tenant: Tenant) -> None:
    made = await add(client)
    assert {r["purpose"] for r in made["records"] if r["type"] == "CNAME"} == {"return_path", "tracking"}
    assert [r["name"] for r in made["records"] if r["publisher"] == "operator"] == [
        f"{NAME}._report._dmarc.example.net"
    ]
    body = {"tracking": False, "dmarc_policy": "quarantine", "bimi_logo": "https://acme.example/l.svg"}
    changed = (await client.patch(f"{PATH}/{made['id']}", json=body)).json()
    assert changed["settings"] | body == changed["settings"]
    purposes = {record["purpose"]: record["value"] for record in changed["records"]}
    assert "tracking" not in purposes
    assert purposes["dmarc"] == "v=DMARC1; p=quarantine; rua=mailto:d@example.net"
    assert "bimi" in purposes
    assert await shown(client, made) == changed
    path = f"{PATH}/{made['id']}"
    for wrong in ({"dmarc_policy": "strict"}, {"bimi_logo": "http://acme.example/l.svg"}, {"tracking": None}):
        problem(await client.patch(path, json=wrong), 422, "validation_failed")
    await client.patch(path, json={"bimi_logo": None})
    document = problem(
        await client.patch(path, json={"bimi_certificate": "https://acme.example/c.pem"}), 422, "validation_failed"
    )
    assert document["errors"][0]["pointer"] == "/bimi_logo"
    problem(await client.as_(tenant.test).patch(path, json=body), 403, "forbidden")


async def test_others_cannot_change_or_rotate(client: ApiClient, stranger: Tenant) -> None:
    made = await add(client)
    other = client.as_(stranger.key)
    problem(await other.patch(f"{PATH}/{made['id']}", json={"tracking": False}), 404, "not_found")
    problem(await other.post(f"{PATH}/{made['id']}/dkim/rotate"), 404, "not_found")


async def test_an_existing_spf_record_is_shown_merged(client: ApiClient, world: World) -> None:
    made = await add(client)
    world.publish(made, "dkim")
    world.set(NAME, ["v=spf1 mx -all"])
    spf = next(r for r in (await verify(client, made))["records"] if r["purpose"] == "spf")
    assert (spf["value"], spf["reason"]) == ("v=spf1 mx include:_spf.example.net -all", "mechanism_missing")
    assert spf["dns_lookups"] == 2
    world.set(NAME, [spf["value"]])
    world.set("_spf.example.net", ["v=spf1 ip4:192.0.2.0/24 -all"])
    spf = next(r for r in (await verify(client, made))["records"] if r["purpose"] == "spf")
    assert (spf["status"], spf["value"]) == ("found", "v=spf1 mx include:_spf.example.net -all")


async def test_keys_change_without_a_message_that_fails(
    client: ApiClient, tenant: Tenant, database: Database, world: World, watch: DomainWatch
) -> None:
    made = await add(client)
    problem(await client.post(f"{PATH}/{made['id']}/dkim/rotate"), 409, "conflict")
    world.publish(made)
    await verify(client, made)
    response = await client.post(f"{PATH}/{made['id']}/dkim/rotate", idempotency_key="one")
    again = await client.post(f"{PATH}/{made['id']}/dkim/rotate", idempotency_key="one")
    assert again.json() == response.json()
    both = response.json()
    assert list(selectors(both)) == ["pm1", "pm2", "pm3", "pm4"]
    problem(await client.post(f"{PATH}/{made['id']}/dkim/rotate"), 409, "conflict")

    async def signs() -> list[str]:
        return [key.selector for key in await signing_keys(database.worker, BOX, tenant.id, NAME)]

    start = utcnow()
    await database.worker.execute("update domains set next_look_at = $1", start)
    # Not published yet: however long it takes, the old pair signs.
    assert await watch.run_once(start + HOURS[24]) == 1
    assert await signs() == ["pm1", "pm2"]
    world.publish(both)
    await watch.run_once(start + HOURS[48])
    assert await signs() == ["pm1", "pm2"]  # others may still remember that it was not there
    await watch.run_once(start + HOURS[60])
    assert await signs() == ["pm3", "pm4"]
    old = f"pm1._domainkey.{NAME}"
    assert await txt_lookup(database, old) != []
    assert {r["name"]: r["value"] for r in (await shown(client, made))["records"]}[old] == made["records"][0]["value"]
    await watch.run_once(start + HOURS[60] + timedelta(days=8))
    after = await shown(client, made)
    withdrawn = next(record for record in after["records"] if record["name"] == old)
    assert withdrawn["value"] == "v=DKIM1; k=rsa; p="
    assert (after["status"], await txt_lookup(database, old)) == ("verified", [])
    sealed = await database.worker.fetch("select private_key from domain_keys where state = 'revoked'")
    assert [bytes(row[0]) for row in sealed] == [b"", b""]
    world.set(old, [withdrawn["value"]])
    await watch.run_once(start + timedelta(days=50))
    assert list(selectors(await shown(client, made))) == ["pm3", "pm4"]


async def test_a_lost_key_starts_a_clock_and_silence_does_not_move_it(
    client: ApiClient, tenant: Tenant, database: Database, world: World, watch: DomainWatch
) -> None:
    made = await add(client)
    world.publish(made)
    start = utcnow()
    await watch.run_once(start + HOURS[1])  # the first look needs nobody to ask for it
    assert (await shown(client, made))["status"] == "verified"
    key = f"pm1._domainkey.{NAME}"
    world.set(key, DnsUnavailable(key, "time-out"))
    await watch.run_once(start + HOURS[10])
    assert (await shown(client, made))["grace_until"] is None
    world.set(key, [])
    await watch.run_once(start + HOURS[20])
    seen = await shown(client, made)
    assert (seen["status"], seen["failing_since"] is not None) == ("verified", True)
    kinds = [(kind, reason) for kind, _, reason in await told(database, tenant.id)]
    assert kinds == [("domain.created", None), ("domain.verified", None), ("domain.drift", None)]
    payload = await database.worker.fetchval("select payload from events where type = 'domain.drift'")
    assert payload["records"] == [{"type": "TXT", "name": key, "expected": made["records"][0]["value"], "found": []}]
    await watch.run_once(start + HOURS[40])  # told once
    assert len(await told(database, tenant.id)) == 3
    world.set(key, DnsUnavailable(key, "time-out"))
    await watch.run_once(start + timedelta(days=9))
    assert (await shown(client, made))["status"] == "verified"
    world.set(key, [])
    await watch.run_once(start + timedelta(days=10))
    assert (await shown(client, made))["status"] == "failed"
    assert (await told(database, tenant.id))[-1][::2] == ("domain.failed", "records_missing")
    world.publish(made)
    await watch.run_once(start + timedelta(days=12))
    assert (await shown(client, made))["status"] == "verified"


async def test_drift_of_what_does_not_prove_is_told_too(
    client: ApiClient, tenant: Tenant, database: Database, world: World, watch: DomainWatch
) -> None:
    made = await add(client)
    world.publish(made)
    await verify(client, made)
    world.set(f"_dmarc.{NAME}", [])
    await watch.run_once(utcnow() + HOURS[10])
    assert (await told(database, tenant.id))[-1][0] == "domain.drift"
    assert (await shown(client, made))["grace_until"] is None
