"""Domains, keys, usage and logs: what GraphQL says is what REST says, and changes go through the same services."""

from __future__ import annotations

from typing import Any

import pytest

from penguinmails_api.services import Services
from penguinmails_core.kit import ids
from penguinmails_core.kit.db import Database
from penguinmails_core.kit.dns import StaticResolver
from penguinmails_core.kit.ids import Prefix
from tests.fixtures.factories import Recipient, Tenant, make_domain, make_email
from tests.graphql.conftest import GraphClient, Statements, as_rest

KEY = """id name hint mode status scopes workspaceId allowedIps allowedMailboxes allowedDomains maxSendsPerDay expiresAt
  parentId createdByUserId createdByKeyId rotatedAt previousSecretExpiresAt revokedAt createdAt updatedAt"""
ENTRY = """id sequence at action actor { kind id userId label } resource { type id } workspaceId mode before after
  requestId ip userAgent previousHash hash"""
USAGE = """plan { code name } mode startDate endDate
  totals { requests cost refused errors messages sends }
  quotas { name unit limit used remaining percent startsAt resetsAt perDay exhaustedAt }
  limits { name limit used override { reason endsAt } } throttle { factor reason }
  byDay { date requests cost refused errors messages sends } byOperation { operation requests cost refused errors }
  byActor { kind id requests cost refused errors messages sends }"""

OF_KEY = """totals { requests cost refused errors messages sends }
  byDay { date requests cost refused errors messages sends } byOperation { operation requests cost refused errors }"""


async def test_domains(graph: GraphClient, services: Services) -> None:
    create = """mutation ($name: String!, $key: String) { createDomain(input: {name: $name}, idempotencyKey: $key)
      { domain { id name unicodeName status workspaceId verifiedAt checkedAt createdAt updatedAt
          failingSince graceUntil
          settings { dmarcPolicy returnPath tracking mtaSts tlsReports bimiLogo bimiCertificate }
          records { purpose type name value required publisher status observed reason detail fix conflicts ttl visibleBy
            dnsLookups voidLookups resolvers { resolver status observed ttl } } } } }"""
    made = (await graph(create, name="Mail.Acme.Example", key="d"))["createDomain"]["domain"]
    assert (await graph(create, name="Mail.Acme.Example", key="d"))["createDomain"]["domain"] == made
    rest = (await graph.api.get(f"/v1/domains/{made['id']}")).json()
    assert as_rest(made) == rest
    assert (await graph.error(create, name="no domain"))["errors"][0]["pointer"] == "/name"

    verify = "mutation ($id: ID!) { verifyDomain(id: $id) { domain { status records { required status } } } }"
    assert (await graph(verify, id=made["id"]))["verifyDomain"]["domain"]["status"] == "FAILED"
    services.resolver = StaticResolver({item["name"]: {"TXT": [item["value"]]} for item in made["records"]})
    seen = (await graph(verify, id=made["id"]))["verifyDomain"]["domain"]
    assert seen["status"] == "VERIFIED"
    assert {item["status"] for item in seen["records"]} == {"FOUND"}

    found = await graph('{ domains(filter: {name: "MAIL.acme.example", status: [VERIFIED]}) { nodes { id } } }')
    assert found["domains"]["nodes"] == [{"id": made["id"]}]
    node = await graph("query ($id: ID!) { node(id: $id) { __typename ... on Domain { name } } }", id=made["id"])
    assert node["node"] == {"__typename": "Domain", "name": "mail.acme.example"}
    gone = await graph("mutation ($id: ID!) { deleteDomain(id: $id) { id } }", id=made["id"])
    assert gone["deleteDomain"] == {"id": made["id"]}
    assert (await graph.error("query ($id: ID!) { domain(id: $id) { id } }", id=made["id"]))["status"] == 404


async def test_a_list_of_domains_costs_two_statements(
    graph: GraphClient, services: Services, database: Database, tenant: Tenant
) -> None:
    counts = []
    for number in range(3):
        await make_domain(database, tenant, f"d{number}.example")
        with Statements(services) as seen:
            data = await graph("{ domains(first: 50) { nodes { id records { name } } } }")
        assert len(data["domains"]["nodes"]) == number + 1
        counts.append(len(seen.texts))
    assert counts == [2, 2, 2], "domains and their keys"


async def test_api_keys(graph: GraphClient) -> None:
    create = f"""mutation ($input: CreateApiKeyInput!, $key: String) {{
      createApiKey(input: $input, idempotencyKey: $key) {{ secret apiKey {{ {KEY} }} }} }}"""
    wanted = {"name": "Orders", "scopes": ["emails:write", "domains:write"], "maxSendsPerDay": 100}
    made = (await graph(create, input=wanted, key="k"))["createApiKey"]
    assert made["secret"].startswith("pm_live_")
    again = (await graph(create, input=wanted, key="k"))["createApiKey"]
    assert again == made | {"secret": None}, "a replay knows no secret"
    key = made["apiKey"]
    rest = (await graph.api.get(f"/v1/api_keys/{key['id']}")).json()
    assert as_rest(key) == {name: value for name, value in rest.items() if not name.startswith("last_used")}

    derive = """mutation ($parent: ID!, $scopes: [String!]!) {
      deriveApiKey(input: {parentId: $parent, name: "Job", scopes: $scopes})
      { secret apiKey { id parentId scopes maxSendsPerDay } } }"""
    child = (await graph(derive, parent=key["id"], scopes=["emails:write"]))["deriveApiKey"]["apiKey"]
    assert (child["parentId"], child["maxSendsPerDay"]) == (key["id"], 100)
    assert (await graph.error(derive, parent=key["id"], scopes=["logs:read"]))["code"] == "grant_exceeded"

    update = "mutation ($input: UpdateApiKeyInput!) { updateApiKey(input: $input) { apiKey { name maxSendsPerDay } } }"
    changed = await graph(update, input={"id": key["id"], "name": "Mail", "maxSendsPerDay": None})
    assert changed["updateApiKey"]["apiKey"] == {"name": "Mail", "maxSendsPerDay": None}
    renamed = await graph(update, input={"id": key["id"], "maxSendsPerDay": 5, "name": None})
    assert renamed["updateApiKey"]["apiKey"] == {"name": "Mail", "maxSendsPerDay": 5}

    rotate = "mutation ($id: ID!) { rotateApiKey(id: $id, overlapSeconds: 0) { secret apiKey { rotatedAt } } }"
    fresh = (await graph(rotate, id=key["id"]))["rotateApiKey"]["secret"]
    assert (await graph.as_(made["secret"]).api.get("/v1/emails")).status_code == 401
    assert (await graph.as_(fresh).api.get("/v1/emails")).status_code == 200

    gone = await graph("mutation ($id: ID!) { revokeApiKey(id: $id) { apiKey { status } } }", id=key["id"])
    assert gone["revokeApiKey"]["apiKey"] == {"status": "REVOKED"}
    listed = await graph("{ apiKeys(filter: {status: REVOKED}) { nodes { id } } }")
    assert {node["id"] for node in listed["apiKeys"]["nodes"]} == {key["id"], child["id"]}


async def test_nobody_hands_out_more_than_they_have(graph: GraphClient) -> None:
    create = "mutation ($input: CreateApiKeyInput!) { createApiKey(input: $input) { secret } }"
    narrow = {"name": "Keys only", "scopes": ["api_keys:write"]}
    secret = (await graph(create, input=narrow))["createApiKey"]["secret"]
    refused = await graph.as_(secret).error(create, input={"name": "More", "scopes": ["emails:write"]})
    assert refused["code"] == "grant_exceeded"
    wrong = await graph.error(create, input={"name": "", "scopes": ["emails:send"], "allowedIps": ["here"]})
    assert [item["pointer"] for item in wrong["errors"]] == ["/name", "/scopes/0", "/allowed_ips/0"]
    many = await graph.error(create, input={"name": "x", "scopes": ["x"] * 101})
    assert many["errors"][0]["code"] == "too_long"


async def test_presets_are_those_of_rest(graph: GraphClient) -> None:
    data = await graph("{ apiKeyPresets { name description scopes missing grantable } }")
    assert data["apiKeyPresets"] == (await graph.api.get("/v1/api_keys/presets")).json()["data"]


async def test_changes_stand_in_the_audit_log_with_their_request(graph: GraphClient, tenant: Tenant) -> None:
    response = await graph.api.post(
        "/graphql",
        json={"query": 'mutation { createApiKey(input: {name: "Ada", scopes: ["logs:read"]}) { apiKey { id } } }'},
        headers={"User-Agent": "tests"},
    )
    key_id = response.json()["data"]["createApiKey"]["apiKey"]["id"]
    query = f"query ($id: ID!) {{ auditLogs(filter: {{resourceId: $id}}) {{ nodes {{ {ENTRY} }} }} }}"
    [entry] = (await graph(query, id=key_id))["auditLogs"]["nodes"]
    assert entry["action"] == "api_key.created"
    assert entry["requestId"] == response.headers["request-id"]
    assert entry["userAgent"] == "tests"
    assert entry["actor"]["id"] == ids.encode(Prefix.API_KEY, tenant.live_key.id)
    assert as_rest(entry) == (await graph.api.get(f"/v1/audit_logs/{entry['id']}")).json()
    one = await graph("query ($id: ID!) { auditLog(id: $id) { action } }", id=entry["id"])
    assert one["auditLog"] == {"action": "api_key.created"}


async def test_the_audit_log_in_pages(graph: GraphClient) -> None:
    for name in "abc":
        await graph(f'mutation {{ createApiKey(input: {{name: "{name}", scopes: ["logs:read"]}}) {{ secret }} }}')
    query = """query ($after: String) { auditLogs(first: 2, after: $after, filter: {action: ["api_key.*"]}) {
      nodes { sequence } pageInfo { endCursor hasNextPage } } }"""
    first = (await graph(query))["auditLogs"]
    second = (await graph(query, after=first["pageInfo"]["endCursor"]))["auditLogs"]
    sequences = [node["sequence"] for page in (first, second) for node in page["nodes"]]
    assert len(sequences) >= 3
    assert sequences == sorted(sequences, reverse=True)
    rest = await graph.api.get("/v1/audit_logs", params={"after": first["pageInfo"]["endCursor"]})
    assert rest.json()["data"][0]["sequence"] == second["nodes"][0]["sequence"]
    for wrong in ('action: ["nonsense"]', 'actorId: "msg_1"', 'resourceId: "x"'):
        problem = await graph.error(f"{{ auditLogs(filter: {{{wrong}}}) {{ nodes {{ id }} }} }}")
        assert problem["errors"][0]["pointer"].startswith("/filter/"), wrong


async def test_logs(graph: GraphClient, services: Services) -> None:
    made = await graph.api.get("/v1/emails")
    await services.request_log.flush()
    log = "id at method route status errorCode durationMs credentialKind apiKeyId userId appId workspaceId ip"
    data = await graph(f'{{ logs(filter: {{route: "/v1/emails", status: [200]}}) {{ nodes {{ {log} }} }} }}')
    [node] = data["logs"]["nodes"]
    rest = (await graph.api.get(f"/v1/logs/{made.headers['request-id']}")).json()
    assert as_rest(node) == {("id" if name == "request_id" else name): value for name, value in rest.items()} | {
        "method": "GET"
    }
    one = await graph("query ($id: ID!) { log(id: $id) { route } node(id: $id) { id } }", id=node["id"])
    assert one == {"log": {"route": "/v1/emails"}, "node": {"id": node["id"]}}
    assert (await graph.error("{ logs(filter: {status: [7]}) { nodes { id } } }"))["status"] == 422


async def test_usage(graph: GraphClient, database: Database, tenant: Tenant) -> None:
    await make_email(database, tenant, [Recipient("ada@example.com"), Recipient("bob@example.com")])
    data = (await graph(f"{{ usage {{ {USAGE} }} }}"))["usage"]
    rest = (await graph.api.get("/v1/usage")).json()
    rest |= rest.pop("period")
    assert as_rest(data) == rest
    assert data["totals"]["sends"] == 2
    key = ids.encode(Prefix.API_KEY, tenant.live_key.id)
    query = f"query ($id: ID!) {{ apiKeyUsage(id: $id) {{ apiKeyId mode startDate endDate {OF_KEY} }} }}"
    mine = (await graph(query, id=key))["apiKeyUsage"]
    rest = (await graph.api.get(f"/v1/api_keys/{key}/usage")).json()
    rest |= rest.pop("period")
    assert as_rest(mine) == rest
    assert (await graph.error('{ usage(startDate: "2019-01-01") { mode } }'))["errors"][0]["pointer"] == "startDate"
    answer = await graph.ask("{ usage { mode } }")
    assert answer["extensions"]["cost"]["requested"] == 5


async def test_cancel_many(graph: GraphClient, database: Database, tenant: Tenant, stranger: Tenant) -> None:
    waiting = ids.encode(Prefix.EMAIL, await make_email(database, tenant))
    sent = ids.encode(Prefix.EMAIL, await make_email(database, tenant, [Recipient("a@b.example", "delivered")]))
    foreign = ids.encode(Prefix.EMAIL, await make_email(database, stranger))
    query = "mutation ($ids: [ID!]!) { cancelEmails(ids: $ids) { results { id code email { status } } } }"
    results = (await graph(query, ids=[sent, waiting, foreign, "x"]))["cancelEmails"]["results"]
    assert [(item["id"], item["code"]) for item in results] == [
        (sent, "conflict"),
        (waiting, None),
        (foreign, "not_found"),
        ("x", "not_found"),
    ]
    assert results[1]["email"] == {"status": "CANCELLED"}
    assert (await graph.error(query, ids=[]))["status"] == 422


async def test_deliveries_again(graph: GraphClient) -> None:
    made = await graph(
        'mutation { createWebhookEndpoint(input: {url: "https://hooks.example.com/a", events: ["*"]}) '
        "{ webhookEndpoint { id } } }"
    )
    hook = made["createWebhookEndpoint"]["webhookEndpoint"]["id"]
    test = "mutation ($id: ID!, $key: String) { testWebhookEndpoint(id: $id, idempotencyKey: $key) { deliveryId } }"
    sent = await graph(test, id=hook, key="t")
    assert await graph(test, id=hook, key="t") == sent
    again = """mutation ($id: ID!, $key: String) {
      resendWebhookDeliveries(endpointId: $id, idempotencyKey: $key) { resent } }"""
    assert await graph(again, id=hook, key="r") == {"resendWebhookDeliveries": {"resent": 0}}
    assert await graph(again, id=hook, key="r") == {"resendWebhookDeliveries": {"resent": 0}}


@pytest.mark.parametrize(
    ("query", "variables"),
    [
        ('{ logs(filter: {route: "a\\u0000b"}) { nodes { id } } }', {}),
        ('{ logs(filter: {route: "a\\u{0}b"}) { nodes { id } } }', {}),
        ("query ($f: LogFilterInput) { logs(filter: $f) { nodes { id } } }", {"f": {"route": "a\0b"}}),
        ("query ($f: LogFilterInput) { logs(filter: $f) { nodes { id } } }", {"f": {"method": ["\0"]}}),
    ],
)
async def test_nul_is_refused(graph: GraphClient, query: str, variables: dict[str, Any]) -> None:
    answer = await graph.ask(query, 400, **variables)
    assert answer["errors"][0]["extensions"]["code"] == "nul_character"


async def test_strangers_find_none_of_it(graph: GraphClient, stranger: Tenant) -> None:
    made = await graph('mutation { createApiKey(input: {name: "A", scopes: ["logs:read"]}) { apiKey { id } } }')
    domain = await graph('mutation { createDomain(input: {name: "a.example"}) { domain { id } } }')
    entry = (await graph("{ auditLogs(first: 1) { nodes { id } } }"))["auditLogs"]["nodes"][0]["id"]
    key, name = made["createApiKey"]["apiKey"]["id"], domain["createDomain"]["domain"]["id"]
    other = graph.as_(stranger.key)
    for field in (
        f'apiKey(id: "{key}") {{ id }}',
        f'domain(id: "{name}") {{ id }}',
        f'auditLog(id: "{entry}") {{ id }}',
        *(f'node(id: "{node}") {{ id }}' for node in (key, name, entry)),
    ):
        assert (await other.error(f"{{ {field} }}"))["status"] == 404, field
    for mutation in (
        f'revokeApiKey(id: "{key}") {{ apiKey {{ id }} }}',
        f'rotateApiKey(id: "{key}") {{ secret }}',
        f'updateApiKey(input: {{id: "{key}", name: "x"}}) {{ apiKey {{ id }} }}',
        f'deriveApiKey(input: {{parentId: "{key}", name: "x", scopes: ["logs:read"]}}) {{ secret }}',
        f'verifyDomain(id: "{name}") {{ domain {{ id }} }}',
        f'deleteDomain(id: "{name}") {{ id }}',
    ):
        assert (await other.error(f"mutation {{ {mutation} }}"))["status"] == 404, mutation
