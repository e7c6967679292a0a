"""Idempotency-Key for endpoints that work in one tenant transaction.

    async def cancel_email(email_id: EmailId, request: Request) -> Response:
        async def work(session: AsyncSession) -> BaseModel: ...
        return await answer_once(request, work)

Scope, limits and validation have passed before this runs, so a replay is authorised like the first request.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from uuid import UUID

from fastapi import Request, Response
from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncSession

from penguinmails_api.routing import get_context
from penguinmails_core.errors import FieldError, InvalidIdempotencyKey, Unprocessable
from penguinmails_core.idempotency import service
from penguinmails_core.idempotency.keys import HEADER, REPLAYED_HEADER, fingerprint, parse_key

Work = Callable[[AsyncSession], Awaitable[BaseModel]]


async def answer_once(
    request: Request,
    work: Work,
    *,
    status: int = 200,
    redact: Sequence[str] = (),
    ring: Sequence[str] = (),
    organization_id: UUID | None = None,
) -> Response:
    """Run `work` and answer with the model it returns, or replay the stored answer.

    `redact` names top-level members that hold secrets (null in a replay). `ring` are doorbell channels, rung after the
    commit. Whatever `work` raises undoes everything. `organization_id` is where the work is done, when that is not the
    caller's own organization.
    """
    context = get_context(request)
    caller, scope = context.caller, request.scope
    body = await request.body()
    if scope["route"].body_field is None and body not in (b"", b"{}"):
        detail = "This operation takes no body. Leave it out, or send {}."
        raise Unprocessable(detail, errors=[FieldError("", "unknown_field", detail)])
    key = read_key(scope["headers"])  # a rehearsal uses none, and refuses a malformed one like the real request
    keyed = service.KeyedRequest(
        organization_id or caller.organization_id,
        caller.id,
        None if context.options.dry_run else key,
        fingerprint(request.method, scope["path"], scope["query_string"], body),
    )

    async def encoded(session: AsyncSession) -> bytes:
        return (await work(session)).model_dump_json(by_alias=True).encode()

    answer = await service.run(context.services.database, keyed, encoded, status=status, redact=redact)
    if not answer.replayed:
        context.services.doorbell.ring(*ring)
    headers = {REPLAYED_HEADER: "true"} if answer.replayed else None
    return Response(answer.body, answer.status, headers, "application/json")


def read_key(headers: Sequence[tuple[bytes, bytes]]) -> str | None:
    """The Idempotency-Key among ASGI headers. Raises `InvalidIdempotencyKey` for a malformed or a second one."""
    found = None
    for name, value in headers:
        if name == b"idempotency-key":
            if found is not None:
                raise InvalidIdempotencyKey(f"There are two {HEADER} headers. Send one.")
            found = parse_key(value)
    return found
