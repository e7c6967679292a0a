"""docs/graphql.md: every example runs as it is written, and its tables are true."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from graphql import OperationDefinitionNode, parse

from penguinmails_core.kit import ids
from penguinmails_core.kit.db import Database
from penguinmails_core.kit.ids import Prefix
from penguinmails_graphql import limits
from tests.conftest import ROOT
from tests.fixtures.factories import Tenant, make_domain, make_email
from tests.graphql.conftest import GraphClient
from tests.graphql.test_twins import WITHOUT

GUIDE = (ROOT / "docs" / "graphql.md").read_text()
FOLLOWED = re.compile(r"```graphql\n(.*?)```(?:\n\n```json\n(.*?)```)?", re.DOTALL)


def name_of(query: str) -> str:
    [operation] = parse(query).definitions
    assert isinstance(operation, OperationDefinitionNode)
    assert operation.name is not None
    return operation.name.value


EXAMPLES: dict[str, tuple[str, Any]] = {
    name_of(query): (query, json.loads(said) if said else None) for query, said in FOLLOWED.findall(GUIDE)
}


@pytest.fixture
async def variables(graph: GraphClient, database: Database, tenant: Tenant) -> dict[str, dict[str, Any]]:
    """Of the examples that need ids, by name."""
    await make_domain(database, tenant, "acme.example")
    email = ids.encode(Prefix.EMAIL, await make_email(database, tenant))
    made = await graph(
        'mutation { createWebhookEndpoint(input: {url: "https://hooks.example.com/a", events: ["*"]}) '
        "{ webhookEndpoint { id } } }"
    )
    hook = made["createWebhookEndpoint"]["webhookEndpoint"]["id"]
    return {
        "WhateverItIs": {"id": email},
        "Send": EXAMPLES["Send"][1],
        "Pause": {"input": {"id": hook, "status": "DISABLED"}},
        "Key": {"input": {"name": "Orders", "scopes": ["emails:write"]}, "key": "k"},
    }


@pytest.mark.parametrize("name", sorted(EXAMPLES.keys() - {"Wrong"}))
async def test_examples_run(graph: GraphClient, variables: dict[str, dict[str, Any]], name: str) -> None:
    answer = await graph.ask(EXAMPLES[name][0], **variables.get(name, {}))
    assert "errors" not in answer, answer
    if name == "Cost":
        assert answer["extensions"]["cost"] == EXAMPLES[name][1]


async def test_the_error_is_as_told(graph: GraphClient) -> None:
    query, told = EXAMPLES["Wrong"]
    problem = await graph.error(query)
    shown = {name: problem[name] for name in ("code", "status")}
    faults = [{name: fault[name] for name in ("pointer", "code")} for fault in problem["errors"]]
    assert shown | {"errors": faults} == told


async def test_the_request_is_as_told(graph: GraphClient) -> None:
    [body] = re.findall(r"-d '(\{.*?\})'\n", GUIDE)
    assert (await graph.api.post("/graphql", json=json.loads(body))).status_code == 200


def test_its_tables_are_true() -> None:
    section = GUIDE.partition("## What has no twin")[2].partition("\n## ")[0]
    assert dict(re.findall(r"^\| `(\w+)` \| (.+) \|$", section, re.MULTILINE)) == WITHOUT
    said = f"more than {limits.MAX_DEPTH} levels, {limits.MAX_FIELDS} fields, {limits.MAX_TOKENS:,} tokens,\nor "
    assert said + f"{limits.MAX_NODES:,} items" in GUIDE
