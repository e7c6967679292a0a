"""`/v1/webhook_portal/links`: let your customers manage their own webhook endpoints."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from sqlalchemy.ext.asyncio import AsyncSession

from penguinmails_api.context import RequestContext
from penguinmails_api.conventions.etags import match
from penguinmails_api.idempotency import answer_once
from penguinmails_api.routing import Context, get_context, operation
from penguinmails_api.v1.webhook_endpoints.endpoints import service_of
from penguinmails_api.v1.webhook_portal.schemas import (
    LinkIdInPath,
    WebhookPortalLink,
    WebhookPortalLinkCreate,
    WebhookPortalLinkList,
    WebhookPortalLinkListQuery,
    WebhookPortalLinkWithUrl,
)
from penguinmails_core.scopes import Scope
from penguinmails_core.webhook_portal import service
from penguinmails_webhooks.portal import check_events, link_url

router = APIRouter(prefix="/v1/webhook_portal/links", tags=["webhook_portal"])
READ, WRITE = Scope.WEBHOOK_ENDPOINTS_READ, Scope.WEBHOOK_ENDPOINTS_WRITE


@router.post(
    "",
    summary="Create a portal link",
    status_code=201,
    response_model=WebhookPortalLinkWithUrl,
    **operation("webhook_portal_links_create", scope=WRITE, sudo=True, apps=False, errors=(413, 415), idempotent=True),
)
async def create_link(request: Request, body: WebhookPortalLinkCreate) -> Response:
    """A page where one of your customers adds webhook endpoints of their own, sees what was sent, replays it and
    rotates secrets. They see the endpoints with this `consumer`, in your mode, and nothing else. Their endpoints get
    the `events` that the link allows, of `workspace_id` or else of the whole organization. The link ends at
    `expires_at`, when it is revoked, and with the key that made it."""
    context = get_context(request)
    service_of(context)  # without keys for secrets there is no portal
    values = body.values()

    async def work(session: AsyncSession) -> WebhookPortalLinkWithUrl:
        link, token = await service.create(session, context.caller, values, check_events)
        return WebhookPortalLinkWithUrl.of(link, link_url(context.services.public.base, token))

    return await answer_once(request, work, status=201, redact=("url",))


@router.get("", summary="List portal links", **operation("webhook_portal_links_list", scope=READ, paginated=True))
async def list_links(context: Context, query: Annotated[WebhookPortalLinkListQuery, Query()]) -> WebhookPortalLinkList:
    """The newest first, ended ones too until 30 days after."""
    caller = context.caller
    async with context.services.database.tenant(caller.organization_id) as session:
        page = await service.list_links(session, caller, consumer=query.consumer, active=query.active, **query.place())
    return WebhookPortalLinkList.of(*page, backwards=query.backwards)


@router.get("/{portal_link_id}", summary="Get a portal link", **operation("webhook_portal_links_get", scope=READ))
async def get_link(context: Context, portal_link_id: LinkIdInPath) -> WebhookPortalLink:
    """One link, without its URL."""
    async with context.services.database.tenant(context.caller.organization_id) as session:
        return WebhookPortalLink.of(await service.get(session, context.caller, portal_link_id))


async def _current(session: AsyncSession, context: RequestContext, link_id: UUID) -> WebhookPortalLink:
    """As GET shows it, and nobody else changes it meanwhile."""
    return WebhookPortalLink.of(await service.get(session, context.caller, link_id, lock=True))


@router.delete(
    "/{portal_link_id}",
    summary="Revoke a portal link",
    status_code=204,
    **operation("webhook_portal_links_revoke", scope=WRITE, if_match=True),
)
async def revoke_link(context: Context, portal_link_id: LinkIdInPath) -> None:
    """The link opens nothing any more, and whoever came by it can do nothing more, at once."""
    async with context.services.database.tenant(context.caller.organization_id) as session:
        await match(context, lambda: _current(session, context, portal_link_id))
        await service.revoke(session, context.caller, portal_link_id)
