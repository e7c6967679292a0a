"""Records written into zones: by a real name server with TSIG, and by a Cloudflare of our own with a memory."""

from __future__ import annotations

import asyncio
import json
import re
import secrets
import socket
from base64 import b64encode
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from redis.asyncio import Redis

from penguinmails_api.services import Services, Settings, open_services
from penguinmails_core.config import AuthSettings, DatabaseSettings, DomainsSettings, SenderSettings
from penguinmails_core.domains.changes import Action, Change
from penguinmails_core.domains.hosts.base import ZoneChanged
from penguinmails_core.domains.hosts.rfc2136 import Rfc2136Host
from penguinmails_core.embedded import EmbeddedStack
from penguinmails_core.kit.db import Database
from penguinmails_core.kit.dns import SystemResolver
from tests.api.v1.test_domains import BOX, NAME, PATH, add
from tests.fixtures.client import ApiClient, problem
from tests.fixtures.factories import Tenant
from tests.fixtures.programs import program

ZONE = "acme.example"
SECRET = b64encode(b"0123456789abcdef0123456789abcdef").decode()
TOKEN = "token-of-the-test"
ZONE_FILE = f"""$TTL 300
@ IN SOA ns1 hostmaster 1 3600 600 86400 60
@ IN NS ns1
ns1 IN A 127.0.0.1
{NAME}. IN TXT "v=spf1 mx -all"
{NAME}. IN TXT "site-verification=1"
_dmarc.{NAME}. IN TXT "v=DMARC1; p=reject; rua=mailto:me@acme.example"
links.{NAME}. IN A 192.0.2.1
"""


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


@pytest.fixture
async def name_server(tmp_path: Path) -> AsyncIterator[int]:
    """A real BIND with one zone that takes updates signed with our key; its port."""
    named = program("named", path="/usr/sbin:/usr/bin:/sbin", hint="scripts/toolchains.sh mail")
    port = free_port()
    (tmp_path / "zone").write_text(ZONE_FILE)
    (tmp_path / "named.conf").write_text(
        f"""
        key "ours" {{ algorithm hmac-sha256; secret "{SECRET}"; }};
        options {{
          directory "{tmp_path}"; pid-file "{tmp_path}/pid"; session-keyfile "{tmp_path}/session.key";
          managed-keys-directory "{tmp_path}"; listen-on port {port} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }};
          recursion no; dnssec-validation no; empty-zones-enable no; notify no;
        }};
        controls {{ }};
        zone "{ZONE}" {{ type primary; file "{tmp_path}/zone"; allow-update {{ key "ours"; }}; }};
        """
    )
    with (tmp_path / "log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            named, "-g", "-c", str(tmp_path / "named.conf"), stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log
        )
    try:
        async with asyncio.timeout(30):
            resolver = SystemResolver(["127.0.0.1"], port, timeout=0.5)
            while True:
                try:
                    await resolver.txt(NAME)
                    break
                except Exception:
                    assert process.returncode is None, (tmp_path / "log").read_text()
                    await asyncio.sleep(0.05)
        yield port
    finally:
        if process.returncode is None:
            process.terminate()
            await process.wait()


class Cloudflare:
    """One zone, as Cloudflare's API shows it; batches are done as a whole."""

    zone_id = "0" * 32

    def __init__(self) -> None:
        self.records: dict[str, dict[str, Any]] = {}
        self.url = ""

    def put(self, kind: str, name: str, content: str) -> None:
        made = secrets.token_hex(16)
        self.records[made] = {"id": made, "type": kind, "name": name, "content": content, "ttl": 1}

    def values(self, name: str) -> list[str]:
        return sorted(record["content"] for record in self.records.values() if record["name"] == name)

    async def list(self, request: web.Request) -> web.Response:
        name = request.query["name"]
        return self._answer(request, lambda: [one for one in self.records.values() if one["name"] == name])

    async def batch(self, request: web.Request) -> web.Response:
        body = await request.json()

        def work() -> dict[str, Any]:
            for change in body["patches"]:
                self.records[change["id"]]["content"] = change["content"]
            for record in body["posts"]:
                self.put(record["type"], record["name"], record["content"])
            return {}

        return self._answer(request, work)

    def _answer(self, request: web.Request, work: Any) -> web.Response:
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            errors = [{"code": 10000, "message": "Authentication error"}]
            return web.json_response({"success": False, "errors": errors, "result": None}, status=403)
        return web.json_response({"success": True, "errors": [], "messages": [], "result": work()})


@pytest.fixture
async def cloudflare() -> AsyncIterator[Cloudflare]:
    fake = Cloudflare()
    app = web.Application()
    app.router.add_get(f"/zones/{fake.zone_id}/dns_records", fake.list)
    app.router.add_post(f"/zones/{fake.zone_id}/dns_records/batch", fake.batch)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    fake.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield fake
    finally:
        await runner.cleanup()


@pytest.fixture
async def services(
    database: Database, redis: Redis, stack: EmbeddedStack, cloudflare: Cloudflare
) -> AsyncIterator[Services]:
    settings = Settings(
        database=DatabaseSettings(pool_size=4, ingest_connections=1, worker_connections=2),
        sender=SenderSettings(spf="include:_spf.example.net"),
        auth=AuthSettings(sso_allow_private=True),
        domains=DomainsSettings(
            return_path_host="rp.example.net",
            tracking_host="l.example.net",
            dmarc_reports="d@example.net",
            apply_allow_private=True,
            cloudflare_url=cloudflare.url,
        ),
    )
    services = await open_services(stack.database_url, stack.redis_url, settings, box=BOX)
    try:
        yield services
    finally:
        await services.close()


def at_bind(port: int, **members: Any) -> dict[str, Any]:
    return {"server": "127.0.0.1", "port": port, "zone": ZONE, "key_name": "ours", "key_secret": SECRET, **members}


async def apply(client: ApiClient, domain: dict[str, Any], **body: Any) -> dict[str, Any]:
    response = await client.post(f"{PATH}/{domain['id']}/dns_records/apply", json=body)
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    return answer


def actions(answer: dict[str, Any]) -> dict[str, str]:
    return {f"{change['type']} {change['name'].removesuffix(NAME)}": change["action"] for change in answer["changes"]}


EXPECTED = {
    "TXT pm1._domainkey.": "create",
    "TXT pm2._domainkey.": "create",
    "TXT ": "update",
    "TXT _dmarc.": "update",
    "CNAME bounces.": "create",
    "CNAME links.": "conflict",
}


async def test_a_real_name_server_is_shown_and_then_written(
    client: ApiClient, database: Database, name_server: int
) -> None:
    made = await add(client)
    zone = at_bind(name_server)
    shown = await apply(client, made, rfc2136=zone)
    assert (shown["applied"], actions(shown)) == (False, EXPECTED)
    resolver = SystemResolver(["127.0.0.1"], name_server)
    assert sorted(await resolver.txt(NAME)) == [b"site-verification=1", b"v=spf1 mx -all"]
    problem(
        await client.post(f"{PATH}/{made['id']}/dns_records/apply", json={"rfc2136": zone, "plan": "0" * 32}),
        409,
        "conflict",
    )
    rehearsed = await client.post(
        f"{PATH}/{made['id']}/dns_records/apply?dry_run=true", json={"rfc2136": zone, "plan": shown["plan"]}
    )
    assert rehearsed.json() == shown
    assert len(await resolver.txt(NAME)) == 2
    done = await apply(client, made, rfc2136=zone, plan=shown["plan"])
    assert (done["applied"], done["changes"]) == (True, shown["changes"])
    assert sorted(await resolver.txt(NAME)) == [
        b"site-verification=1",
        b"v=spf1 mx include:_spf.example.net -all",
    ]
    assert await resolver.txt(f"_dmarc.{NAME}") == [
        b"v=DMARC1; p=reject; rua=mailto:me@acme.example,mailto:d@example.net"
    ]
    assert await resolver.txt(f"pm1._domainkey.{NAME}") == [made["records"][0]["value"].encode()]
    assert (await resolver.answer(f"bounces.{NAME}", "CNAME")).values == ("rp.example.net",)
    assert await resolver.addresses(f"links.{NAME}") == ["192.0.2.1"]  # left alone
    again = await apply(client, made, rfc2136=zone, plan=shown["plan"])
    assert (again["applied"], actions(again)) == (True, {"CNAME links.": "conflict"})
    noted = await database.worker.fetch("select action from audit_logs where action = 'domain.dns_applied'")
    assert len(noted) == 1
    leaks = await database.worker.fetchval("select count(*) from audit_logs where (after)::text like $1", f"%{SECRET}%")
    assert leaks == 0


async def test_a_name_server_says_no(client: ApiClient, name_server: int) -> None:
    made = await add(client)
    path = f"{PATH}/{made['id']}/dns_records/apply"
    other = b64encode(b"another key that nobody knows...").decode()
    for wrong in (
        at_bind(name_server, key_secret=other),
        at_bind(name_server, key_name="nobody"),
        at_bind(free_port()),
    ):
        document = problem(await client.post(path, json={"rfc2136": wrong}), 422, "validation_failed")
        assert document["errors"][0]["code"] == "dns_host_failed"
        assert other not in json.dumps(document)
    for wrong, pointer in (
        (at_bind(name_server, key_secret="!"), "/rfc2136/key_secret"),
        (at_bind(name_server, zone="a..b"), "/rfc2136/zone"),
        (at_bind(name_server, server="nothing here"), "/rfc2136/server"),
    ):
        document = problem(await client.post(path, json={"rfc2136": wrong}), 422, "validation_failed")
        assert [error["pointer"] for error in document["errors"]] == [pointer]
    problem(await client.post(path, json={}), 422, "validation_failed")


async def test_a_change_by_somebody_else_meanwhile_is_not_overwritten(name_server: int) -> None:
    host = Rfc2136Host("127.0.0.1", name_server, ZONE, "ours", "hmac-sha256", SECRET)
    stale = Change(Action.UPDATE, "TXT", NAME, "v=spf1 include:x.example -all", "v=spf1 a -all")
    with pytest.raises(ZoneChanged):
        await host.write([stale, Change(Action.CREATE, "TXT", f"new.{NAME}", "x")])
    with pytest.raises(ZoneChanged):
        await host.write([Change(Action.CREATE, "CNAME", f"links.{NAME}", "l.example.net")])
    there = await host.read([NAME, f"new.{NAME}"])
    assert sorted(one.value for one in there) == ["site-verification=1", "v=spf1 mx -all"]  # all or nothing


async def test_cloudflare_is_shown_and_then_written(client: ApiClient, cloudflare: Cloudflare) -> None:
    made = await add(client)
    cloudflare.put("TXT", NAME, '"v=spf1 mx -all"')
    cloudflare.put("TXT", f"_dmarc.{NAME}", "v=DMARC1; p=reject; rua=mailto:me@acme.example")
    cloudflare.put("A", f"links.{NAME}", "192.0.2.1")
    zone = {"zone_id": cloudflare.zone_id, "api_token": TOKEN}
    shown = await apply(client, made, cloudflare=zone)
    assert actions(shown) == EXPECTED
    assert len(cloudflare.records) == 3
    # Somebody edits the zone after it was shown: nothing is written, and what they did is seen.
    cloudflare.put("TXT", f"pm1._domainkey.{NAME}", '"v=DKIM1; p=AAAA"')
    body = {"cloudflare": zone, "plan": shown["plan"]}
    problem(await client.post(f"{PATH}/{made['id']}/dns_records/apply", json=body), 409, "conflict")
    shown = await apply(client, made, cloudflare=zone)
    assert actions(shown)["TXT pm1._domainkey."] == "update"
    await apply(client, made, cloudflare=zone, plan=shown["plan"])
    assert cloudflare.values(NAME) == ['"v=spf1 mx include:_spf.example.net -all"']
    assert cloudflare.values(f"bounces.{NAME}") == ["rp.example.net"]
    assert cloudflare.values(f"links.{NAME}") == ["192.0.2.1"]
    key = "".join(re.findall(r'"([^"]*)"', cloudflare.values(f"pm1._domainkey.{NAME}")[0]))
    assert key == made["records"][0]["value"]
    again = await apply(client, made, cloudflare=zone)
    assert actions(again) == {"CNAME links.": "conflict"}
    wrong = await client.post(
        f"{PATH}/{made['id']}/dns_records/apply", json={"cloudflare": {**zone, "api_token": "other"}}
    )
    assert "Authentication error" in problem(wrong, 422, "validation_failed")["detail"]


async def test_others_and_test_keys_are_refused(
    client: ApiClient, tenant: Tenant, stranger: Tenant, cloudflare: Cloudflare
) -> None:
    made = await add(client)
    path, body = f"{PATH}/{made['id']}/dns_records/apply", {"cloudflare": {"zone_id": "0" * 32, "api_token": TOKEN}}
    problem(await client.as_(stranger.key).post(path, json=body), 404, "not_found")
    problem(await client.as_(tenant.test).post(path, json=body), 403, "forbidden")
    assert cloudflare.records == {}


@pytest.mark.parametrize("server", ["127.0.0.1", "10.0.0.1", "169.254.169.254", "localhost", "::1"])
async def test_the_inside_is_not_called(
    database: Database, redis: Redis, stack: EmbeddedStack, tenant: Tenant, server: str
) -> None:
    """Without the operator's word."""
    from penguinmails_core.domains.applying import address_of
    from penguinmails_core.errors import Unprocessable
    from penguinmails_core.kit.dns import StaticResolver

    with pytest.raises(Unprocessable):
        await address_of(StaticResolver({}), server, allow_private=False)
    inside = StaticResolver({"ns1.acme.example": {"A": ["10.0.0.1"]}})
    with pytest.raises(Unprocessable):
        await address_of(inside, "ns1.acme.example", allow_private=False)
