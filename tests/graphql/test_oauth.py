"""OAuth apps and grants, as REST shows them."""

from __future__ import annotations

from typing import Any

import pytest

from penguinmails_api.services import Services
from penguinmails_core.kit import ids
from penguinmails_core.kit.ids import Prefix
from tests.fixtures.factories import Tenant
from tests.fixtures.people import sign_in
from tests.graphql.conftest import GraphClient, as_rest
from tests.oauth.conftest import gateway, world
from tests.oauth.test_registration import app_of, register
from tests.oauth.world import World

__all__ = ["gateway", "world"]

APP = """id name description mode origin approved confidential secretHint previousSecretExpiresAt redirectUris
  grantTypes scopes requestedScopes clientUri policyUri tosUri idTokenAlg dpopBound workspaceId
  lastUsedAt createdAt updatedAt"""
GRANT = """id oauthAppId appName userId workspaceId mode flow scopes resources status revokedAt revokedReason lastUsedAt
  createdAt"""
CREATE = f"""mutation ($input: CreateOAuthAppInput!, $key: String) {{
  createOauthApp(input: $input, idempotencyKey: $key) {{ clientSecret oauthApp {{ {APP} }} }} }}"""
WANTED = {
    "name": "crm",
    "scopes": ["emails:read", "openid"],
    "confidential": True,
    "grantTypes": ["AUTHORIZATION_CODE", "DEVICE_CODE"],
    "redirectUris": ["https://crm.example.com/callback"],
}


def as_rest_app(app: dict[str, Any]) -> Any:
    return as_rest(app) | {"client_id": app["id"], "id_token_alg": app["idTokenAlg"]}


async def test_an_app_lives(graph: GraphClient) -> None:
    made = (await graph(CREATE, input=WANTED, key="a"))["createOauthApp"]
    assert made["clientSecret"].startswith("pmcs_")
    assert (await graph(CREATE, input=WANTED, key="a"))["createOauthApp"] == made | {"clientSecret": None}
    app = made["oauthApp"]
    assert as_rest_app(app) == (await graph.api.get(f"/v1/oauth_apps/{app['id']}")).json()
    plain = {name: value for name, value in WANTED.items() if name != "grantTypes"}
    left_out = (await graph(CREATE, input=plain))["createOauthApp"]["oauthApp"]
    assert left_out["grantTypes"] == ["AUTHORIZATION_CODE", "REFRESH_TOKEN"]

    update = """mutation ($input: UpdateOAuthAppInput!) {
      updateOauthApp(input: $input) { oauthApp { name description idTokenAlg scopes } } }"""
    changed = await graph(
        update, input={"id": app["id"], "description": "Nightly", "idTokenAlg": "ES256", "name": None}
    )
    assert changed["updateOauthApp"]["oauthApp"] == {
        "name": "crm",
        "description": "Nightly",
        "idTokenAlg": "ES256",
        "scopes": app["scopes"],
    }
    rotate = """mutation ($id: ID!, $s: Int!) { rotateOauthAppSecret(id: $id, overlapSeconds: $s)
      { clientSecret oauthApp { previousSecretExpiresAt } } }"""
    rotated = (await graph(rotate, id=app["id"], s=60))["rotateOauthAppSecret"]
    assert rotated["clientSecret"] != made["clientSecret"]
    assert rotated["oauthApp"]["previousSecretExpiresAt"] is not None
    assert (await graph.error(rotate, id=app["id"], s=-1))["errors"][0]["pointer"] == "/overlap_seconds"
    listed = await graph("{ oauthApps { nodes { id } } }")
    assert {node["id"] for node in listed["oauthApps"]["nodes"]} == {app["id"], left_out["id"]}
    node = await graph("query ($id: ID!) { node(id: $id) { ... on OAuthApp { name } } }", id=app["id"])
    assert node["node"] == {"name": "crm"}
    await graph("mutation ($id: ID!) { deleteOauthApp(id: $id) { id } }", id=app["id"])
    assert (await graph.error("query ($id: ID!) { oauthApp(id: $id) { id } }", id=app["id"]))["status"] == 404


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"name": ""}, "/name"),
        ({"scopes": ["emails:send"]}, "/scopes/0"),
        ({"scopes": ["openid"] * 101}, "/scopes"),
        ({"scopes": ["x" * 101]}, "/scopes/0"),
        ({"redirectUris": ["http://evil.example"]}, "/redirect_uris/0"),
        ({"clientUri": "javascript:1"}, "/client_uri"),
        ({"confidential": False, "grantTypes": ["CLIENT_CREDENTIALS"]}, "/grant_types"),
    ],
)
async def test_what_cannot_be_names_the_field(graph: GraphClient, changes: dict[str, Any], pointer: str) -> None:
    assert (await graph.error(CREATE, input=WANTED | changes))["errors"][0]["pointer"] == pointer


async def test_grants(graph: GraphClient, world: World) -> None:
    app = await world.app()
    token = await world.tokens(app)
    owner = graph.as_(world.tenant.key)
    query = f"""query ($f: OAuthGrantFilterInput) {{ oauthGrants(filter: $f) {{ nodes {{ {GRANT} }} }} }}"""
    wanted = {"oauthAppId": app.client_id, "userId": ids.encode(Prefix.USER, world.user_id), "status": "ACTIVE"}
    [grant] = (await owner(query, f=wanted))["oauthGrants"]["nodes"]
    rest = (await owner.api.get(f"/v1/oauth_grants/{grant['id']}")).json()
    assert as_rest(grant) == rest | {"app_name": as_rest(rest["app_name"])}
    revoke = "mutation ($id: ID!) { revokeOauthGrant(id: $id) { oauthGrant { status revokedReason } } }"
    assert (await graph.error(revoke, id=grant["id"]))["status"] == 404, "somebody else's"
    ended = await owner(revoke, id=grant["id"])
    assert ended["revokeOauthGrant"]["oauthGrant"] == {"status": "REVOKED", "revokedReason": "organization"}
    world.services.oauth.tokens.forget()
    assert (await world.call(token["access_token"])).status_code == 401
    wrong = await owner.error(query, f={"userId": "nonsense"})
    assert wrong["errors"][0]["pointer"] == "/filter/userId"


async def test_only_an_owner_who_is_signed_in_approves(
    graph: GraphClient,
    services: Services,
    world: World,
) -> None:
    app = app_of(await register(world)).client_id
    owner_key = graph.as_(world.tenant.key)
    approve = (
        "mutation ($id: ID!, $k: String) { approveOauthApp(id: $id, idempotencyKey: $k) { oauthApp { approved } } }"
    )
    assert (await owner_key.error(approve, id=app))["code"] == "owners_only"
    owner = GraphClient(await sign_in(services, graph.api, world.user_id, world.tenant.id))
    for key in ("k", "k", None):
        assert (await owner(approve, id=app, k=key))["approveOauthApp"]["oauthApp"]["approved"] is True
    shown = await owner_key("query ($id: ID!) { oauthApp(id: $id) { approved origin requestedScopes } }", id=app)
    assert shown["oauthApp"] == {"approved": True, "origin": "SELF_REGISTERED", "requestedScopes": ["emails:write"]}
    unapprove = "mutation ($id: ID!) { unapproveOauthApp(id: $id) { oauthApp { approved } } }"
    assert (await owner(unapprove, id=app))["unapproveOauthApp"]["oauthApp"]["approved"] is False


async def test_strangers_find_none_of_it(graph: GraphClient, stranger: Tenant) -> None:
    app = (await graph(CREATE, input=WANTED))["createOauthApp"]["oauthApp"]["id"]
    other = graph.as_(stranger.key)
    for query in (
        f'{{ oauthApp(id: "{app}") {{ id }} }}',
        f'{{ node(id: "{app}") {{ id }} }}',
        f'mutation {{ updateOauthApp(input: {{id: "{app}", name: "x"}}) {{ oauthApp {{ id }} }} }}',
        f'mutation {{ rotateOauthAppSecret(id: "{app}") {{ clientSecret }} }}',
        f'mutation {{ deleteOauthApp(id: "{app}") {{ id }} }}',
    ):
        assert (await other.error(query))["status"] == 404, query
