"""Single sign-on connections and SCIM tokens, as REST shows them."""

from __future__ import annotations

from typing import Any

from penguinmails_api.services import Services
from penguinmails_core.kit.dns import StaticResolver
from tests.fixtures.factories import Tenant
from tests.graphql.conftest import GraphClient, as_rest

CONNECTION = """id protocol name status issuer clientId hasClientSecret ssoUrl certificates enforced defaultRole
  groupRoles redirectUri acsUrl entityId scimUrl lastUsedAt createdAt updatedAt
  domains { name verified verifiedAt recordName recordValue }"""
CREATE = f"""mutation ($input: CreateSsoConnectionInput!, $key: String) {{
  createSsoConnection(input: $input, idempotencyKey: $key) {{ ssoConnection {{ {CONNECTION} }} }} }}"""
OIDC = {
    "protocol": "OIDC",
    "name": "Okta",
    "issuer": "https://login.acme.example",
    "clientId": "penguinmails",
    "clientSecret": "hush-hush",
    "domains": ["Acme.example"],
    "groupRoles": {"sales": "viewer"},
}


async def make(graph: GraphClient, **changes: Any) -> dict[str, Any]:
    made: dict[str, Any] = (await graph(CREATE, input=OIDC | changes))["createSsoConnection"]["ssoConnection"]
    return made


async def test_connections(graph: GraphClient, services: Services) -> None:
    made = (await graph(CREATE, input=OIDC, key="c"))["createSsoConnection"]["ssoConnection"]
    assert (await graph(CREATE, input=OIDC, key="c"))["createSsoConnection"]["ssoConnection"] == made
    assert (await graph.error(CREATE, input=OIDC | {"clientSecret": "other"}, key="c"))["status"] == 422
    assert made["hasClientSecret"]
    assert as_rest(made) == (await graph.api.get(f"/v1/sso_connections/{made['id']}")).json()

    update = """mutation ($input: UpdateSsoConnectionInput!) {
      updateSsoConnection(input: $input) { ssoConnection { name status hasClientSecret groupRoles } } }"""
    changed = await graph(
        update, input={"id": made["id"], "status": "DISABLED", "clientSecret": None, "name": None, "groupRoles": {}}
    )
    assert changed["updateSsoConnection"]["ssoConnection"] == {
        "name": "Okta",
        "status": "DISABLED",
        "hasClientSecret": False,
        "groupRoles": {},
    }

    verify = """mutation ($id: ID!) { verifySsoDomains(id: $id) { ssoConnection { domains { verified } } } }"""
    domain = made["domains"][0]
    services.resolver = StaticResolver({domain["recordName"]: {"TXT": [domain["recordValue"]]}})
    seen = await graph(verify, id=made["id"])
    assert seen["verifySsoDomains"]["ssoConnection"]["domains"] == [{"verified": True}]

    listed = await graph("{ ssoConnections { nodes { id } } }")
    assert listed["ssoConnections"]["nodes"] == [{"id": made["id"]}]
    node = await graph("query ($id: ID!) { node(id: $id) { ... on SsoConnection { name } } }", id=made["id"])
    assert node["node"] == {"name": "Okta"}
    assert await graph("mutation ($id: ID!) { deleteSsoConnection(id: $id) { id } }", id=made["id"]) == {
        "deleteSsoConnection": {"id": made["id"]}
    }


async def test_a_connection_is_tried_without_anybody(graph: GraphClient) -> None:
    made = await make(graph)
    query = "mutation ($id: ID!) { testSsoConnection(id: $id) { ok checks { name ok detail } } }"
    said = (await graph(query, id=made["id"]))["testSsoConnection"]
    rest = await graph.api.post(f"/v1/sso_connections/{made['id']}/test")
    assert said == rest.json()
    assert not said["ok"], "nobody answers at this issuer"


async def test_what_cannot_be_is_said_by_field(graph: GraphClient) -> None:
    for changes, pointer in (
        ({"name": " "}, "/name"),
        ({"name": "x" * 101}, "/name"),
        ({"issuer": "http://login.acme.example"}, "/issuer"),
        ({"clientId": None}, "/client_id"),
        ({"certificates": ["x"] * 6}, "/certificates"),
        ({"domains": ["x" * 256]}, "/domains/0"),
        ({"domains": ["no domain"]}, "/domains/0"),
        ({"groupRoles": {"a": "owner"}}, "/group_roles"),
        ({"groupRoles": {str(number): "viewer" for number in range(101)}}, "/group_roles"),
    ):
        problem = await graph.error(CREATE, input=OIDC | changes)
        assert problem["errors"][0]["pointer"] == pointer, changes


async def test_scim_tokens(graph: GraphClient) -> None:
    connection = (await make(graph))["id"]
    create = """mutation ($id: ID!, $key: String) {
      createScimToken(connectionId: $id, name: "Okta", idempotencyKey: $key)
      { secret scimToken { id name expiresAt revokedAt lastUsedAt createdAt } } }"""
    made = (await graph(create, id=connection, key="t"))["createScimToken"]
    assert made["secret"].startswith("pm_scim_")
    assert (await graph(create, id=connection, key="t"))["createScimToken"] == made | {"secret": None}
    rest = (await graph.api.get(f"/v1/sso_connections/{connection}/scim_tokens")).json()["data"]
    assert [as_rest(made["scimToken"])] == [row | {"name": "Okta"} for row in rest]
    revoke = "mutation ($c: ID!, $id: ID!) { revokeScimToken(connectionId: $c, id: $id) { id } }"
    await graph(revoke, c=connection, id=made["scimToken"]["id"])
    tokens = await graph("query ($c: ID!) { scimTokens(connectionId: $c) { revokedAt } }", c=connection)
    assert tokens["scimTokens"][0]["revokedAt"] is not None


async def test_strangers_find_none_of_it(graph: GraphClient, stranger: Tenant) -> None:
    connection = (await make(graph))["id"]
    other = graph.as_(stranger.key)
    for query in (
        f'{{ ssoConnection(id: "{connection}") {{ id }} }}',
        f'{{ scimTokens(connectionId: "{connection}") {{ id }} }}',
        f'{{ node(id: "{connection}") {{ id }} }}',
        f'mutation {{ updateSsoConnection(input: {{id: "{connection}", name: "x"}}) {{ ssoConnection {{ id }} }} }}',
        f'mutation {{ verifySsoDomains(id: "{connection}") {{ ssoConnection {{ id }} }} }}',
        f'mutation {{ testSsoConnection(id: "{connection}") {{ ok }} }}',
        f'mutation {{ createScimToken(connectionId: "{connection}", name: "x") {{ secret }} }}',
        f'mutation {{ deleteSsoConnection(id: "{connection}") {{ id }} }}',
    ):
        assert (await other.error(query))["status"] == 404, query
