"""What an endpoint can be told about its requests, and its secrets; through the gateway."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

import pytest

from penguinmails_core.kit.db import Database
from penguinmails_webhooks import signing
from tests.api.v1.test_webhook_endpoints import PATH, create, pointers, settings  # noqa: F401  (a fixture)
from tests.fixtures.certificates import make_certificate
from tests.fixtures.client import ApiClient, problem

PAIR = dict(zip(("certificate", "private_key"), make_certificate(), strict=True))
EXPIRED = dict(zip(("certificate", "private_key"), make_certificate(days=-1), strict=True))
OWN = "whsec_" + base64.b64encode(b"o" * 24).decode()


async def told(database: Database) -> list[dict[str, Any]]:
    rows = await database.worker.fetch("select type, payload from events order by sequence")
    return [{"type": row["type"], **row["payload"]} for row in rows]


async def test_everything_at_once(client: ApiClient, database: Database) -> None:
    made = await create(
        client,
        filter={"data.tags": "order"},
        payload="thin",
        headers={"X-Env": "prod"},
        secret_headers={"Authorization": "Bearer hunter2"},
        client_certificate=PAIR,
        schema_version=1,
    )
    assert (made["filter"], made["payload"], made["headers"]) == ({"data.tags": "order"}, "thin", {"X-Env": "prod"})
    assert (made["secret_header_names"], made["signature"], made["public_key"]) == (["Authorization"], "hmac", None)
    assert made["client_certificate"]["subject"] == "CN=penguinmails"
    assert made["schema_version"] == 1
    got = (await client.get(f"{PATH}/{made['id']}")).text
    assert "hunter2" not in got
    assert "PRIVATE KEY" not in got
    row = await database.worker.fetchrow("select * from webhook_endpoints")
    assert b"hunter2" not in row["secret_headers"]
    assert b"PRIVATE KEY" not in row["client_key"]
    for log in ("audit_logs", "events"):
        kept = await database.worker.fetchval(f"select json_agg(t)::text from {log} t")
        assert "hunter2" not in kept
        assert "PRIVATE KEY" not in kept


async def test_settings_change_and_end(client: ApiClient) -> None:
    made = await create(client)
    path = f"{PATH}/{made['id']}"
    assert (made["filter"], made["payload"], made["headers"], made["client_certificate"]) == (None, "full", {}, None)
    changed = (
        await client.patch(
            path,
            json={
                "filter": {"type": "email.sent"},
                "payload": "thin",
                "headers": {"X-A": "1"},
                "secret_headers": {"X-B": "2"},
                "client_certificate": PAIR,
            },
        )
    ).json()
    assert changed["filter"] == {"type": "email.sent"}
    assert (changed["payload"], changed["secret_header_names"]) == ("thin", ["X-B"])
    assert len(changed["client_certificate"]["fingerprint"]) == 64
    ended = await client.patch(
        path, json={"filter": None, "headers": None, "secret_headers": None, "client_certificate": None}
    )
    assert ended.json() == changed | {
        "filter": None,
        "headers": {},
        "secret_header_names": [],
        "client_certificate": None,
        "updated_at": ended.json()["updated_at"],
    }
    problem(await client.patch(path, json={"payload": None}), 422, "validation_failed")
    problem(await client.patch(path, json={"schema_version": None}), 422, "validation_failed")


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({"filter": {}}, {"/filter"}),
        ({"filter": {"a": {"$regex": "x"}, "$or": []}}, {"/filter/a/$regex", "/filter/$or"}),
        ({"filter": {"a\0": 1}}, {"/filter/a\0"}),
        ({"filter": {"a": {"$eq": {"b": 1}}}}, {"/filter/a/$eq"}),
        ({"filter": []}, {"/filter"}),
        ({"payload": "slim"}, {"/payload"}),
        ({"schema_version": 0}, {"/schema_version"}),
        ({"schema_version": 2}, {"/schema_version"}),
        ({"headers": {"Host": "x"}}, {"/headers/Host"}),
        ({"headers": {"webhook-id": "x", "X-A": "é"}}, {"/headers/webhook-id", "/headers/X-A"}),
        ({"headers": {f"X-{number}": "" for number in range(21)}}, {"/headers"}),
        ({"secret_headers": {"Content-Type": "x"}}, {"/secret_headers/Content-Type"}),
        ({"headers": {"X-A": "1"}, "secret_headers": {"x-a": "2"}}, {"/headers/X-A"}),
        ({"client_certificate": EXPIRED}, {"/client_certificate/certificate"}),
        ({"client_certificate": PAIR | {"private_key": EXPIRED["private_key"]}}, {"/client_certificate/private_key"}),
        ({"client_certificate": {"certificate": "x"}}, {"/client_certificate/private_key"}),
    ],
)
async def test_what_is_wrong_is_named(client: ApiClient, members: dict[str, Any], expected: set[str]) -> None:
    body = {"url": "https://hooks.example.com/in", "events": ["email.*"], **members}
    document = problem(await client.post(PATH, json=body), 422, "validation_failed")
    assert expected <= pointers(document) or expected == {"/headers"}
    made = await create(client)
    document = problem(await client.patch(f"{PATH}/{made['id']}", json=members), 422, "validation_failed")
    assert expected & pointers(document)


async def test_a_header_cannot_become_plain_while_it_is_secret(client: ApiClient) -> None:
    made = await create(client, secret_headers={"Authorization": "x"})
    path = f"{PATH}/{made['id']}"
    document = problem(await client.patch(path, json={"headers": {"authorization": "y"}}), 422, "validation_failed")
    assert pointers(document) == {"/headers/authorization"}
    moved = await client.patch(path, json={"headers": {"authorization": "y"}, "secret_headers": None})
    assert moved.json()["headers"] == {"authorization": "y"}


async def test_ed25519(client: ApiClient) -> None:
    made = await create(client, signature="ed25519")
    assert (made["signature"], made["secret"]) == ("ed25519", None)
    assert made["public_key"].startswith("whpk_")
    key = signing.generate_key()
    own = await create(client, secret=key)
    assert (own["signature"], own["public_key"], own["secret"]) == ("ed25519", signing.public_key(key), None)


async def test_a_secret_of_ones_own(client: ApiClient) -> None:
    made = await create(client, secret=OWN)
    assert made["secret"] == OWN
    [secret] = (await client.get(f"{PATH}/{made['id']}/secrets")).json()["data"]
    assert secret["hint"] == hashlib.sha256(OWN.encode()).hexdigest()[:8]


@pytest.mark.parametrize(
    "members",
    [
        {"secret": "hunter2"},
        {"secret": "whsec_***"},
        {"secret": "whsec_" + base64.b64encode(b"x" * 23).decode()},
        {"secret": "whsec_" + base64.b64encode(b"x" * 65).decode()},
        {"secret": "whsk_" + base64.b64encode(b"x" * 31).decode()},
        {"secret": "whsk_" + base64.b64encode(b"x" * 64).decode()},
        {"secret": "whpk_" + base64.b64encode(b"x" * 32).decode()},
        {"secret": OWN, "signature": "ed25519"},
        {"secret": ""},
    ],
)
async def test_unusable_secrets(client: ApiClient, members: dict[str, Any]) -> None:
    body = {"url": "https://hooks.example.com/in", "events": ["email.*"], **members}
    response = await client.post(PATH, json=body)
    assert pointers(problem(response, 422, "validation_failed")) == {"/secret"}
    assert len(members["secret"]) < 8 or members["secret"] not in response.text
    made = await create(client)
    response = await client.post(f"{PATH}/{made['id']}/rotate_secret", json=members)
    assert pointers(problem(response, 422, "validation_failed")) == {"/secret"}


async def test_rotation_keeps_old_ones_until_they_expire_or_are_ended(client: ApiClient) -> None:
    made = await create(client)
    path = f"{PATH}/{made['id']}"
    await client.post(f"{path}/rotate_secret", json={"overlap_seconds": 60})
    rotated = (await client.post(f"{path}/rotate_secret", json={"secret": OWN, "overlap_seconds": 7200})).json()
    assert rotated["secret"] == OWN
    secrets = (await client.get(f"{path}/secrets")).json()["data"]
    assert [secret["expires_at"] is None for secret in secrets] == [True, False, False]
    assert rotated["previous_secret_expires_at"] == secrets[1]["expires_at"]
    assert len({secret["id"] for secret in secrets}) == 3
    assert (await client.delete(f"{path}/secrets/{secrets[1]['id']}")).status_code == 204
    left = (await client.get(f"{path}/secrets")).json()["data"]
    assert left == [secrets[0], secrets[2]]
    problem(await client.delete(f"{path}/secrets/{secrets[1]['id']}"), 404, "not_found")
    problem(await client.delete(f"{path}/secrets/{secrets[0]['id']}"), 409, "conflict")
    at_once = (await client.post(f"{path}/rotate_secret", json={"overlap_seconds": 0})).json()
    assert at_once["previous_secret_expires_at"] == secrets[2]["expires_at"]
    assert len((await client.get(f"{path}/secrets")).json()["data"]) == 2
    for overlap in (-1, 604801):
        response = await client.post(f"{path}/rotate_secret", json={"overlap_seconds": overlap})
        assert pointers(problem(response, 422, "validation_failed")) == {"/overlap_seconds"}


async def test_rotation_to_another_kind(client: ApiClient) -> None:
    made = await create(client)
    rotated = (await client.post(f"{PATH}/{made['id']}/rotate_secret", json={"signature": "ed25519"})).json()
    assert (rotated["signature"], rotated["secret"]) == ("ed25519", None)
    current, old = (await client.get(f"{PATH}/{made['id']}/secrets")).json()["data"]
    assert (current["public_key"], old["public_key"]) == (rotated["public_key"], None)
    assert (current["signature"], old["signature"]) == ("ed25519", "hmac")
    again = (await client.post(f"{PATH}/{made['id']}/rotate_secret")).json()
    assert again["signature"] == "ed25519"
    assert again["public_key"] != rotated["public_key"]


async def test_ten_old_secrets_are_the_most(client: ApiClient) -> None:
    made = await create(client)
    path = f"{PATH}/{made['id']}/rotate_secret"
    for _ in range(10):
        assert (await client.post(path)).status_code == 200
    document = problem(await client.post(path), 409, "conflict")
    assert document["limit"] == 10
    assert (await client.post(path, json={"overlap_seconds": 0})).status_code == 200


async def test_changes_are_told(client: ApiClient, database: Database) -> None:
    made = await create(client, "https://hooks.example.com/in?token=s3cret")
    path = f"{PATH}/{made['id']}"
    await client.patch(path, json={"description": "x", "payload": "thin", "throttle": {"limit": 1, "per": "second"}})
    await client.patch(path, json={"description": "x"})  # nothing differs
    await client.patch(path, json={"secret_headers": {"X-A": "1"}})
    await client.patch(path, json={"secret_headers": {"X-A": "2"}})
    await client.patch(path, json={"status": "disabled"})
    await client.patch(path, json={"status": "disabled"})
    await client.patch(path, json={"status": "enabled", "events": ["*"]})
    await client.post(f"{path}/rotate_secret", json={"overlap_seconds": 0})
    await client.delete(path)
    happened = await told(database)
    assert [event["type"].removeprefix("webhook_endpoint.") for event in happened] == [
        "created",
        "updated",
        "updated",
        "updated",
        "disabled",
        "enabled",
        "updated",
        "secret_rotated",
        "deleted",
    ]
    assert {event["url"] for event in happened} == {"https://hooks.example.com/in"}
    assert [event["changed"] for event in happened if "changed" in event] == [
        ["description", "payload", "throttle"],
        ["secret_headers"],
        ["secret_headers"],
        ["events"],
    ]
    assert happened[4]["reason"] == happened[5]["reason"] == "manual"
    assert happened[5]["disabled_at"] is not None
    assert happened[7]["previous_secret_expires_at"] is None
    listed = (await client.get("/v1/events?types=webhook_endpoint.*")).json()["data"]  # held against the schema
    assert len(listed) == len(happened)
