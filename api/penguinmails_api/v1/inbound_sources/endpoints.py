"""`/v1/inbound_sources`: where webhooks of others come in, and how they are proven."""

from datetime import timedelta
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from sqlalchemy.ext.asyncio import AsyncSession

from penguinmails_api.context import RequestContext
from penguinmails_api.conventions.etags import match
from penguinmails_api.idempotency import answer_once
from penguinmails_api.routing import Context, get_context, operation
from penguinmails_api.v1.inbound_sources.schemas import (
    InboundSecretRotate,
    InboundSource,
    InboundSourceCreate,
    InboundSourceList,
    InboundSourceListQuery,
    InboundSourceUpdate,
    InboundSourceWithSecret,
    SourceIdInPath,
)
from penguinmails_core.scopes import Scope

router = APIRouter(prefix="/v1/inbound_sources", tags=["inbound"])
READ, WRITE = Scope.INBOUND_READ, Scope.INBOUND_WRITE


@router.post(
    "",
    summary="Create an inbound source",
    status_code=201,
    response_model=InboundSourceWithSecret,
    **operation("inbound_sources_create", scope=WRITE, errors=(413, 415), idempotent=True),
)
async def create_source(request: Request, body: InboundSourceCreate) -> Response:
    """A URL for the webhooks of one sender. What comes there is kept when it is proven by `scheme` and `secret`, once
    however often it is repeated. An organization has at most 100 sources."""
    context = get_context(request)
    service = context.services.inbound_sources

    async def work(session: AsyncSession) -> InboundSourceWithSecret:
        row, secret = await service.create(
            session,
            context.caller,
            name=body.name,
            scheme=body.scheme.value,
            secret=body.secret,
            settings=body.settings.given() if body.settings else None,
        )
        return InboundSourceWithSecret.of(row, service.url_of(row), secret)

    return await answer_once(request, work, status=201, redact=("secret",))


@router.get("", summary="List inbound sources", **operation("inbound_sources_list", scope=READ, paginated=True))
async def list_sources(context: Context, query: Annotated[InboundSourceListQuery, Query()]) -> InboundSourceList:
    """The newest first, disabled ones too."""
    service = context.services.inbound_sources
    async with context.services.database.tenant(context.caller.organization_id) as session:
        rows, has_more = await service.list_sources(session, context.caller, **query.place())
    found = [InboundSource.of(row, service.url_of(row)) for row in rows]
    return InboundSourceList.of(found, [row.id for row in rows], has_more, backwards=query.backwards)


async def _current(session: AsyncSession, context: RequestContext, source_id: UUID, *, lock: bool) -> InboundSource:
    service = context.services.inbound_sources
    row = await service.get(session, context.caller, source_id, lock=lock)
    return InboundSource.of(row, service.url_of(row))


@router.get("/{inbound_source_id}", summary="Get an inbound source", **operation("inbound_sources_get", scope=READ))
async def get_source(context: Context, inbound_source_id: SourceIdInPath) -> InboundSource:
    """One source with its URL, and when its secrets end."""
    async with context.services.database.tenant(context.caller.organization_id) as session:
        return await _current(session, context, inbound_source_id, lock=False)


@router.patch(
    "/{inbound_source_id}",
    summary="Change an inbound source",
    **operation("inbound_sources_update", scope=WRITE, errors=(413, 415), if_match=True),
)
async def update_source(
    context: Context, inbound_source_id: SourceIdInPath, body: InboundSourceUpdate
) -> InboundSource:
    """Only what is given is changed. The scheme stays: another sender gets another source."""
    service = context.services.inbound_sources
    async with context.services.database.tenant(context.caller.organization_id) as session:
        await match(context, lambda: _current(session, context, inbound_source_id, lock=True))
        row = await service.update(session, context.caller, inbound_source_id, body.changes())
        return InboundSource.of(row, service.url_of(row))


@router.delete(
    "/{inbound_source_id}",
    summary="Delete an inbound source",
    status_code=204,
    **operation("inbound_sources_delete", scope=WRITE, sudo=True, if_match=True),
)
async def delete_source(context: Context, inbound_source_id: SourceIdInPath) -> None:
    """Its URL answers 404 from then on, and the messages that came by it are gone."""
    async with context.services.database.tenant(context.caller.organization_id) as session:
        await match(context, lambda: _current(session, context, inbound_source_id, lock=True))
        await context.services.inbound_sources.delete(session, context.caller, inbound_source_id)


@router.post(
    "/{inbound_source_id}/rotate_secret",
    summary="Rotate an inbound source's secret",
    response_model=InboundSourceWithSecret,
    **operation("inbound_sources_rotate_secret", scope=WRITE, sudo=True, errors=(413, 415), idempotent=True),
)
async def rotate_secret(request: Request, inbound_source_id: SourceIdInPath, body: InboundSecretRotate) -> Response:
    """A new secret beside those before, which count for `overlap_seconds` more, so that the sender can change over
    without losing a message."""
    context = get_context(request)
    service = context.services.inbound_sources

    async def work(session: AsyncSession) -> InboundSourceWithSecret:
        row, secret = await service.rotate_secret(
            session,
            context.caller,
            inbound_source_id,
            secret=body.secret,
            overlap=timedelta(seconds=body.overlap_seconds),
        )
        return InboundSourceWithSecret.of(row, service.url_of(row), secret)

    return await answer_once(request, work, redact=("secret",))
