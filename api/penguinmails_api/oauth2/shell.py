"""Around every endpoint that clients call: parse, read and lock, let the rules decide, write, answer."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from fastapi import Request, Response

from penguinmails_api.context import RequestContext
from penguinmails_api.oauth2 import preload, proofs
from penguinmails_api.oauth2.call import Call, as_current
from penguinmails_api.oauth2.cors import ANYBODY
from penguinmails_api.oauth2.errors import OAuthError, invalid_request, json_answer
from penguinmails_api.oauth2.forms import ClientCredentials, Parameters, read_client, read_parameters
from penguinmails_api.oauth2.server import FormRequest
from penguinmails_api.oauth2.setup import server
from penguinmails_api.routing import get_context
from penguinmails_core.kit.db import Connection
from penguinmails_core.kit.doorbell import TOKENS
from penguinmails_core.oauth import flow_repository as sql
from penguinmails_core.oauth.records import Store

_REVOKING = (sql.REVOKE_GRANT, sql.REVOKE_JTI)

Read = Callable[[Connection, Call, Parameters], Any]


@asynccontextmanager
async def transaction(context: RequestContext) -> AsyncIterator[tuple[Connection, Call]]:
    """A call on a connection in a transaction. What was queued is written at the end, also after an `OAuthError`,
    which goes on once it is committed; any other exception undoes everything."""
    oauth = context.services.oauth
    await oauth.ring.ready()
    call = oauth.new_call(Store())
    failure: OAuthError | None = None
    async with context.services.database.worker.acquire() as connection, connection.transaction():
        try:
            with as_current(call):
                yield connection, call
        except OAuthError as error:
            failure = error
        for statement, arguments in call.store.writes:
            await connection.execute(statement, *arguments)
    if any(statement in _REVOKING for statement, _ in call.store.writes):
        context.services.doorbell.ring(TOKENS)
    if failure is not None:
        raise failure


def form_request(request: Request, call: Call, parameters: Parameters) -> FormRequest:
    return FormRequest(request.method, call.issuer + request.url.path, parameters, request.headers)


async def answer(
    request: Request,
    read: Read,
    decide: Callable[[FormRequest], Any] | None = None,
    *,
    endpoint: str = "",
    required: str | None = None,
) -> Response:
    """One POST of a client. `read` fills the store; `decide` is a method of the server (default: its `endpoint`)."""
    try:
        parameters = await read_parameters(request)
        if required is not None and parameters.get(required) is None:
            raise invalid_request(f"{required} is missing.")
        shown = read_client(request, parameters)
        async with transaction(get_context(request)) as (connection, call):
            await _prepare(connection, call, shown, parameters)
            await proofs.at_token_endpoint(request, connection, call)
            await read(connection, call, parameters)
            made = form_request(request, call, parameters)
            status, body, _ = decide(made) if decide else server().create_endpoint_response(endpoint, made)
        return json_answer(status, body, ANYBODY)
    except OAuthError as error:
        error.headers |= ANYBODY
        return error.response()


async def _prepare(connection: Connection, call: Call, shown: ClientCredentials, parameters: Parameters) -> None:
    call.client = shown
    call.asked_resources = parameters.all("resource")
    await preload.app(connection, call, shown.client_id)
