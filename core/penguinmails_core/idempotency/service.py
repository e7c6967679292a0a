"""Do the work of a POST once per Idempotency-Key: key, work and answer share one transaction.

A crash leaves neither work nor key, so a retry starts afresh. Work that raises rolls back with its key: validation
failures, conflicts and our own errors are never replayed. Only the principal that did the work gets its answer.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from uuid import UUID, uuid4

import orjson
from sqlalchemy.ext.asyncio import AsyncSession

from penguinmails_core.errors import IdempotencyInFlight, IdempotencyMismatch
from penguinmails_core.idempotency import repository
from penguinmails_core.kit.db import Database, Pool

KEEP_HOURS = 24
PATIENCE_MS = 250  # how long a duplicate waits for the first request before it hears 409

Work = Callable[[AsyncSession], Awaitable[bytes]]


@dataclass(frozen=True, slots=True)
class KeyedRequest:
    """`key` is None when the client sent none; then the work is simply done."""

    organization_id: UUID
    principal_id: UUID
    key: str | None
    fingerprint: bytes


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: bytes
    replayed: bool


async def run(
    database: Database, request: KeyedRequest, work: Work, *, status: int = 200, redact: Sequence[str] = ()
) -> Answer:
    """Run `work` in one tenant transaction and store its JSON answer, or give the stored one.

    `redact` names top-level members that hold secrets: the stored copy has null instead, so a secret is shown once.
    Raises `IdempotencyInFlight` while the first request runs, `IdempotencyMismatch` when it asked for something else.
    """
    organization_id, principal_id, key = request.organization_id, request.principal_id, request.key
    async with database.tenant(organization_id) as session:
        if key is None:
            return Answer(status, await work(session), replayed=False)
        token = uuid4()
        claim = await repository.claim(
            session, organization_id, principal_id, key, request.fingerprint, token, PATIENCE_MS
        )
        if claim is None:
            raise in_flight()
        if claim.token != token:
            return replay(claim.fingerprint == request.fingerprint, claim.status, claim.response)
        body = await work(session)
        await repository.store(session, organization_id, principal_id, key, status, without(body, redact))
    return Answer(status, body, replayed=False)


def replay(same: bool, status: int | None, response: bytes | None) -> Answer:
    """The answer to a second request with a key that is taken."""
    if not same:
        raise IdempotencyMismatch(
            "This Idempotency-Key was used for a request with another method, path, query or body. "
            "Send the same request, or choose a new key."
        )
    if status is None or response is None:
        raise in_flight()
    return Answer(status, bytes(response), replayed=True)


def in_flight() -> IdempotencyInFlight:
    return IdempotencyInFlight(
        "The first request with this Idempotency-Key is still being worked on. Try again in a moment.",
        headers={"Retry-After": "1"},
    )


def without(body: bytes, redact: Sequence[str]) -> bytes:
    """The JSON object `body` with null for the members in `redact`."""
    if not redact:
        return body
    document = orjson.loads(body)
    return orjson.dumps({name: None if name in redact else value for name, value in document.items()})


async def sweep(worker: Pool, *, limit: int = 10_000) -> int:
    """Forget keys older than 24 hours, in bites; call until it returns less than `limit`."""
    return await repository.sweep(worker, KEEP_HOURS, limit)
