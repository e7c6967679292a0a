"""`node(id:)`: from any id to what it names."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import strawberry

from penguinmails_core.errors import NotFound
from penguinmails_core.kit.ids import Prefix
from penguinmails_graphql.context import Info
from penguinmails_graphql.emails.resolvers import fetch_email
from penguinmails_graphql.events.resolvers import fetch_event
from penguinmails_graphql.relay import Node
from penguinmails_graphql.suppressions.resolvers import fetch_suppression
from penguinmails_graphql.webhook_endpoints.resolvers import fetch_endpoint

FETCH: dict[str, Callable[[Info, strawberry.ID], Awaitable[Node]]] = {
    Prefix.EMAIL: fetch_email,
    Prefix.EVENT: fetch_event,
    Prefix.SUPPRESSION: fetch_suppression,
    Prefix.WEBHOOK_ENDPOINT: fetch_endpoint,
}


@strawberry.type
class NodesQuery:
    @strawberry.field(description="Whatever the id names.")
    async def node(self, info: Info, id: strawberry.ID) -> Node:
        fetch = FETCH.get(str(id).rpartition("_")[0])
        if fetch is None:
            raise NotFound(f"There is no such node; ids that can be fetched start with {', '.join(sorted(FETCH))}.")
        return await fetch(info, id)
