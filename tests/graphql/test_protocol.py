"""The protocol, the limits, and that the written schema is the served one."""

from __future__ import annotations

from typing import Any

import pytest
from graphql import build_schema, get_introspection_query

from penguinmails_api.services import Services, Settings
from penguinmails_core.config import ApiSettings, DatabaseSettings
from penguinmails_core.emails import service
from penguinmails_graphql.limits import MAX_DEPTH, MAX_FIELDS
from penguinmails_graphql.schema import schema
from tests.conftest import ROOT
from tests.graphql.conftest import GraphClient

MEDIA_TYPE = "application/graphql-response+json"


def test_the_written_schema_is_current() -> None:
    written = (ROOT / "graphql" / "schema.graphql").read_text()
    assert written == schema().as_str().rstrip("\n") + "\n", "run `make sdks`"
    build_schema(written)


def test_everything_is_described_or_speaks_for_itself() -> None:
    """Every root field says what it does."""
    for root in ("Query", "Mutation"):
        fields: Any = schema()._schema.type_map[root]
        missing = [name for name, field in fields.fields.items() if not field.description]
        assert not missing, missing


async def test_no_key_no_answer(graph: GraphClient) -> None:
    response = await graph.as_(None).api.post("/graphql", json={"query": "{ viewer { mode } }"})
    assert response.status_code == 401


async def test_introspection(graph: GraphClient) -> None:
    answer = await graph.ask(get_introspection_query())
    assert "errors" not in answer
    assert answer["data"]["__schema"]["queryType"]["name"] == "Query"


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("{ viewer { mode ", "invalid_query"),
        ("{ viewer { nonsense } }", "invalid_query"),
        ("query A { viewer { mode } } query B { viewer { mode } }", "unknown_operation"),
        ("fragment F on Email { id }", None),
        ("query ($id: ID!) { email(id: $id) { id } }", "invalid_query"),
    ],
)
async def test_a_request_that_cannot_run_is_400(graph: GraphClient, query: str, code: str | None) -> None:
    answer = await graph.ask(query, 400)
    assert answer["errors"][0]["message"]
    if code is not None:
        assert answer["errors"][0]["extensions"]["code"] == code


async def test_the_operation_can_be_named(graph: GraphClient) -> None:
    query = "query A { viewer { mode } } query B { viewer { kind } }"
    body = {"query": query, "operationName": "B"}
    assert (await graph.api.post("/graphql", json=body)).json()["data"] == {"viewer": {"kind": "API_KEY"}}
    wrong = await graph.api.post("/graphql", json=body | {"operationName": "C"})
    assert wrong.status_code == 400
    assert wrong.json()["errors"][0]["extensions"]["code"] == "unknown_operation"


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ([], ""),
        ({}, "/query"),
        ({"query": ""}, "/query"),
        ({"query": 1}, "/query"),
        ({"query": "{ viewer { mode } }", "variables": []}, "/variables"),
        ({"query": "{ viewer { mode } }", "operationName": 1}, "/operationName"),
        ({"query": "{ viewer { mode } }", "querry": ""}, "/querry"),
    ],
)
async def test_a_malformed_request_names_the_member(graph: GraphClient, body: Any, pointer: str) -> None:
    response = await graph.api.post("/graphql", json=body)
    assert response.status_code == 422
    assert response.json()["errors"][0]["pointer"] == pointer


async def test_keys_belong_to_mutations(graph: GraphClient) -> None:
    response = await graph.api.post("/graphql", json={"query": "{ viewer { mode } }"}, idempotency_key="k")
    assert response.status_code == 422
    assert "idempotencyKey" in response.json()["detail"]


async def test_the_answer_has_the_media_type_that_was_asked_for(graph: GraphClient) -> None:
    body = {"query": "{ viewer { mode } }"}
    plain = await graph.api.post("/graphql", json=body)
    assert plain.headers["content-type"] == "application/json"
    asked = await graph.api.post("/graphql", json=body, headers={"Accept": f"{MEDIA_TYPE}, application/json"})
    assert asked.headers["content-type"] == MEDIA_TYPE


async def test_too_much_is_refused_before_it_runs(graph: GraphClient) -> None:
    many = "{" + " ".join(f"a{number}: viewer {{ mode }}" for number in range(MAX_FIELDS)) + "}"
    answer = await graph.ask(many, 400)
    assert answer["errors"][0]["extensions"]["code"] == "query_too_large"
    hooks = " ".join(
        f"a{number}: webhookEndpoints(first: 100) {{ nodes {{ deliveries(first: 100) {{ nodes {{ id }} }} }} }}"
        for number in range(2)
    )
    answer = await graph.ask("{" + hooks + "}", 400)
    assert answer["errors"][0]["extensions"]["code"] == "query_too_expensive"


async def test_depth_is_limited_through_fragments_too(graph: GraphClient) -> None:
    levels = "".join(f"fragment F{n} on __Type {{ ofType {{ ...F{n + 1} }} }} " for n in range(MAX_DEPTH))
    query = f'{{ __type(name: "Email") {{ ...F0 }} }} {levels} fragment F{MAX_DEPTH} on __Type {{ name }}'
    answer = await graph.ask(query, 400)
    assert answer["errors"][0]["extensions"]["code"] == "query_too_deep"


async def test_the_cost_grows_with_what_may_come_back(graph: GraphClient) -> None:
    small = await graph.ask("{ viewer { mode } }")
    assert small["extensions"]["cost"]["requested"] == 1
    query = "query ($n: Int) { webhookEndpoints(first: $n) { nodes { deliveries(first: 100) { nodes { id } } } } }"
    large = await graph.ask(query, n=50)
    assert large["extensions"]["cost"] == {"requested": 51, "nodes": 5050, "depth": 5}


@pytest.mark.parametrize(
    ("query", "cost"),
    [
        ("{ a: viewer { mode } b: viewer { mode } usage { mode } }", 5),
        ('mutation { cancelEmail(id: "x") { email { id } } }', 1),
        (
            'mutation { a: cancelEmail(id: "x") { email { id } } ...M } fragment M on Mutation { '
            'b: cancelEmail(id: "x") { email { id } } c: cancelEmail(id: "x") { email { id } } }',
            3,
        ),
        ("mutation { __typename }", 1),
    ],
)
async def test_mutations_cost_what_they_cost_in_rest(graph: GraphClient, query: str, cost: int) -> None:
    assert (await graph.ask(query))["extensions"]["cost"]["requested"] == cost


async def test_our_own_faults_say_nothing_internal(
    graph: GraphClient, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: Any, **__: Any) -> Any:
        raise RuntimeError("secret detail")

    monkeypatch.setattr(service, "list_emails", broken)
    answer = await graph.ask("{ emails { nodes { id } } }")
    [error] = answer["errors"]
    assert error["extensions"]["code"] == "internal_error"
    assert "secret" not in str(answer)


@pytest.mark.parametrize("first", [0, 101, -1])
async def test_page_sizes_are_bounded(graph: GraphClient, first: int) -> None:
    problem = await graph.error("query ($n: Int) { emails(first: $n) { nodes { id } } }", n=first)
    assert problem["status"] == 422
    assert problem["errors"][0]["pointer"] == "first"


async def test_directions_do_not_mix(graph: GraphClient) -> None:
    for arguments in ('first: 1, last: 1, before: "x"', 'after: "x", before: "y"', "last: 3"):
        assert (await graph.error(f"{{ emails({arguments}) {{ nodes {{ id }} }} }}"))["status"] == 422, arguments
    assert (await graph.error('{ emails(after: "junk") { nodes { id } } }'))["errors"][0]["code"] == "invalid_cursor"


class TestBudget:
    """REST and GraphQL share one."""

    @pytest.fixture
    def settings(self) -> Settings:
        pools = DatabaseSettings(pool_size=4, ingest_connections=1, worker_connections=2)
        return Settings(database=pools, api=ApiSettings(rate_limit=1, rate_burst=60))  # hardly refilled meanwhile

    async def test_an_expensive_question_takes_more(self, graph: GraphClient) -> None:
        cheap = await graph.api.post("/graphql", json={"query": "{ viewer { mode } }"})
        left = int(cheap.headers["ratelimit-remaining"])
        query = "{ webhookEndpoints(first: 10) { nodes { deliveries(first: 100) { nodes { id } } } } }"
        answer = await graph.api.post("/graphql", json={"query": query})
        assert answer.json()["extensions"]["cost"]["requested"] == 11
        assert int(answer.headers["ratelimit-remaining"]) <= left - 10
        rest = await graph.api.get("/v1/me")
        assert int(rest.headers["ratelimit-remaining"]) < left - 10

    async def test_what_the_budget_cannot_bear_does_not_run(self, graph: GraphClient) -> None:
        query = "{ webhookEndpoints(first: 60) { nodes { deliveries(first: 100) { nodes { id } } } } }"
        answer = await graph.api.post("/graphql", json={"query": query})
        assert answer.status_code == 429
        assert answer.json()["code"] == "rate_limit_exceeded"
