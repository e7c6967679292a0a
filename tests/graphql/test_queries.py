"""Reading: the same things, the same rights, the same pages as REST."""

from __future__ import annotations

from typing import Any

from penguinmails_api.services import Services
from penguinmails_core.api_keys.service import create_key
from penguinmails_core.kit import ids
from penguinmails_core.kit.db import Database
from penguinmails_core.kit.ids import Prefix
from penguinmails_core.scopes import Scope
from tests.fixtures.factories import Recipient, Tenant, make_content, make_email
from tests.graphql.conftest import GraphClient, Statements

EMAIL = """
  id status class subject from { address name } recipients { address kind status lastReply { code reply } }
  tags metadata messageId sizeBytes createdAt scheduledAt workspaceId replyTo expiresAt
"""


async def test_viewer(graph: GraphClient, tenant: Tenant) -> None:
    data = await graph("{ viewer { kind mode boundToWorkspace scopes organization { id name } workspace { name } } }")
    assert data["viewer"]["kind"] == "API_KEY"
    assert data["viewer"]["mode"] == "live"
    assert data["viewer"]["organization"] == {"id": ids.encode(Prefix.ORGANIZATION, tenant.id), "name": "Acme"}
    assert "emails:write" in data["viewer"]["scopes"]


async def test_an_email_is_what_rest_says(graph: GraphClient, database: Database, tenant: Tenant) -> None:
    email = await make_email(database, tenant, [Recipient("ada@example.com", "delivered", code=250, reply="OK")])
    name = ids.encode(Prefix.EMAIL, email)
    data = await graph(f"query ($id: ID!) {{ email(id: $id) {{ {EMAIL} }} }}", id=name)
    rest = (await graph.api.get(f"/v1/emails/{name}")).json()
    found = data["email"]
    assert found["status"] == "DELIVERED"
    for graph_name, rest_name in {
        "id": "id",
        "class": "class",
        "subject": "subject",
        "from": "from",
        "tags": "tags",
        "metadata": "metadata",
        "messageId": "message_id",
        "sizeBytes": "size_bytes",
        "createdAt": "created_at",
        "expiresAt": "expires_at",
        "workspaceId": "workspace_id",
        "replyTo": "reply_to",
    }.items():
        assert found[graph_name] == rest[rest_name], graph_name
    assert found["recipients"][0]["lastReply"] == {"code": 250, "reply": "OK"}


async def test_pages_lead_through_a_list_in_both_directions(
    graph: GraphClient, database: Database, tenant: Tenant
) -> None:
    made = [ids.encode(Prefix.EMAIL, await make_email(database, tenant)) for _ in range(5)]
    newest_first = sorted(made, reverse=True)  # some share a millisecond
    query = """query ($first: Int, $after: String, $last: Int, $before: String) {
      emails(first: $first, after: $after, last: $last, before: $before) {
        nodes { id } edges { cursor node { id } }
        pageInfo { hasNextPage hasPreviousPage startCursor endCursor } } }"""
    page = (await graph(query, first=2))["emails"]
    assert [node["id"] for node in page["nodes"]] == newest_first[:2]
    assert page["pageInfo"]["hasNextPage"] is True
    assert page["pageInfo"]["hasPreviousPage"] is False
    second = (await graph(query, first=2, after=page["pageInfo"]["endCursor"]))["emails"]
    assert [edge["node"]["id"] for edge in second["edges"]] == newest_first[2:4]
    third = (await graph(query, first=2, after=second["edges"][1]["cursor"]))["emails"]
    assert [node["id"] for node in third["nodes"]] == newest_first[4:]
    assert third["pageInfo"]["hasNextPage"] is False
    back = (await graph(query, last=2, before=third["pageInfo"]["startCursor"]))["emails"]
    assert [node["id"] for node in back["nodes"]] == newest_first[2:4]
    assert back["pageInfo"] | {"startCursor": "", "endCursor": ""} == {
        "hasNextPage": True,
        "hasPreviousPage": True,
        "startCursor": "",
        "endCursor": "",
    }


async def test_cursors_are_those_of_rest(graph: GraphClient, database: Database, tenant: Tenant) -> None:
    for _ in range(3):
        await make_email(database, tenant)
    rest = (await graph.api.get("/v1/emails", params={"limit": 1})).json()
    data = await graph("query ($c: String) { emails(after: $c) { nodes { id } } }", c=rest["next_cursor"])
    assert len(data["emails"]["nodes"]) == 2


async def test_filters(graph: GraphClient, database: Database, tenant: Tenant) -> None:
    await make_email(database, tenant, [Recipient("ada@example.com", "failed")], subject="dead")
    await make_email(database, tenant, [Recipient("bob@example.com")], tags=["spring"], subject="alive")
    dead = await graph("{ emails(filter: {status: [FAILED]}) { nodes { subject } } }")
    assert [node["subject"] for node in dead["emails"]["nodes"]] == ["dead"]
    alive = await graph('{ emails(filter: {to: "Bob <bob@example.com>", tag: "spring"}) { nodes { subject } } }')
    assert [node["subject"] for node in alive["emails"]["nodes"]] == ["alive"]
    problem = await graph.error('{ emails(filter: {to: "nobody"}) { nodes { id } } }')
    assert problem["errors"][0]["pointer"] == "/filter/to"


async def test_content_and_events(graph: GraphClient, database: Database, tenant: Tenant) -> None:
    email = await make_email(database, tenant)
    await make_content(database, tenant, email)
    data = await graph(
        "query ($id: ID!) { email(id: $id) { content { text headers attachments { filename size } } "
        "events { type sequence data } } }",
        id=ids.encode(Prefix.EMAIL, email),
    )
    assert data["email"]["content"]["text"] == "Hello"
    assert data["email"]["content"]["attachments"] == [{"filename": "a.pdf", "size": 4}]
    assert [item["type"] for item in data["email"]["events"]] == ["email.queued"]
    assert data["email"]["events"][0]["data"]["recipient"]["address"] == "ada@example.com"


async def test_the_event_log_can_be_followed(graph: GraphClient, database: Database, tenant: Tenant) -> None:
    for _ in range(3):
        await make_email(database, tenant)
    query = """query ($after: String) { events(first: 2, after: $after, types: ["email.*"]) {
      nodes { id type } pageInfo { endCursor hasNextPage } } }"""
    first = (await graph(query))["events"]
    rest = (await graph(query, after=first["pageInfo"]["endCursor"]))["events"]
    assert len(first["nodes"]) == 2
    assert len(rest["nodes"]) == 1
    one = await graph("query ($id: ID!) { event(id: $id) { id type } }", id=rest["nodes"][0]["id"])
    assert one["event"] == rest["nodes"][0]
    assert (await graph.error('{ events(types: ["email.qeued"]) { nodes { id } } }'))["code"] == "validation_failed"


async def test_a_node_is_found_by_any_id(graph: GraphClient, database: Database, tenant: Tenant) -> None:
    name = ids.encode(Prefix.EMAIL, await make_email(database, tenant))
    data = await graph("query ($id: ID!) { node(id: $id) { __typename id ... on Email { subject } } }", id=name)
    assert data["node"] == {"__typename": "Email", "id": name, "subject": "Hello"}
    assert (await graph.error('{ node(id: "zzz_1") { id } }'))["status"] == 404


async def test_a_stranger_sees_nothing(
    graph: GraphClient, database: Database, tenant: Tenant, stranger: Tenant
) -> None:
    name = ids.encode(Prefix.EMAIL, await make_email(database, tenant))
    other = graph.as_(stranger.key)
    for query in ("email(id: $id) { id }", "node(id: $id) { id }"):
        problem = await other.error(f"query ($id: ID!) {{ {query} }}", id=name)
        assert (problem["status"], problem["code"]) == (404, "not_found")
    assert (await other("{ emails { nodes { id } } }"))["emails"]["nodes"] == []
    assert (await graph.as_(tenant.test)("{ emails { nodes { id } } }"))["emails"]["nodes"] == []


async def test_a_missing_scope_fails_the_field_and_names_it(
    graph: GraphClient, database: Database, tenant: Tenant
) -> None:
    _, key = await create_key(database, tenant.id, mode="live", name="events", scopes=[Scope.EVENTS_READ])
    answer = await graph.as_(key).ask("{ viewer { mode } a: emails { nodes { id } } }")
    [error] = answer["errors"]
    assert answer["data"] is None
    assert error["path"] == ["a"]
    assert error["extensions"]["code"] == "missing_scope"
    assert error["extensions"]["required_scope"] == "emails:read"
    assert error["extensions"]["request_id"].startswith("req_")


async def test_a_list_costs_the_same_statements_however_long(
    graph: GraphClient, services: Services, database: Database, tenant: Tenant
) -> None:
    query = "{ emails(first: 50) { nodes { id recipients { address } events { type } } } }"
    counts = []
    for amount in (1, 12):
        for _ in range(amount):
            await make_email(database, tenant, [Recipient("ada@example.com"), Recipient("bob@example.com")])
        with Statements(services) as seen:
            data = await graph(query)
        assert all(len(node["events"]) == 2 for node in data["emails"]["nodes"])
        counts.append(len(seen.texts))
    assert counts == [3, 3], "messages, recipients, events"


async def test_root_fields_share_one_connection(graph: GraphClient, services: Services) -> None:
    many = " ".join(f"a{number}: emails {{ nodes {{ id }} }}" for number in range(20))
    data = await graph("{" + many + "}")
    assert len(data) == 20
    pool: Any = services.database.engine.pool
    assert pool.checkedout() == 0
    assert pool.checkedin() == 1


async def test_the_attempts_of_a_page_of_deliveries_cost_one_statement(
    graph: GraphClient, services: Services, database: Database
) -> None:
    made = await graph(
        'mutation { createWebhookEndpoint(input: {url: "https://hooks.example.com/a", events: ["*"]}) '
        "{ webhookEndpoint { id } } }"
    )
    hook = made["createWebhookEndpoint"]["webhookEndpoint"]["id"]
    query = "query ($id: ID!) { webhookEndpoint(id: $id) { deliveries { nodes { id attempts { number } } } } }"
    counts = []
    for amount in (1, 5):
        for _ in range(amount):
            await graph("mutation ($id: ID!) { testWebhookEndpoint(id: $id) { eventId } }", id=hook)
        await database.worker.execute(
            "insert into webhook_attempts (organization_id, id, delivery_id, endpoint_id, number, started_at, "
            "duration_ms) select d.organization_id, gen_random_uuid(), d.id, d.endpoint_id, n, now(), 5 "
            "from webhook_deliveries d cross join generate_series(2, 1, -1) n "
            "where not exists (select from webhook_attempts a where a.delivery_id = d.id)"
        )
        with Statements(services) as seen:
            data = await graph(query, id=hook)
        nodes = data["webhookEndpoint"]["deliveries"]["nodes"]
        assert [node["attempts"] for node in nodes] == [[{"number": 1}, {"number": 2}]] * len(nodes)
        counts.append(len(seen.texts))
    assert len(nodes) == 6
    assert counts[0] == counts[1]


async def test_the_content_of_a_page(graph: GraphClient, database: Database, tenant: Tenant) -> None:
    for number in range(3):
        email = await make_email(database, tenant, subject=f"s{number}")
        if number:
            await make_content(database, tenant, email, text=f"text of s{number}")
    nodes = (await graph("{ emails { nodes { subject content { text } } } }"))["emails"]["nodes"]
    said = {node["subject"]: node["content"] for node in nodes}
    assert said == {"s0": None, "s1": {"text": "text of s1"}, "s2": {"text": "text of s2"}}
