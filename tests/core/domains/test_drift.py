"""Verified domains are watched: what changes in DNS is told, and a lost key ends sending after a time of grace."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from penguinmails_core.domains.dns_records import desired
from penguinmails_core.domains.drift import GRACE, DriftWatch
from penguinmails_core.domains.service import create_domain, signing_keys
from penguinmails_core.kit.crypto import SecretBox
from penguinmails_core.kit.db import Database
from penguinmails_core.kit.dns import DnsUnavailable, StaticResolver
from penguinmails_core.kit.doorbell import Doorbell
from tests.fixtures.factories import Tenant, make_tenant

NAME, SPF = "mail.acme.example", "include:_spf.penguin.example"
BOX = SecretBox([b"k" * 32])
KEY, DMARC = f"pm1._domainkey.{NAME}", f"_dmarc.{NAME}"


class Watched:
    """A verified domain in a DNS of its own."""

    def __init__(self, database: Database, tenant: Tenant, records: dict[str, Any]) -> None:
        self.database, self.tenant = database, tenant
        self.dns: dict[str, Any] = {name: {"TXT": [value]} for name, value in records.items()}
        self.dns["_spf.penguin.example"] = {"TXT": ["v=spf1 ip4:192.0.2.0/24 -all"]}

    async def look(self) -> int:
        await self.database.worker.execute("update domains set next_look_at = now() where name = $1", NAME)
        return await DriftWatch(self.database, StaticResolver(self.dns), Doorbell(None), spf=SPF).run_round()

    async def later(self, time: timedelta) -> None:
        await self.database.worker.execute("update domains set failing_since = failing_since - $1::interval", time)

    async def row(self) -> Any:
        return await self.database.worker.fetchrow("select * from domains where name = $1", NAME)

    async def told(self) -> list[Any]:
        return list(
            await self.database.worker.fetch(
                "select type, sequence, payload from events where organization_id = $1 and type like 'domain.%' "
                "order by sequence",
                self.tenant.id,
            )
        )


@pytest.fixture
async def domain(database: Database) -> AsyncIterator[Watched]:
    tenant = await make_tenant(database)
    made = await create_domain(database, BOX, tenant.id, tenant.workspace_id, NAME, verified=True)
    keys = [(name.partition(".")[0], "rsa-sha256", value) for name, value in made.records.items()]
    records = {record.name: record.value for record in desired(NAME, keys, SPF)}
    watched = Watched(database, tenant, records)
    assert await watched.look() == 1
    return watched


async def test_all_is_well_and_nobody_is_told(domain: Watched) -> None:
    await domain.look()
    row = await domain.row()
    assert {one["status"] for one in row["observed"].values()} == {"found"}
    assert row["checked_at"] is not None
    assert await domain.told() == []


async def test_each_domain_has_its_turn(domain: Watched) -> None:
    assert await DriftWatch(domain.database, StaticResolver(domain.dns), Doorbell(None)).run_round() == 0
    ahead = (await domain.row())["next_look_at"] - (await domain.row())["checked_at"]
    assert timedelta(hours=5.5) < ahead < timedelta(hours=6.5)


async def test_what_changes_is_told_once_and_mail_goes_on(domain: Watched) -> None:
    domain.dns[DMARC] = {"TXT": ["v=DMARC1; p=none", "v=DMARC1; p=reject"]}
    await domain.look()
    await domain.look()
    (event,) = await domain.told()
    assert event["type"] == "domain.drift"
    (record,) = event["payload"]["records"]
    assert (record["name"], len(record["found"])) == (DMARC, 2)
    assert event["payload"]["sending_ends_at"] is None
    assert (await domain.row())["status"] == "verified"
    domain.dns[DMARC] = {"TXT": ["v=DMARC1; p=reject"]}  # a policy is the owner's to choose
    await domain.look()
    assert len(await domain.told()) == 1


async def test_a_lost_key_ends_sending_after_a_time_of_grace(domain: Watched) -> None:
    del domain.dns[KEY]
    await domain.look()
    (drift,) = await domain.told()
    assert drift["payload"]["sending_ends_at"] is not None
    assert (await domain.row())["status"] == "verified"
    assert await signing_keys(domain.database.worker, BOX, domain.tenant.id, NAME)
    await domain.later(GRACE - timedelta(minutes=1))
    await domain.look()
    assert (await domain.row())["status"] == "verified"
    await domain.later(timedelta(minutes=2))
    await domain.look()
    assert (await domain.row())["status"] == "failed"
    assert [(event["type"], event["payload"].get("reason")) for event in await domain.told()] == [
        ("domain.drift", None),
        ("domain.failed", "records_missing"),
    ]
    assert not await signing_keys(domain.database.worker, BOX, domain.tenant.id, NAME)
    assert await domain.look() == 0  # it is not watched any more
    action = await domain.database.worker.fetchval("select action from audit_logs order by at desc limit 1")
    assert action == "domain.failed"


async def test_a_key_that_comes_back_in_time_ends_the_clock(domain: Watched) -> None:
    kept = domain.dns.pop(KEY)
    await domain.look()
    await domain.later(GRACE - timedelta(hours=1))
    domain.dns[KEY] = kept
    await domain.look()
    assert (await domain.row())["failing_since"] is None
    del domain.dns[KEY]
    await domain.look()
    await domain.later(timedelta(hours=2))
    await domain.look()
    assert (await domain.row())["status"] == "verified"


async def test_a_resolver_without_an_answer_never_counts(domain: Watched) -> None:
    before = (await domain.row())["observed"]
    domain.dns = {"*": {"TXT": DnsUnavailable("*", "SERVFAIL")}}
    await domain.look()
    row = await domain.row()
    assert (row["status"], row["failing_since"], row["observed"]) == ("verified", None, before)
    assert await domain.told() == []
    # Nor does it end a domain whose grace is over: somebody has to see that the key is missing.
    await domain.database.worker.execute("update domains set failing_since = now() - interval '30 days'")
    await domain.look()
    assert (await domain.row())["status"] == "verified"


async def test_one_that_is_deleted_meanwhile_is_left_alone(domain: Watched) -> None:
    class Slow(StaticResolver):
        async def txt(self, name: str) -> list[bytes]:
            await domain.database.worker.execute("delete from domain_keys")
            await domain.database.worker.execute("delete from domains")
            return await super().txt(name)

    await domain.database.worker.execute("update domains set next_look_at = now()")
    assert await DriftWatch(domain.database, Slow({}), Doorbell(None)).run_round() == 1
    assert await domain.told() == []
