"""Routes that need no key: health, metrics, the specification and what problem types mean."""

import html
import inspect
from enum import StrEnum

import asyncpg
from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse
from pydantic import Field

from penguinmails_api import metrics
from penguinmails_api.context import RequestContext
from penguinmails_api.routing import Context, public
from penguinmails_api.services import ping_redis
from penguinmails_api.v1.common import Resource
from penguinmails_api.version import VERSION
from penguinmails_core import errors
from penguinmails_core.operations import repository

router = APIRouter(tags=["operations"])


class Metrics(Response):
    media_type = "text/plain"


class PartStatus(StrEnum):
    """`degraded`: away, but everything goes on, only slower. `off`: not configured."""

    UP = "up"
    DEGRADED = "degraded"
    DOWN = "down"
    OFF = "off"


class Alive(Resource):
    status: str = Field(examples=["ok"])


class Readiness(Resource):
    """`ready` is false when a part is down that requests cannot do without."""

    ready: bool
    parts: dict[str, PartStatus] = Field(examples=[{"database": "up", "content": "up", "redis": "degraded"}])


class Landing(Resource):
    name: str = Field(examples=["PenguinMails"])
    version: str = Field(examples=[VERSION])
    specification: str = Field(examples=["/openapi.json"])


@router.get("/", summary="What is this?", **public("operations_landing"))
async def get_landing() -> Landing:
    """Where to go from here."""
    return Landing(name="PenguinMails", version=VERSION, specification="/openapi.json")


@router.get("/healthz", summary="Is the process alive?", **public("operations_health"))
async def get_health() -> Alive:
    """Asks nothing else: a process whose database is away need not be restarted."""
    return Alive(status="ok")


@router.get(
    "/readyz",
    summary="Can requests be served?",
    responses={503: {"model": Readiness, "description": "A part is down; `parts` says which."}},
    **public("operations_readiness"),
)
async def get_readiness(context: Context, response: Response) -> Readiness:
    """Asks every part. Redis may be away: rate limits are then counted per process and queues are polled."""
    parts = await check_parts(context)
    ready = PartStatus.DOWN not in (parts["database"], parts["content"])
    response.status_code = 200 if ready else 503
    return Readiness(ready=ready, parts=parts)


async def check_parts(context: RequestContext) -> dict[str, PartStatus]:
    services = context.services
    parts = {"database": PartStatus.UP, "content": PartStatus.OFF, "redis": PartStatus.OFF}
    try:
        await repository.ping(services.database.ingest)
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
        parts["database"] = PartStatus.DOWN
    if services.content is not None:
        parts["content"] = PartStatus.UP
        try:
            await services.content.ready()
        except errors.Unavailable:
            parts["content"] = PartStatus.DOWN
    if services.redis is not None:
        parts["redis"] = PartStatus.UP if await ping_redis(services.redis) else PartStatus.DEGRADED
    return parts


@router.get(
    "/metrics", summary="Prometheus metrics", response_class=Metrics, **public("operations_metrics", errors=(503,))
)
async def get_metrics(context: Context) -> Response:
    """Text format. Holds no personal data, but keep it off the public internet: let a proxy refuse the path."""
    services = context.services
    await services.metrics.refresh(services.database.worker)
    if services.acceptor is not None:
        services.metrics.totals.values["messages_accepted"] = services.acceptor.counters.messages
    return Response(services.metrics.render(), media_type=metrics.CONTENT_TYPE)


@router.get("/openapi.json", include_in_schema=False)
async def get_specification(request: Request) -> JSONResponse:
    return JSONResponse(request.app.openapi())


@router.get(
    "/problems/{code}",
    summary="What does a problem type mean?",
    response_class=HTMLResponse,
    **public("operations_problem", errors=(404,)),
)
async def get_problem(code: str) -> HTMLResponse:
    """The page that `type` of a problem document leads to."""
    problem = PROBLEMS.get(code)
    if problem is None:
        raise errors.NotFound(f"There is no problem type of this name; there are {', '.join(sorted(PROBLEMS))}.")
    title = html.escape(problem.title)
    body = (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>'
        f"<h1>{title}</h1><p>Status {problem.status}, code <code>{problem.code}</code>.</p>"
        f"<p>{html.escape(EXPLANATIONS.get(code, ''))}</p>"
    )
    return HTMLResponse(body, headers={"Content-Security-Policy": "default-src 'none'"})


PROBLEMS: dict[str, type[errors.Problem]] = {
    value.code: value for value in vars(errors).values() if inspect.isclass(value) and issubclass(value, errors.Problem)
}

EXPLANATIONS: dict[str, str] = {
    "bad_request": "The request is not well-formed HTTP for this API. The detail says what to change.",
    "invalid_json": "The body cannot be parsed. The detail names the line and column.",
    "invalid_idempotency_key": "Idempotency-Key takes 1 to 255 visible ASCII characters; a UUID is a good choice.",
    "key_in_query": "Send the key in the Authorization header. A key that was in a URL is in logs: replace it.",
    "unauthenticated": "Send Authorization: Bearer pm_live_... with a key that is neither revoked nor expired.",
    "forbidden": "The key is valid, but not for this. The detail says what is missing.",
    "missing_scope": "The key lacks the scope in required_scope. Use another key, or make one with this scope.",
    "domain_not_verified": "Mail can be sent from verified domains only. Verify the domain of the sender first.",
    "not_found": "It does not exist, or it belongs to someone else, another workspace or the other mode (live, test).",
    "method_not_allowed": "The Allow header lists what is possible at this path.",
    "not_acceptable": "Ask for application/json.",
    "conflict": "The resource is in a state that does not allow this. The detail and current_status say which.",
    "idempotency_key_in_use": "The first request with this key is still running. Wait as Retry-After says.",
    "payload_too_large": "The body is over the limit that the detail names.",
    "unsupported_media_type": "Send JSON, with Content-Type: application/json.",
    "validation_failed": "Each entry of errors names a field, its limit and the fix.",
    "idempotency_key_reused": "This key was used for another request. Choose a new key for a new request.",
    "rate_limit_exceeded": "Wait as Retry-After says. RateLimit-Policy names the limits, RateLimit what is left.",
    "internal_error": "Our fault. It is logged under the request_id; quote it when you ask about it.",
    "unavailable": "A part of the service is away. Try again with the same Idempotency-Key.",
}
