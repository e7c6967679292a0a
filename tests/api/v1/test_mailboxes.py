"""`/v1/mailboxes` through the gateway, against a real Dovecot and a submission server."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from penguinmails_api.app import create_gateway
from penguinmails_api.services import Services, Settings
from penguinmails_core.api_keys.service import create_key
from penguinmails_core.config import DatabaseSettings, MailboxSettings
from penguinmails_core.kit import ids
from penguinmails_core.kit.db import Database
from penguinmails_core.scopes import Scope
from tests.fixtures.client import ApiClient, problem
from tests.fixtures.dovecot import Dovecot, running_dovecot
from tests.fixtures.factories import Tenant
from tests.fixtures.smtp_auth import Submission, running_submission

PATH = "/v1/mailboxes"
USER = "grace@acme.test"


@pytest.fixture
def settings() -> Settings:
    return Settings(
        database=DatabaseSettings(pool_size=4, ingest_connections=1, worker_connections=2),
        mailbox=MailboxSettings(allow_private=True, timeout=5),
    )


@pytest.fixture(scope="module")
def dovecot() -> Iterator[Dovecot]:
    with running_dovecot([USER]) as server:
        yield server


@pytest.fixture
def submission() -> Iterator[Submission]:
    with running_submission() as server:
        yield server


def body(dovecot: Dovecot, submission: Submission, **members: Any) -> dict[str, Any]:
    place = {"host": "127.0.0.1", "tls": "none", "password": "pw"}
    return {
        "address": USER,
        "smtp": place | {"port": submission.port},
        "imap": place | {"port": dovecot.imap},
    } | members


async def connect(client: ApiClient, **members: Any) -> dict[str, Any]:
    server = {"host": "127.0.0.1", "port": 1, "password": "pw"}
    response = await client.post(PATH, json={"address": USER, "smtp": server, "verify": False} | members)
    assert response.status_code == 201, response.text
    made: dict[str, Any] = response.json()
    return made


async def told(database: Database) -> list[str]:
    rows = await database.worker.fetch(
        "select type from events where type like 'mailbox.%' order by xid::text::int8, sequence"
    )
    return [row["type"] for row in rows]


async def test_a_mailbox_is_tried_before_it_is_kept(
    client: ApiClient, database: Database, dovecot: Dovecot, submission: Submission
) -> None:
    response = await client.post(PATH, json=body(dovecot, submission, display_name="Grace", aliases=["G@Acme.test"]))
    assert response.status_code == 201, response.text
    made = response.json()
    assert (made["status"], made["last_error"], made["aliases"]) == ("connected", None, ["G@acme.test"])
    assert made["checked_at"]
    assert made["imap"] == {"host": "127.0.0.1", "port": dovecot.imap, "tls": "none", "username": USER}
    assert submission.signed_in == [USER]
    assert '"pw"' not in response.text
    assert (await client.get(f"{PATH}/{made['id']}")).json() == made
    assert (await client.get(PATH)).json()["data"] == [made]
    assert await told(database) == ["mailbox.created", "mailbox.connected"]
    row = await database.worker.fetchrow("select * from mailboxes")
    assert row is not None
    assert b"pw" not in row["smtp_password"] + row["imap_password"]


async def test_what_does_not_work_is_refused_with_its_cause(
    client: ApiClient, dovecot: Dovecot, submission: Submission
) -> None:
    wrong = body(dovecot, submission)
    wrong["imap"]["password"] = "wrong"
    refused = problem(await client.post(PATH, json=wrong), 422, "mailbox_unreachable")
    assert [(error["pointer"], error["code"]) for error in refused["errors"]] == [("/imap", "auth_failed")]
    assert (await client.get(PATH)).json()["data"] == []
    kept = await connect(client, **{name: wrong[name] for name in ("smtp", "imap")})
    assert (kept["status"], kept["last_error"], kept["checked_at"]) == ("disconnected", None, None)


async def test_a_test_says_what_works_and_changes_the_status(
    client: ApiClient, database: Database, dovecot: Dovecot
) -> None:
    with running_submission() as server:
        made = (await client.post(PATH, json=body(dovecot, server))).json()
    tested = (await client.post(f"{PATH}/{made['id']}/test")).json()
    assert not tested["ok"]
    assert [(check["protocol"], check["code"]) for check in tested["checks"]] == [("smtp", "refused"), ("imap", None)]
    assert tested["mailbox"]["status"] == "disconnected"
    assert tested["mailbox"]["last_error"]["code"] == "refused"
    with running_submission() as server:
        change = {"smtp": {"host": "127.0.0.1", "port": server.port, "tls": "none", "password": "pw"}}
        changed = await client.patch(f"{PATH}/{made['id']}", json=change)
    assert changed.json()["status"] == "connected", changed.text
    assert await told(database) == [
        "mailbox.created",
        "mailbox.connected",
        "mailbox.disconnected",
        "mailbox.connected",
    ]


async def test_a_stored_password_goes_nowhere_else(client: ApiClient, submission: Submission) -> None:
    made = await connect(client)
    elsewhere = {"smtp": {"host": "127.0.0.1", "port": submission.port, "tls": "none"}}
    refused = problem(await client.patch(f"{PATH}/{made['id']}", json=elsewhere), 422, "validation_failed")
    assert refused["errors"][0]["pointer"] == "/smtp/password"
    assert submission.signed_in == []
    same = {"smtp": {"host": "127.0.0.1", "port": 1, "tls": "implicit"}, "verify": False}
    assert (await client.patch(f"{PATH}/{made['id']}", json=same)).status_code == 200


async def test_pause_resume_and_delete(client: ApiClient, database: Database) -> None:
    made = await connect(client)
    path = f"{PATH}/{made['id']}"
    for _ in range(2):
        paused = (await client.post(f"{path}/pause")).json()
    assert (paused["status"], paused["pause_reason"]) == ("paused", "manual")
    assert [row["id"] for row in (await client.get(PATH, params={"status": "paused"})).json()["data"]] == [made["id"]]
    assert (await client.get(PATH, params={"status": "disconnected"})).json()["data"] == []
    for _ in range(2):
        resumed = (await client.post(f"{path}/resume")).json()
    assert (resumed["status"], resumed["paused_at"]) == ("disconnected", None)
    assert (await client.delete(path)).status_code == 204
    assert (await client.get(path)).status_code == 404
    assert await told(database) == ["mailbox.created", "mailbox.paused", "mailbox.resumed", "mailbox.deleted"]
    actions = await database.worker.fetch(
        "select action from audit_logs where action like 'mailbox.%' order by sequence"
    )
    assert [row["action"] for row in actions] == [
        "mailbox.created",
        "mailbox.paused",
        "mailbox.resumed",
        "mailbox.deleted",
    ]


async def test_what_is_wrong_is_named(client: ApiClient) -> None:
    await connect(client)
    twice = await client.post(
        PATH, json={"address": USER.upper(), "smtp": {"host": "a.example", "password": "x"}, "verify": False}
    )
    problem(twice, 409, "conflict")
    wrong = {"address": "no address", "smtp": {"host": "a b", "port": 22, "password": "x"}, "verify": False}
    refused = problem(await client.post(PATH, json=wrong), 422, "validation_failed")
    assert [error["pointer"] for error in refused["errors"]] == ["/address"]
    wrong["address"] = "ada@acme.test"
    refused = problem(await client.post(PATH, json=wrong), 422, "validation_failed")
    assert refused["errors"][0]["pointer"] == "/smtp/host"
    caps = {"address": "ada@acme.test", "smtp": {"host": "a.example", "password": "x"}, "verify": False}
    refused = problem(await client.post(PATH, json=caps | {"daily_cap": 5}), 422, "validation_failed")
    assert refused["errors"][0]["pointer"] == "/hourly_cap"
    problem(await client.post(PATH, json={"address": "ada@acme.test"}), 422, "validation_failed")


async def test_rows_of_an_import_stand_for_themselves(client: ApiClient) -> None:
    table = (
        "address,display_name,aliases,smtp_host,smtp_port,smtp_tls,smtp_password,imap_host,daily_cap\n"
        "ada@acme.test,Ada,a@acme.test b@acme.test,smtp.example.com,587,starttls,pw,imap.example.com,25\n"
        "ada@acme.test,Ada,,smtp.example.com,587,starttls,pw,,\n"
        "bob@acme.test,Bob,,smtp.example.com,no port,starttls,pw,,\n"
        "nobody,,,smtp.example.com,,,pw,,\n"
    )
    answer = (await client.post(f"{PATH}/import", json={"csv": table})).json()
    assert (answer["created"], answer["failed"]) == (1, 3)
    pointers = [[error["pointer"] for error in row["errors"]] for row in answer["rows"]]
    assert pointers == [[], ["/address"], ["/smtp/port"], ["/address"]]
    made = (await client.get(f"{PATH}/{answer['rows'][0]['mailbox_id']}")).json()
    assert (made["smtp"]["port"], made["daily_cap"], made["aliases"]) == (587, 25, ["a@acme.test", "b@acme.test"])
    assert (made["status"], made["imap"]["username"]) == ("disconnected", "ada@acme.test")
    rows = [{"address": "eve@acme.test", "smtp": {"host": "smtp.example.com", "password": "x"}}]
    assert (await client.post(f"{PATH}/import", json={"mailboxes": rows})).json()["created"] == 1
    problem(await client.post(f"{PATH}/import", json={"csv": "a,b\n1,2"}), 422, "validation_failed")
    problem(await client.post(f"{PATH}/import", json={}), 422, "validation_failed")


async def test_a_key_sees_the_mailboxes_that_it_may_send_from(
    client: ApiClient, services: Services, database: Database, tenant: Tenant
) -> None:
    mine = await connect(client)
    other = await connect(client, address="ada@acme.test")
    _, key = await create_key(
        database, tenant.id, mode="live", name="hers", scopes=[Scope.MAILBOXES_WRITE], allowed_mailboxes=[USER]
    )
    async with ApiClient(create_gateway(services), key) as narrow:
        assert [row["id"] for row in (await narrow.get(PATH)).json()["data"]] == [mine["id"]]
        assert (await narrow.get(f"{PATH}/{other['id']}")).status_code == 404
        server = {"host": "a.example", "password": "x"}
        refused = await narrow.post(PATH, json={"address": "eve@acme.test", "smtp": server, "verify": False})
        problem(refused, 403, "constraint_violated")


async def test_strangers_and_test_mode(
    client: ApiClient, services: Services, tenant: Tenant, stranger: Tenant, submission: Submission
) -> None:
    made = await connect(client)
    async with ApiClient(create_gateway(services), stranger.key) as other:
        for method, path in (("GET", ""), ("PATCH", ""), ("DELETE", ""), ("POST", "/test"), ("POST", "/pause")):
            document = {"daily_cap": 20} if method == "PATCH" else None
            response = await other.request(method, f"{PATH}/{made['id']}{path}", json=document)
            assert response.status_code == 404
    async with ApiClient(create_gateway(services), tenant.test) as test:
        place = {"host": "127.0.0.1", "port": submission.port, "tls": "none", "password": "pw"}
        kept = (await test.post(PATH, json={"address": USER, "smtp": place})).json()
        assert kept["status"] == "connected"
        assert submission.signed_in == []  # test mode calls nobody
        assert ids.decode("mbx", kept["id"])


async def test_mail_through_a_mailbox_is_from_one_of_its_addresses(client: ApiClient, database: Database) -> None:
    made = await connect(client, aliases=["g@acme.test"])
    email = {"to": "ada@example.com", "subject": "s", "text": "t", "mailbox_id": made["id"]}
    for sender in (USER, "Grace <g@acme.test>"):
        assert (await client.post("/v1/emails", json=email | {"from": sender})).status_code == 202
    rows = await database.worker.fetch("select lane from email_recipients")
    assert {row["lane"] for row in rows} == {f"live/transactional/{made['id']}/other"}
    refused = problem(await client.post("/v1/emails", json=email | {"from": "x@acme.test"}), 422, "validation_failed")
    assert refused["errors"][0]["pointer"] == "/from"
    unknown = email | {"from": USER, "mailbox_id": ids.encode("mbx", ids.new_uuid())}
    refused = problem(await client.post("/v1/emails", json=unknown), 422, "validation_failed")
    assert refused["errors"][0]["pointer"] == "/mailbox_id"
    many = email | {"from": USER, "to": [f"p{number}@example.com" for number in range(11)]}
    refused = problem(await client.post("/v1/emails", json=many), 422, "validation_failed")
    assert refused["errors"][0]["code"] == "hourly_cap"
