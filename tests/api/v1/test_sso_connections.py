"""`/v1/sso_connections`, through the gateway, with a DNS of its own."""

from __future__ import annotations

import base64
from datetime import timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding

from penguinmails_api.services import Services
from penguinmails_core.kit.clock import utcnow
from penguinmails_core.kit.db import Database
from penguinmails_core.kit.dns import DnsUnavailable, StaticResolver
from tests.fixtures.client import ApiClient, problem
from tests.fixtures.factories import Tenant, make_tenant, make_workspace
from tests.identity.people import make_person

PATH = "/v1/sso_connections"
OIDC = {"protocol": "oidc", "name": "Okta", "issuer": "https://login.acme.example", "client_id": "penguinmails"}


def certificate(bits: int = 2048) -> str:
    key = rsa.generate_private_key(public_exponent=65537, key_size=bits)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "idp")])
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(utcnow() - timedelta(days=1))
        .not_valid_after(utcnow() + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    return built.public_bytes(Encoding.PEM).decode()


async def create(client: ApiClient, **members: Any) -> dict[str, Any]:
    response = await client.post(PATH, json={**OIDC, **members})
    assert response.status_code == 201, response.text
    made: dict[str, Any] = response.json()
    return made


async def _actions(database: Database) -> list[str]:
    rows = await database.worker.fetch(
        "select action from audit_logs where action like any (array['sso%', 'scim%']) order by sequence"
    )
    return [row["action"] for row in rows]


def pointers(document: dict[str, Any]) -> set[str]:
    return {error["pointer"] for error in document["errors"]}


async def test_create_get_list(client: ApiClient, database: Database) -> None:
    made = await create(client, client_secret="hush-hush", domains=["Acme.example", "bücher.example"])
    assert "hush-hush" not in str(made)
    assert made["has_client_secret"]
    assert [domain["name"] for domain in made["domains"]] == ["acme.example", "xn--bcher-kva.example"]
    assert made["redirect_uri"].endswith(f"/sso/oidc/{made['id']}/callback")
    assert (made["acs_url"], made["default_role"], made["status"]) == (None, "member", "active")
    assert (await client.get(f"{PATH}/{made['id']}")).json() == made
    other = await create(client, name="Entra")
    assert [row["name"] for row in (await client.get(PATH)).json()["data"]] == ["Entra", "Okta"]
    page = (await client.get(f"{PATH}?limit=1")).json()
    assert (page["data"], page["has_more"]) == ([other], True)
    assert (await client.get(f"{PATH}?limit=1&after={page['next_cursor']}")).json()["data"] == [made]
    sealed = await database.worker.fetchval("select client_secret from sso_connections where name = 'Okta'")
    assert b"hush-hush" not in sealed
    rows = await database.worker.fetch(
        "select action, after::text as after from audit_logs where action like 'sso%' order by sequence"
    )
    assert [row["action"] for row in rows] == ["sso_connection.created"] * 2
    assert "hush-hush" not in rows[0]["after"]


async def test_saml_needs_a_url_and_a_usable_certificate(client: ApiClient) -> None:
    saml = {"protocol": "saml", "name": "ADFS", "issuer": "urn:idp", "sso_url": "https://idp.acme.example/sso"}
    answer = problem(await client.post(PATH, json={**saml, "sso_url": None}), 422, "validation_failed")
    assert pointers(answer) == {"/sso_url"} or pointers(answer) == {"/sso_url", "/certificates"}
    weak, good = certificate(1024), certificate()
    refused = await client.post(PATH, json={**saml, "certificates": [good, weak, "nonsense"]})
    assert pointers(problem(refused, 422, "validation_failed")) == {"/certificates/1", "/certificates/2"}
    bare = "".join(good.splitlines()[1:-1])
    made = await create(client, **{**saml, "client_id": None, "certificates": [bare, good]})
    assert made["certificates"] == [good], "one certificate, however it was written"
    assert made["acs_url"].endswith(f"/sso/saml/{made['id']}/acs")
    assert (made["redirect_uri"], made["entity_id"]) == (None, made["acs_url"].replace("/acs", "/metadata"))
    tested = (await client.post(f"{PATH}/{made['id']}/test")).json()
    assert tested == {
        "ok": True,
        "checks": [
            {"name": "library", "ok": True, "detail": None},
            {"name": "certificates", "ok": True, "detail": None},
        ],
    }
    assert base64.b64decode(bare)


@pytest.mark.parametrize(
    ("change", "wrong"),
    [
        ({"client_id": None}, {"/client_id"}),
        ({"issuer": "http://login.acme.example"}, {"/issuer"}),
        ({"issuer": "https://127.0.0.1"}, {"/issuer"}),
        ({"issuer": "https://login.acme.example/?a=b"}, {"/issuer"}),
        ({"sso_url": "https://idp.acme.example"}, {"/sso_url"}),
        ({"domains": ["acme.example", "localhost", "a b"]}, {"/domains/1", "/domains/2"}),
        ({"default_role": "owner"}, {"/default_role"}),
        ({"default_role": "admin"}, {"/default_role"}),
        ({"group_roles": {"Boss": "admin"}}, {"/group_roles/Boss"}),
        ({"name": "a\u0000b"}, {"/name"}),
        ({"unknown": 1}, {"/unknown"}),
    ],
)
async def test_fields_are_named(client: ApiClient, change: dict[str, Any], wrong: set[str]) -> None:
    answer = problem(await client.post(PATH, json={**OIDC, **change}), 422, "validation_failed")
    assert pointers(answer) == wrong


async def test_a_connection_gives_no_more_than_its_maker_has(services: Services, database: Database) -> None:
    from penguinmails_api.app import create_gateway

    limited = await make_tenant(database, "Small", scopes=["organizations:write"])
    async with ApiClient(create_gateway(services), limited.key) as client:
        refused = await client.post(PATH, json={**OIDC, "default_role": "billing"})
        answer = problem(refused, 403, "grant_exceeded")
        assert answer["excess_scopes"] == ["members:read", "usage:read"]
        refused = await client.post(PATH, json={**OIDC, "default_role": "developer"})
        problem(refused, 403, "grant_exceeded")


async def test_change_with_etag_and_forget_subjects_of_another_issuer(
    client: ApiClient, services: Services, tenant: Tenant, database: Database
) -> None:
    made = await create(client, domains=["acme.example"])
    url = f"{PATH}/{made['id']}"
    person = await make_person(services, organization_id=tenant.id)
    await database.worker.execute(
        "insert into sso_identities (organization_id, connection_id, subject, user_id, linked) "
        "select organization_id, id, 'ada', $1, false from sso_connections",
        person.id,
    )
    etag = (await client.get(url)).headers["etag"]
    changed = await client.patch(url, json={"name": "Okta 2"}, headers={"If-Match": etag})
    assert changed.json()["name"] == "Okta 2"
    problem(await client.patch(url, json={"name": "x"}, headers={"If-Match": etag}), 412, "precondition_failed")
    assert await database.worker.fetchval("select count(*) from sso_identities") == 1
    moved = await client.patch(url, json={"issuer": "https://other.acme.example", "domains": []})
    assert (moved.json()["issuer"], moved.json()["domains"]) == ("https://other.acme.example", [])
    assert await database.worker.fetchval("select count(*) from sso_identities") == 0
    problem(await client.patch(url, json={"client_id": None}), 422, "validation_failed")
    rehearsed = await client.delete(f"{url}?dry_run=true")
    assert rehearsed.status_code == 204
    assert (await client.delete(url)).status_code == 204
    problem(await client.get(url), 404, "not_found")
    actions = await _actions(database)
    assert actions[-3:] == ["sso_connection.updated", "sso_connection.updated", "sso_connection.deleted"]


async def test_domains_are_proven_by_dns(client: ApiClient, services: Services, stranger: Tenant) -> None:
    made = await create(client, domains=["acme.example", "acme.test"])
    url = f"{PATH}/{made['id']}"
    proof = made["domains"][0]
    assert proof["record_name"] == "_penguinmails-sso.acme.example"
    unproven = (await client.post(f"{url}/verify")).json()
    assert [domain["verified"] for domain in unproven["domains"]] == [False, False]
    published: dict[str, Any] = {proof["record_name"]: {"TXT": ["other", proof["record_value"]]}}
    services.resolver = StaticResolver(published)
    proven = (await client.post(f"{url}/verify")).json()
    assert [domain["verified"] for domain in proven["domains"]] == [True, False]

    # Another organization cannot prove it as well, nor with our record.
    theirs = client.as_(stranger.key)
    copy = await create(theirs, domains=["acme.example"])
    again = (await theirs.post(f"{PATH}/{copy['id']}/verify")).json()
    assert again["domains"][0]["verified"] is False
    both = [proof["record_value"], copy["domains"][0]["record_value"]]
    services.resolver = StaticResolver({proof["record_name"]: {"TXT": both}})
    problem(await theirs.post(f"{PATH}/{copy['id']}/verify"), 409, "conflict")

    # DNS that is away takes nothing; a record that is gone does.
    services.resolver = StaticResolver({proof["record_name"]: {"TXT": DnsUnavailable("acme.example", "down")}})
    assert (await client.post(f"{url}/verify")).json()["domains"][0]["verified"]
    services.resolver = StaticResolver({})
    assert not (await client.post(f"{url}/verify")).json()["domains"][0]["verified"]


async def test_domains_that_stay_keep_their_proof(client: ApiClient, services: Services) -> None:
    made = await create(client, domains=["acme.example"])
    proof = made["domains"][0]
    services.resolver = StaticResolver({proof["record_name"]: {"TXT": [proof["record_value"]]}})
    await client.post(f"{PATH}/{made['id']}/verify")
    changed = await client.patch(f"{PATH}/{made['id']}", json={"domains": ["acme.example", "acme.test"]})
    assert [domain["verified"] for domain in changed.json()["domains"]] == [True, False]


async def test_scim_tokens(client: ApiClient, database: Database) -> None:
    made = await create(client)
    url = f"{PATH}/{made['id']}/scim_tokens"
    first = await client.post(url, json={"name": "Entra"}, idempotency_key="one")
    token = first.json()
    assert token["token"].startswith("pm_scim_")
    again = await client.post(url, json={"name": "Entra"}, idempotency_key="one")
    assert again.json() == token | {"token": None}
    stored = await database.worker.fetchrow(
        "select hash, (select response from idempotency_keys) as answer from scim_tokens"
    )
    assert token["token"].encode() not in stored["answer"]
    listed = (await client.get(url)).json()["data"]
    assert [row["id"] for row in listed] == [token["id"]]
    assert "token" not in listed[0]
    assert (await client.delete(f"{url}/{token['id']}")).status_code == 204
    assert (await client.delete(f"{url}/{token['id']}")).status_code == 204
    assert (await client.get(url)).json()["data"][0]["revoked_at"] is not None
    actions = await _actions(database)
    assert actions == ["sso_connection.created", "scim_token.created", "scim_token.revoked"]


async def test_another_organization_sees_nothing(client: ApiClient, stranger: Tenant) -> None:
    made = await create(client)
    url = f"{PATH}/{made['id']}"
    token = (await client.post(f"{url}/scim_tokens", json={"name": "Entra"})).json()
    theirs = client.as_(stranger.key)
    assert (await theirs.get(PATH)).json()["data"] == []
    for answer in (
        await theirs.get(url),
        await theirs.patch(url, json={"name": "x"}),
        await theirs.delete(url),
        await theirs.post(f"{url}/verify"),
        await theirs.post(f"{url}/test"),
        await theirs.get(f"{url}/scim_tokens"),
        await theirs.post(f"{url}/scim_tokens", json={"name": "x"}),
        await theirs.delete(f"{url}/scim_tokens/{token['id']}"),
    ):
        problem(answer, 404, "not_found")
    mine = await create(theirs)
    problem(await theirs.delete(f"{PATH}/{mine['id']}/scim_tokens/{token['id']}"), 404, "not_found")


async def test_test_keys_and_keys_of_one_workspace_change_nothing(
    client: ApiClient, tenant: Tenant, database: Database
) -> None:
    from penguinmails_core.api_keys.service import create_key

    made = await create(client)
    test = client.as_(tenant.test)
    assert (await test.get(f"{PATH}/{made['id']}")).status_code == 200
    problem(await test.post(PATH, json=OIDC), 403, "live_mode_required")
    problem(await test.patch(f"{PATH}/{made['id']}", json={"name": "x"}), 403, "live_mode_required")
    problem(await test.post(f"{PATH}/{made['id']}/scim_tokens", json={"name": "x"}), 403, "live_mode_required")
    workspace = await make_workspace(database, tenant.id, "brand")
    _, key = await create_key(
        database, tenant.id, mode="live", name="w", scopes=["organizations:write"], workspace_id=workspace
    )
    problem(await client.as_(key).post(PATH, json=OIDC), 403, "forbidden")


async def test_eleven_are_too_many(client: ApiClient) -> None:
    for _ in range(10):
        await create(client)
    assert problem(await client.post(PATH, json=OIDC), 409, "conflict")["limit"] == 10
