"""Members follow the identity provider."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import httpx
import pytest

from penguinmails_api.services import Services
from penguinmails_core.api_keys.service import create_key
from penguinmails_core.audit.actor import Actor
from penguinmails_core.errors import Unauthenticated
from penguinmails_core.identity.sessions import SSO
from penguinmails_core.kit.clock import utcnow
from penguinmails_core.limits import service as limits
from tests.fixtures.factories import Tenant, make_tenant
from tests.identity.people import HERE, Person, make_person
from tests.identity.scim.world import BASE, GROUP, create_group, create_user, make_token, patch, role_of, user
from tests.identity.sso.world import connect


async def test_a_user_is_a_member(scim: httpx.AsyncClient, services: Services, tenant: Tenant) -> None:
    made = await create_user(scim, externalId="00u1", password="never kept")
    assert made["meta"]["location"] == f"{BASE}/Users/{made['id']}"
    assert await role_of(services, "grace@example.com") == "member"
    name = await services.database.worker.fetchval("select name from users where email = 'grace@example.com'")
    assert name == "Grace"
    stored = await services.database.worker.fetchval("select document::text from scim_resources")
    assert "never kept" not in stored
    again = await scim.post("/Users", json=user())
    assert (again.status_code, again.json()["scimType"]) == (409, "uniqueness")
    found = await scim.get("/Users", params={"filter": 'userName eq "GRACE@example.com"'})
    assert [row["id"] for row in found.json()["Resources"]] == [made["id"]]
    found = await scim.get("/Users", params={"filter": 'externalId eq "00u1"'})
    assert found.json()["totalResults"] == 1
    rows = await services.database.worker.fetch(
        "select actor_label, action from audit_logs where action like 'member.%'"
    )
    assert [(row["actor_label"], row["action"]) for row in rows] == [("SCIM: Acme ID", "member.joined")]
    assert (await scim.delete(f"/Users/{made['id']}")).status_code == 204
    told = await services.database.worker.fetch(
        "select type, sequence, payload from events where type like 'member.%' order by sequence"
    )
    assert [(row["type"], row["sequence"]) for row in told] == [("member.added", 1), ("member.removed", 2)]
    assert (told[0]["payload"]["via"], told[1]["payload"]["reason"]) == ("provisioning", "deprovisioned")


@pytest.mark.parametrize("how", ["patch", "patch as Entra writes it", "put", "delete"])
async def test_deactivation_ends_everything(
    scim: httpx.AsyncClient, services: Services, tenant: Tenant, how: str
) -> None:
    made = await create_user(scim)
    url = f"/Users/{made['id']}"
    pool = services.database.worker
    user_id = await pool.fetchval("select user_id from scim_resources")
    key_row, key = await create_key(services.database, tenant.id, mode="live", name="k")
    await pool.execute("update api_keys set created_by_user_id = $1 where id = $2", user_id, key_row.id)
    signed = await services.identity.start_session(user_id, [SSO], HERE)
    assert await services.identity.sessions.find(signed.token) is not None
    assert await services.authenticator.find(key)
    answer = {
        "patch": lambda: scim.patch(url, json=patch({"op": "replace", "path": "active", "value": False})),
        "patch as Entra writes it": lambda: scim.patch(
            url, json=patch({"op": "Replace", "path": "active", "value": "False"})
        ),
        "put": lambda: scim.put(url, json=user(active=False)),
        "delete": lambda: scim.delete(url),
    }
    done = await answer[how]()
    assert done.status_code in (200, 204), done.text
    assert await role_of(services, "grace@example.com") is None
    assert await services.identity.sessions.find(signed.token) is None
    assert await pool.fetchval("select revoked_at is not null from api_keys where id = $1", key_row.id)
    actions = [row["action"] for row in await pool.fetch("select action from audit_logs order by sequence")]
    assert "member.removed" in actions
    if how == "delete":
        assert (await scim.get(url)).status_code == 404
        return
    back = await scim.patch(url, json=patch({"op": "replace", "value": {"active": True}}))
    assert back.status_code in (200, 204)
    assert await role_of(services, "grace@example.com") == "member"
    assert await pool.fetchval("select count(*) from users where email = 'grace@example.com'") == 1


async def test_a_person_of_other_organizations_stays_signed_in(scim: httpx.AsyncClient, services: Services) -> None:
    made = await create_user(scim)
    user_id = await services.database.worker.fetchval("select user_id from scim_resources")
    other = await make_tenant(services.database, "Other")
    await make_person(services, "grace@example.com", organization_id=other.id, role="member")
    signed = await services.identity.start_session(user_id, [SSO], HERE)
    await scim.delete(f"/Users/{made['id']}")
    session = await services.identity.sessions.find(signed.token)
    assert session is not None
    assert session.organization_id in (None, other.id)


async def test_the_only_owner_stays(scim: httpx.AsyncClient, services: Services, ada: Person) -> None:
    made = await create_user(scim, "ada")
    assert await role_of(services, ada.email) == "owner", "nobody loses a role by being provisioned"
    refused = await scim.patch(f"/Users/{made['id']}", json=patch({"op": "replace", "path": "active", "value": False}))
    assert (refused.status_code, "only owner" in refused.json()["detail"]) == (409, True)
    assert refused.json()["schemas"] == ["urn:ietf:params:scim:api:messages:2.0:Error"]
    assert (await scim.get(f"/Users/{made['id']}")).json()["active"] is True, "nothing of it was kept"
    assert await role_of(services, ada.email) == "owner"


async def test_only_proven_addresses_become_members(
    scim: httpx.AsyncClient, services: Services, tenant: Tenant, connection: str
) -> None:
    stranger = await make_person(services, "eve@example.org", organization_id=tenant.id, role="viewer")
    await create_user(scim, "eve", userName="eve", emails=[{"value": stranger.email, "primary": True}])
    assert await services.database.worker.fetchval("select user_id from scim_resources") is None
    await create_user(scim, "bob", userName="bob", emails=[{"value": "bob@example.org"}])
    assert await services.database.worker.fetchval("select count(*) from users where email like 'bob@%'") == 0
    url = f"http://localhost:8025/v1/sso_connections/{connection}/test"
    headers = {"Authorization": f"Bearer {tenant.key}", "Content-Type": "application/json"}
    told = (await scim.post(url, headers=headers)).json()["checks"][-1]
    assert (told["name"], told["detail"].split()[0]) == ("provisioning", "2")


async def test_two_users_of_one_address(scim: httpx.AsyncClient) -> None:
    await create_user(scim)
    answer = await scim.post("/Users", json=user(userName="other"))
    assert answer.status_code == 409
    assert (await scim.get("/Users")).json()["totalResults"] == 1


async def test_groups_give_roles(scim: httpx.AsyncClient, services: Services) -> None:
    grace, alan = await create_user(scim, "grace"), await create_user(scim, "alan")
    auditors = await create_group(scim, "Auditors", grace, alan)
    assert await role_of(services, "grace@example.com") == "viewer"
    engineering = await create_group(scim, "Engineering", grace)
    assert await role_of(services, "grace@example.com") == "developer", "the one with most rights"
    assert await role_of(services, "alan@example.com") == "viewer"
    url = f"/Groups/{engineering['id']}"
    await scim.patch(url, json=patch({"op": "add", "path": "members", "value": [{"value": alan["id"]}]}))
    assert await role_of(services, "alan@example.com") == "developer"
    # As Entra takes somebody out of a group.
    gone = await scim.patch(url, json=patch({"op": "Remove", "path": "members", "value": [{"value": alan["id"]}]}))
    assert gone.status_code in (200, 204), gone.text
    assert await role_of(services, "alan@example.com") == "viewer"
    assert await role_of(services, "grace@example.com") == "developer"
    await scim.patch(url, json=patch({"op": "replace", "path": "displayName", "value": "Cooks"}))
    assert await role_of(services, "grace@example.com") == "viewer"
    assert (await scim.delete(f"/Groups/{auditors['id']}")).status_code == 204
    assert await role_of(services, "grace@example.com") == "member"
    await create_group(scim, "Boss", grace)
    assert await role_of(services, "grace@example.com") == "member", "a group without a role gives none"


async def test_groups_leave_owners_and_admins_alone(
    scim: httpx.AsyncClient, services: Services, tenant: Tenant, ada: Person
) -> None:
    boss = await create_user(scim, "ada")
    admin = await make_person(services, "root@example.com", organization_id=tenant.id, role="admin")
    root = await create_user(scim, "root")
    await create_group(scim, "Auditors", boss, root)
    assert (await role_of(services, ada.email), await role_of(services, admin.email)) == ("owner", "admin")


async def test_what_entra_sends_beyond_the_letter(scim: httpx.AsyncClient) -> None:
    made = await create_user(scim, emails=[])
    url = f"/Users/{made['id']}"
    answer = await scim.patch(
        url, json=patch({"op": "Add", "path": 'emails[type eq "work"].value', "value": "grace@example.com"})
    )
    assert answer.status_code in (200, 204), answer.text
    answer = await scim.patch(
        url, json=patch({"op": "Replace", "value": {"name.familyName": "Hopper", "unknownThing": 1, "active": "True"}})
    )
    assert answer.status_code in (200, 204), answer.text
    now = (await scim.get(url)).json()
    assert now["emails"][0]["value"] == "grace@example.com"
    assert (now["name"]["familyName"], now["active"]) == ("Hopper", True)


async def test_etags(scim: httpx.AsyncClient) -> None:
    made = await create_user(scim)
    url = f"/Users/{made['id']}"
    old = (await scim.get(url)).headers["etag"]
    change = patch({"op": "replace", "path": "title", "value": "Admiral"})
    assert (await scim.patch(url, json=change, headers={"If-Match": old})).status_code in (200, 204)
    change = patch({"op": "replace", "path": "title", "value": "Captain"})
    assert (await scim.patch(url, json=change, headers={"If-Match": old})).status_code == 412


# Who may ask


async def test_without_a_good_token(
    scim: httpx.AsyncClient, services: Services, tenant: Tenant, connection: str
) -> None:
    expired = await make_token(services, tenant.id, connection, expires_at=utcnow() - timedelta(seconds=1))
    revoked = await make_token(services, tenant.id, connection, revoked_at=utcnow())
    for header in (
        "",
        "Bearer nonsense",
        f"Bearer {expired}",
        f"Bearer {revoked}",
        f"Bearer {tenant.key}",
        "Basic eDp5",
    ):
        answer = await scim.get("/Users", headers={"Authorization": header})
        assert answer.status_code == 401, header
        assert answer.headers["www-authenticate"].startswith("Bearer")
        assert answer.json()["schemas"] == ["urn:ietf:params:scim:api:messages:2.0:Error"]
    await services.database.worker.execute("update sso_connections set status = 'disabled'")
    assert (await scim.get("/Users")).status_code == 401
    open_to_all = await scim.get("/ServiceProviderConfig", headers={"Authorization": ""})
    assert open_to_all.status_code == 200, "RFC 7643 §5"
    assert open_to_all.json()["bulk"]["supported"] is False


async def test_a_scim_token_is_nothing_elsewhere(scim: httpx.AsyncClient, services: Services, token: str) -> None:
    answer = await scim.get("http://localhost:8025/v1/members")
    assert answer.status_code == 401
    with pytest.raises(Unauthenticated):
        await services.authenticator.find(token)


async def test_other_organizations_and_connections_see_nothing(
    scim: httpx.AsyncClient, services: Services, tenant: Tenant
) -> None:
    made = await create_user(scim)
    group = await create_group(scim, "Engineering", made)
    other = await make_tenant(services.database, "Umbrella")
    foreign = await make_token(services, other.id, await connect(services, other.id, domain="umbrella.example"))
    second = await make_token(services, tenant.id, await connect(services, tenant.id, domain="second.example"))
    for secret in (foreign, second):
        headers = {"Authorization": f"Bearer {secret}"}
        assert (await scim.get("/Users", headers=headers)).json()["totalResults"] == 0
        for url in (f"/Users/{made['id']}", f"/Groups/{group['id']}"):
            calls: list[Any] = [
                scim.get(url, headers=headers),
                scim.delete(url, headers=headers),
                scim.patch(url, json=patch({"op": "replace", "path": "externalId", "value": "x"}), headers=headers),
            ]
            for call in calls:
                assert (await call).status_code == 404
        await scim.post(
            "/Groups",
            json={"schemas": [GROUP], "displayName": "Engineering", "members": [{"value": made["id"]}]},
            headers=headers,
        )
    assert await role_of(services, "grace@example.com") == "developer"


async def test_urls_are_of_the_configured_address(scim: httpx.AsyncClient) -> None:
    answer = await scim.post("/Users", json=user(), headers={"Host": "evil.example"})
    assert answer.headers["location"].startswith(BASE)


async def test_sign_in_of_a_provisioned_user_needs_no_verified_address(
    scim: httpx.AsyncClient, services: Services, connection: str
) -> None:
    from penguinmails_core.kit import ids
    from penguinmails_core.kit.ids import Prefix
    from penguinmails_core.sso.sign_in import Proven

    made = await create_user(scim)
    provider = await services.sso.provider(ids.decode(Prefix.SSO_CONNECTION, connection))
    proven = Proven("00u1", "grace@example.com")
    signed = await services.sso.sign_in(provider, proven, HERE, None)
    assert await services.identity.sessions.find(signed.token) is not None
    await scim.patch(f"/Users/{made['id']}", json=patch({"op": "replace", "path": "active", "value": False}))
    from penguinmails_core.errors import Forbidden

    with pytest.raises(Forbidden, match="deactivated"):
        await services.sso.sign_in(provider, proven, HERE, None)


async def test_a_smaller_role_of_a_group_narrows_keys(
    scim: httpx.AsyncClient, services: Services, tenant: Tenant
) -> None:
    grace = await create_user(scim, "grace")
    engineering = await create_group(scim, "Engineering", grace)
    pool = services.database.worker
    user_id = await pool.fetchval("select user_id from scim_resources where resource_type = 'User'")
    row, key = await create_key(services.database, tenant.id, mode="live", name="k", scopes=["domains:write"])
    await pool.execute("update api_keys set created_by_user_id = $1 where id = $2", user_id, row.id)
    assert "domains:write" in (await services.authenticator.find(key)).principal.scopes
    assert (await scim.delete(f"/Groups/{engineering['id']}")).status_code == 204
    assert await role_of(services, "grace@example.com") == "member"
    assert (await services.authenticator.find(key)).principal.scopes == {"domains:read"}
    told = [row["payload"] for row in await pool.fetch("select payload from events where type = 'member.updated'")]
    assert [(event["changed"], event["role"]) for event in told][-1] == (["role"], "member")
    entry = await pool.fetchrow("select actor_label, action from audit_logs where action like 'api_key.%'")
    assert tuple(entry) == ("SCIM: Acme ID", "api_key.narrowed")


async def test_a_full_house_refuses_new_members(scim: httpx.AsyncClient, services: Services, tenant: Tenant) -> None:
    operator = Actor.operator(tenant.id)
    await limits.override(services.database, operator, "max_users", 1, reason="a test")
    await create_user(scim, "grace")
    refused = await scim.post("/Users", json=user("alan"))
    assert (refused.status_code, "max_users" in refused.json()["detail"]) == (403, True)
    assert (await scim.get("/Users")).json()["totalResults"] == 1, "nothing of it was kept"
