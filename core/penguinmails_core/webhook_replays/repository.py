"""SQL of replays as a caller sees them. The work itself has SQL of its own, in the webhook component."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from penguinmails_core.kit.pages import newest_first
from penguinmails_core.models import WebhookDelivery, WebhookEndpoint, WebhookReplay
from penguinmails_core.principal import Principal
from penguinmails_core.webhook_endpoints import repository as endpoints

ACTIVE = ("queued", "running")


def _visible(principal: Principal) -> list[ColumnElement[bool]]:
    conditions = [WebhookReplay.organization_id == principal.organization_id, WebhookReplay.mode == principal.mode]
    if principal.workspace_id is not None:
        conditions.append(WebhookReplay.workspace_id == principal.workspace_id)
    if principal.consumer is not None:
        conditions.append(
            WebhookReplay.endpoint_id.in_(select(WebhookEndpoint.id).where(*endpoints.visible(principal)))
        )
    return conditions


async def get(
    session: AsyncSession, principal: Principal, replay_id: UUID, *, lock: bool = False
) -> WebhookReplay | None:
    query = select(WebhookReplay).where(*_visible(principal), WebhookReplay.id == replay_id)
    return await session.scalar(query.with_for_update() if lock else query)


async def list_replays(
    session: AsyncSession,
    principal: Principal,
    endpoint_id: UUID | None,
    statuses: Sequence[str],
    *,
    limit: int,
    after: UUID | None,
    before: UUID | None,
) -> list[WebhookReplay]:
    """Up to `limit`, the newest first: those older than `after`, or the nearest newer than `before`."""
    query = select(WebhookReplay).where(*_visible(principal))
    if endpoint_id is not None:
        query = query.where(WebhookReplay.endpoint_id == endpoint_id)
    if statuses:
        query = query.where(WebhookReplay.status.in_(statuses))
    return await newest_first(session, query, WebhookReplay.id, limit, after, before)


async def active(
    session: AsyncSession, organization_id: UUID, endpoint_id: UUID, *, single: bool
) -> list[WebhookReplay]:
    """Those of an endpoint that have not ended: of single events, or of ranges."""
    query = select(WebhookReplay).where(
        WebhookReplay.organization_id == organization_id,
        WebhookReplay.endpoint_id == endpoint_id,
        WebhookReplay.status.in_(ACTIVE),
        WebhookReplay.selection.is_(None) if single else WebhookReplay.selection.is_not(None),
    )
    return list(await session.scalars(query))


async def outcomes(
    session: AsyncSession, organization_id: UUID, replay_ids: Sequence[UUID]
) -> dict[UUID, dict[str, int]]:
    """How many deliveries of each replay are in which status now."""
    query = (
        select(WebhookDelivery.replay_id, WebhookDelivery.status, func.count())
        .where(WebhookDelivery.organization_id == organization_id, WebhookDelivery.replay_id.in_(replay_ids))
        .group_by(WebhookDelivery.replay_id, WebhookDelivery.status)
    )
    found: dict[UUID, dict[str, int]] = {replay_id: {} for replay_id in replay_ids}
    for replay_id, status, count in await session.execute(query):
        if replay_id is not None:
            found[replay_id][status] = count
    return found
