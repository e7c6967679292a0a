"""Idempotency keys of mutations: the `Idempotency-Key` of REST as an argument, since a request may hold several."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, TypeVar
from uuid import UUID

import orjson
import strawberry
from sqlalchemy.ext.asyncio import AsyncSession

from penguinmails_core.idempotency.keys import fingerprint, parse_key
from penguinmails_graphql.context import GraphContext

Result = TypeVar("Result")

IdempotencyKey = Annotated[
    str | None,
    strawberry.argument(
        description="Makes a retry safe: the same key with the same arguments gives the same result and does the work "
        "once, for 24 hours. Keys are shared with REST."
    ),
]


def mark_of(mutation: str, arguments: Any) -> bytes:
    """What tells one request from another."""
    body = orjson.dumps(arguments, default=str, option=orjson.OPT_SORT_KEYS)
    return fingerprint("POST", f"/graphql#{mutation}", b"", body)


async def once(
    context: GraphContext,
    mutation: str,
    key: str | None,
    arguments: Any,
    work: Callable[[AsyncSession], Awaitable[Result]],
    *ring: str,
    name: Callable[[Result], str],
    load: Callable[[AsyncSession, str], Awaitable[Result]],
    organization_id: UUID | None = None,
) -> Result:
    """Do `work` once per key. A replay is `load`ed anew by what `name` gave when it was done, an id as a rule, so that
    it shows the present and holds no secret."""
    if key is None:
        return await context.write(work, *ring, organization_id=organization_id)

    async def again(session: AsyncSession, stored: bytes) -> Result:
        return await load(session, orjson.loads(stored)["id"])

    return await context.write(
        work,
        *ring,
        key=parse_key(key.encode()),
        mark=mark_of(mutation, arguments),
        store=lambda result: orjson.dumps({"id": name(result)}),
        load=again,
        organization_id=organization_id,
    )
