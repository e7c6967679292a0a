"""GraphQL is asked through the gateway, like REST."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import event

from penguinmails_api.app import create_gateway
from penguinmails_api.services import Services
from penguinmails_core.kit.db import Database
from tests.api import conftest as api
from tests.fixtures.client import ApiClient
from tests.fixtures.factories import Tenant
from tests.fixtures.people import make_member, sign_in

settings, services, tenant, stranger = api.settings, api.services, api.tenant, api.stranger


class GraphClient:
    """``await graph("{ viewer { mode } }")`` gives `data`; raises AssertionError when there are errors."""

    def __init__(self, api: ApiClient) -> None:
        self.api = api

    def as_(self, key: str | None) -> GraphClient:
        return GraphClient(self.api.as_(key))

    async def ask(self, query: str, status: int = 200, **variables: Any) -> dict[str, Any]:
        response = await self.api.post("/graphql", json={"query": query, "variables": variables})
        assert response.status_code == status, response.text
        answer: dict[str, Any] = response.json()
        return answer

    async def __call__(self, query: str, **variables: Any) -> Any:
        answer = await self.ask(query, **variables)
        assert "errors" not in answer, answer["errors"]
        return answer["data"]

    async def error(self, query: str, **variables: Any) -> dict[str, Any]:
        """The `extensions` of the only error."""
        answer = await self.ask(query, **variables)
        [error] = answer["errors"]
        found: dict[str, Any] = error["extensions"]
        return found


def as_rest(value: Any) -> Any:
    """Names and enum values as REST writes them."""
    if isinstance(value, dict):
        return {"".join(f"_{c.lower()}" if c.isupper() else c for c in key): as_rest(v) for key, v in value.items()}
    if isinstance(value, list):
        return [as_rest(item) for item in value]
    shouted = isinstance(value, str) and value.isupper() and value.replace("_", "").isalpha()
    return value.lower() if shouted and value not in ("TXT", "UTC", "GET", "POST", "USD") else value


class Statements:
    """Counts what SQLAlchemy sends, transaction control and `set_config` aside."""

    def __init__(self, services: Services) -> None:
        self.texts: list[str] = []
        self._engine = services.database.engine.sync_engine

    def __enter__(self) -> Statements:
        event.listen(self._engine, "before_cursor_execute", self._note)
        return self

    def __exit__(self, *_: object) -> None:
        event.remove(self._engine, "before_cursor_execute", self._note)

    def _note(self, _connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if "set_config" not in statement:
            self.texts.append(statement)


@pytest.fixture
async def graph(services: Services, tenant: Tenant) -> AsyncIterator[GraphClient]:
    async with ApiClient(create_gateway(services), tenant.key) as client:
        yield GraphClient(client)


@pytest.fixture
async def owner(graph: GraphClient, services: Services, database: Database, tenant: Tenant) -> GraphClient:
    """The owner of `tenant` in a browser, signed in a moment ago."""
    person = await make_member(database, tenant.id, "owner")
    return GraphClient(await sign_in(services, graph.api, person.user_id, tenant.id))
