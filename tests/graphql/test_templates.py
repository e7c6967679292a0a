"""Templates in GraphQL: made, published, sent."""

from __future__ import annotations

import pytest

from penguinmails_core.kit.db import Database
from tests.fixtures.factories import Tenant, make_domain
from tests.graphql.conftest import GraphClient

CREATE = """mutation($content: TemplateContentInput!) {
  createTemplate(input: {name: "Welcome", alias: "welcome", content: $content, publish: true}) {
    template { id status publishedVersion }
  }
}"""
SEND = """mutation($variables: JSON) {
  sendEmail(input: {from: "a@acme.test", to: ["b@example.com"], template: {alias: "welcome", variables: $variables}}) {
    email { subject content { html text } }
  }
}"""
TEST = "mutation($input: SendTemplateTestInput!) { sendTemplateTest(input: $input) { email { subject } } }"
CONTENT = {"subject": "Hi {{ name }}", "html": "<p>{{ name }}</p>", "sampleVariables": {"name": "Sam"}}


@pytest.fixture(autouse=True)
async def domain(database: Database, tenant: Tenant) -> None:
    await make_domain(database, tenant, "acme.test")


async def test_make_preview_and_send(graph: GraphClient) -> None:
    made = (await graph.ask(CREATE, content=CONTENT))["data"]["createTemplate"]["template"]
    assert (made["status"], made["publishedVersion"]) == ("PUBLISHED", 1)
    shown = await graph.ask("query($id: ID!) { previewTemplate(id: $id) { subject text } }", id=made["id"])
    assert shown["data"]["previewTemplate"] == {"subject": "Hi Sam", "text": "Sam\n"}
    sent = (await graph.ask(SEND, variables={"name": "Ada"}))["data"]["sendEmail"]["email"]
    assert sent == {"subject": "Hi Ada", "content": {"html": "<p>Ada</p>", "text": "Ada\n"}}
    tested = await graph.ask(TEST, input={"id": made["id"], "from": "a@acme.test", "to": "b@example.com"})
    assert tested["data"]["sendTemplateTest"]["email"]["subject"] == "[Test] Hi Sam"


async def test_missing_variables_have_their_places(graph: GraphClient) -> None:
    await graph.ask(CREATE, content=CONTENT)
    answer = await graph.ask(SEND, variables={})
    [error] = answer["errors"]
    assert [found["pointer"] for found in error["extensions"]["errors"]] == ["/template/variables/name"]
