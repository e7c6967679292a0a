"""Routes that need no key: health, metrics, the specification and what problem types mean."""

from enum import StrEnum
from typing import Annotated

from fastapi import APIRouter, Path, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse
from pydantic import Field

from penguinmails_api import metrics
from penguinmails_api.context import RequestContext
from penguinmails_api.reference.problems import problem_page
from penguinmails_api.routing import Context, public
from penguinmails_api.services import ping_redis
from penguinmails_api.v1.common import Resource
from penguinmails_api.version import VERSION
from penguinmails_core import errors
from penguinmails_core.kit.db import FAILED
from penguinmails_core.operations import repository
from penguinmails_webhooks import asyncapi

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
    except FAILED:
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
    return Response(services.metrics.render(), media_type=metrics.CONTENT_TYPE)


@router.get("/openapi.json", include_in_schema=False)
async def get_specification(request: Request) -> JSONResponse:
    return JSONResponse(request.app.openapi())


@router.get("/openapi/v2.json", include_in_schema=False)
async def get_specification_v2(request: Request) -> JSONResponse:
    return JSONResponse(request.app.openapi_v2())


@router.get("/asyncapi.json", include_in_schema=False)
async def get_events_specification() -> JSONResponse:
    return JSONResponse(asyncapi.build(VERSION))


@router.get(
    "/problems/{code}",
    summary="What does a problem type mean?",
    response_class=HTMLResponse,
    responses={200: {"content": {"text/markdown": {"schema": {"type": "string"}}}}},
    **public("operations_problem", errors=(404,)),
)
async def get_problem(
    code: Annotated[
        str, Path(json_schema_extra={"maxLength": 100}, description="A problem's `code`; with `.md` for Markdown.")
    ],
) -> Response:
    """The page that `type` of a problem document leads to: cause and fix, in HTML or Markdown."""
    return problem_page(code)
