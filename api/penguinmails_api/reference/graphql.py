"""`/docs/graphql`: an explorer. The schema is written out beside it, so that it can be read without a key."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

from fastapi import APIRouter
from fastapi.responses import HTMLResponse, PlainTextResponse
from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLScalarType,
    get_named_type,
)

from penguinmails_api.reference.pages import Markdown, page
from penguinmails_graphql.schema import schema

router = APIRouter(include_in_schema=False)

SAMPLE = """\
query Latest {
  viewer { organization { name } mode scopes }
  emails(first: 5) {
    nodes { id subject status recipients { address status } }
    pageInfo { hasNextPage endCursor }
  }
}
"""
_INTRODUCTION = """\
# GraphQL

`POST /graphql` with `{"query": ..., "variables": ...}`: the same resources, keys, scopes and limits as REST. Ids and
cursors are those of REST, and `node(id:)` finds anything by its id. Lists are connections, newest first: `first` and
`after`, or `last` and `before`, 1 to 100 at a time. Errors carry the problem of REST in `extensions`: `code`, `status`
and `errors` with pointers. Mutations that make something take `idempotencyKey`. A query costs one unit of the rate
limit and one more for every hundred items that it may return, a mutation what it costs in REST; `extensions.cost` says
how much it was. The [guide](/docs/guides/graphql) has examples.
"""


@dataclass(frozen=True, slots=True)
class Shown:
    """A field, argument or value with its type as text and the name of the type behind it."""

    name: str
    type: str
    target: str | None
    text: str
    arguments: tuple[Shown, ...] = ()


@dataclass(frozen=True, slots=True)
class ShownType:
    name: str
    kind: str
    text: str
    fields: tuple[Shown, ...]


def _shown(name: str, item: Any) -> Shown:
    named = get_named_type(item.type)
    arguments = tuple(_shown(key, value) for key, value in getattr(item, "args", {}).items())
    target = None if isinstance(named, GraphQLScalarType) else named.name
    return Shown(name, str(item.type), target, item.description or "", arguments)


def _members(kind: GraphQLNamedType) -> tuple[str, tuple[Shown, ...]]:
    match kind:
        case GraphQLObjectType() | GraphQLInterfaceType():
            word = "interface" if isinstance(kind, GraphQLInterfaceType) else "type"
            return word, tuple(_shown(name, field) for name, field in kind.fields.items())
        case GraphQLInputObjectType():
            return "input", tuple(_shown(name, field) for name, field in kind.fields.items())
        case GraphQLEnumType():
            values = kind.values.items()
            return "enum", tuple(Shown(name, "", None, value.description or "") for name, value in values)
        case _:
            return "scalar", ()


@cache
def types() -> tuple[ShownType, ...]:
    """Query and Mutation first, then all others by name."""
    found = []
    for name, kind in schema()._schema.type_map.items():
        if name.startswith("__"):
            continue
        word, fields = _members(kind)
        found.append(ShownType(name, word, kind.description or "", fields))
    order = {"Query": 0, "Mutation": 1}
    return tuple(sorted(found, key=lambda kind: (order.get(kind.name, 2), kind.name)))


@router.get("/docs/graphql")
async def get_explorer() -> HTMLResponse:
    return page(
        "graphql.html", title="GraphQL", twin="/docs/graphql.md", section="GraphQL", types=types(), sample=SAMPLE
    )


@router.get("/docs/graphql.md")
async def get_explorer_markdown() -> Markdown:
    return Markdown(f"{_INTRODUCTION}\n## Schema\n\n```graphql\n{schema().as_str().strip()}\n```")


@router.get("/docs/schema.graphql")
async def get_schema() -> PlainTextResponse:
    return PlainTextResponse(schema().as_str().strip() + "\n", headers={"Cache-Control": "no-cache"})
