"""Inbound sources and messages as a graph."""

from __future__ import annotations

from typing import Any

from penguinmails_core.kit import ids
from penguinmails_core.kit.db import Database
from tests.fixtures.factories import Tenant, make_inbound_message
from tests.graphql.conftest import GraphClient

CREATE = """
mutation ($input: CreateInboundSourceInput!, $key: String) {
  createInboundSource(input: $input, idempotencyKey: $key) { secret inboundSource { id url scheme settings } }
}
"""


async def make(graph: GraphClient, key: str | None = None, **members: Any) -> dict[str, Any]:
    given = {"name": "GitHub", "scheme": "GITHUB"} | members
    answer = await graph.ask(CREATE, input=given, key=key)
    assert "errors" not in answer, answer
    made: dict[str, Any] = answer["data"]["createInboundSource"]
    return made


async def test_a_source_from_its_making_to_its_end(graph: GraphClient) -> None:
    made = await make(graph, "one")
    source = made["inboundSource"]
    assert made["secret"]
    assert "/inbound/" in source["url"]
    again = await make(graph, "one")
    assert again == {"secret": None, "inboundSource": source}
    changed = await graph.ask(
        "mutation ($id: ID!) { updateInboundSource(input: {id: $id, status: DISABLED}) { inboundSource { status } } "
        'rotateInboundSecret(id: $id, secret: "a secret of my own") '
        "{ secret inboundSource { secrets { expiresAt } } } }",
        id=source["id"],
    )
    assert changed["data"]["updateInboundSource"]["inboundSource"]["status"] == "DISABLED"
    rotated = changed["data"]["rotateInboundSecret"]
    assert rotated["secret"] is None
    assert [entry["expiresAt"] is None for entry in rotated["inboundSource"]["secrets"]] == [True, False]
    listed = await graph.ask("{ inboundSources { nodes { id name } } }")
    assert listed["data"]["inboundSources"]["nodes"] == [{"id": source["id"], "name": "GitHub"}]
    gone = await graph.ask(
        "mutation ($id: ID!) { deleteInboundSource(id: $id) { id } }",
        id=source["id"],
    )
    assert gone["data"]["deleteInboundSource"] == {"id": source["id"]}
    assert (await graph.ask("{ inboundSources { nodes { id } } }"))["data"]["inboundSources"]["nodes"] == []


async def test_settings_and_their_faults(graph: GraphClient) -> None:
    made = await make(graph, scheme="HMAC", settings={"header": "X-Sign", "algorithm": "SHA512", "encoding": "BASE64"})
    assert made["inboundSource"]["settings"] == {"header": "X-Sign", "algorithm": "sha512", "encoding": "base64"}
    answer = await graph.ask(CREATE, input={"name": "Slack", "scheme": "SLACK"}, key=None)
    assert answer["errors"][0]["extensions"]["code"] == "validation_failed"
    late = await graph.ask(
        "mutation ($id: ID!) { rotateInboundSecret(id: $id, overlapSeconds: -1) { secret } }",
        id=made["inboundSource"]["id"],
    )
    assert late["errors"][0]["extensions"]["code"] == "validation_failed"


async def test_messages_are_found_and_replayed(graph: GraphClient, database: Database, tenant: Tenant) -> None:
    source = (await make(graph))["inboundSource"]["id"]
    message = ids.encode("inm", await make_inbound_message(database, tenant, source))
    answer = await graph.ask(
        "query ($id: ID!, $source: ID!) { inboundMessage(id: $id) { body bodyEncoding headers } "
        "inboundMessages(sourceId: $source, status: [PROCESSED]) { nodes { id body } } "
        "node(id: $id) { id } }",
        id=message,
        source=source,
    )
    assert answer["data"] == {
        "inboundMessage": {"body": "{}", "bodyEncoding": "utf-8", "headers": {}},
        "inboundMessages": {"nodes": [{"id": message, "body": None}]},
        "node": {"id": message},
    }
    replayed = await graph.ask(
        "mutation ($id: ID!) { replayInboundMessage(id: $id) { inboundMessage { status } } }", id=message
    )
    assert replayed["data"]["replayInboundMessage"]["inboundMessage"]["status"] == "PROCESSED"
