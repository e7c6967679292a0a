"""`POST /graphql` (GraphQL over HTTP, working draft of 2025): identity and limits come from the gateway.

A request that does not run, since it cannot be parsed, is not valid or asks for too much, answers 400 with `errors`,
always as `application/graphql-response+json`, so that it is told from a problem document. One that runs answers 200,
with `errors` for the fields that failed.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import cache
from typing import Any

import orjson
from fastapi.routing import APIRoute

from penguinmails_api.context import RequestContext
from penguinmails_api.gateway import HotRoute, Receive, Scope, parse_json, read_body
from penguinmails_api.rate_limits.admission import batch_cost
from penguinmails_api.rate_limits.route_index import RouteFacts
from penguinmails_api.rate_limits.special import declared_on
from penguinmails_api.responses import RawResponse
from penguinmails_api.v1 import ROUTERS
from penguinmails_core.audit.actor import ORIGIN
from penguinmails_core.emails.accept import AcceptRequest, Verdict
from penguinmails_core.errors import FieldError, Problem, Unprocessable
from penguinmails_core.idempotency.keys import HEADER
from penguinmails_graphql.context import GraphContext
from penguinmails_graphql.execute import Executor, GraphRequest, Refused
from penguinmails_graphql.schema import schema
from penguinmails_webhooks.endpoints import webhook_endpoints

PATH = "/graphql"
MAX_BODY_BYTES = 16 * 1024 * 1024  # attachments travel inside
_MEDIA_TYPE = b"application/graphql-response+json"
_MEMBERS = frozenset(("query", "variables", "operationName", "extensions"))

_executor = Executor(schema())


async def answer_graphql(ctx: RequestContext, scope: Scope, receive: Receive) -> RawResponse:
    _refuse_header(scope)
    request = _request(parse_json(await read_body(receive)))
    content_type = _content_type(scope)
    prepared = _executor.prepare(request)
    if isinstance(prepared, Refused):
        return RawResponse(400, orjson.dumps(prepared.body(ctx.request_id)), content_type=_MEDIA_TYPE)
    services = ctx.services
    await services.admission.charge(ctx, prepared.size.cost)
    endpoints = webhook_endpoints(services.box, services.settings.webhooks) if services.box is not None else None
    token = ORIGIN.set(ctx)  # for the audit log
    try:
        async with GraphContext(
            ctx.caller, services, _accept_for(ctx), _sudo_for(ctx), _admit_for(ctx), endpoints, ctx.request_id
        ) as context:
            answer = await _executor.run(prepared, context)
    finally:
        ORIGIN.reset(token)
    # Variables that do not fit the operation are found when it runs, before anything has.
    status = 200 if answer.get("data") is not None or any("path" in error for error in answer["errors"]) else 400
    return RawResponse(
        status, orjson.dumps(answer, default=str), content_type=content_type if status == 200 else _MEDIA_TYPE
    )


def _accept_for(ctx: RequestContext) -> Callable[[AcceptRequest], Awaitable[Verdict]]:
    async def accept(request: AcceptRequest) -> Verdict:
        """Sends count against the same quotas as REST's; those of mail that was not accepted are given back."""
        admission = ctx.services.admission
        cost = ctx.cost + batch_cost(len(request.messages)) - 1  # the first message is in the price of the document
        await admission.charge(ctx, cost, sum(len(message.recipients) for message in request.messages))
        try:
            verdict = await ctx.services.send_caps.accept(ctx.caller, request)
        except Problem:
            admission.give_back(ctx)
            raise
        if verdict.fresh:
            ctx.sends = 0  # a later mutation of the request gives back its own alone
        else:
            admission.give_back(ctx)
        return verdict

    return accept


def _sudo_for(ctx: RequestContext) -> Callable[[], Awaitable[None]]:
    async def sudo() -> None:
        if ctx.session is not None:
            await ctx.services.identity.require_sudo(ctx.session)

    return sudo


def _admit_for(ctx: RequestContext) -> Callable[[str], Awaitable[None]]:
    async def admit(operation: str) -> None:
        await ctx.services.admission.charge_route(ctx.caller, _limited()[operation])

    return admit


@cache
def _limited() -> dict[str, RouteFacts]:
    """The operations of v1 that have limits of their own."""
    routes = (route for router in ROUTERS for route in router.routes if isinstance(route, APIRoute))
    return {
        route.operation_id: RouteFacts(route.operation_id, route.path, limits=limits)
        for route in routes
        if route.operation_id and (limits := declared_on(route.endpoint))
    }


def _request(document: Any) -> GraphRequest:
    """Raises `Unprocessable` naming the member."""
    if not isinstance(document, dict):
        raise _fault("", "invalid_type", "Send one JSON object with `query`; batches are not taken.")
    for name in document:
        if name not in _MEMBERS:
            raise _fault(f"/{name}", "unknown_field", f"`{name}` is not known here; {', '.join(sorted(_MEMBERS))} are.")
    query, variables = document.get("query"), document.get("variables")
    name = document.get("operationName")
    if not isinstance(query, str) or not query.strip():
        raise _fault("/query", "required", "`query` must be a GraphQL document.")
    if variables is not None and not isinstance(variables, dict):
        raise _fault("/variables", "invalid_type", "`variables` must be an object.")
    if name is not None and not isinstance(name, str):
        raise _fault("/operationName", "invalid_type", "`operationName` must be text.")
    return GraphRequest(query, variables or {}, name)


def _refuse_header(scope: Scope) -> None:
    if any(name == b"idempotency-key" for name, _ in scope["headers"]):
        raise _fault(
            HEADER, "not_allowed", "A GraphQL request may hold several mutations: give each its own `idempotencyKey`."
        )
    if scope["query_string"]:
        raise _fault("query", "not_allowed", "GraphQL takes no query parameters; send everything in the body.")


def _content_type(scope: Scope) -> bytes:
    for name, value in scope["headers"]:
        if name == b"accept" and _MEDIA_TYPE in value.lower():
            return _MEDIA_TYPE
    return b"application/json"


def _fault(pointer: str, code: str, detail: str) -> Unprocessable:
    return Unprocessable(detail, errors=[FieldError(pointer, code, detail)])


def hot_routes() -> dict[tuple[str, str], HotRoute]:
    return {("POST", PATH): HotRoute(answer_graphql, MAX_BODY_BYTES)}
