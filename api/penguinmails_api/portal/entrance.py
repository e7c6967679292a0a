"""`/portal/l/…`: from a link to a session. Nothing is changed by it, however often a mail scanner follows the link."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from penguinmails_api.portal import sessions
from penguinmails_api.portal.pages import PortalRoute, box_of
from penguinmails_api.routing import get_context
from penguinmails_core.errors import PortalLinkEnded
from penguinmails_core.webhook_portal import repository, service

router = APIRouter(route_class=PortalRoute, include_in_schema=False)


@router.get("/portal/l/{token}")
async def open_link(request: Request, token: str) -> Response:
    context = get_context(request)
    box, database = box_of(context), context.services.database
    organization_id, link_id = await service.find(database.ingest, token)
    async with database.tenant(organization_id) as session:
        link = await repository.read(session, organization_id, link_id)
        if link is None:
            raise PortalLinkEnded()
        session.expunge(link)  # it is read after a rollback too
        request.state.portal_link = link
        await service.enter(session, link)
    location = f"/portal/s/{sessions.issue(box, organization_id, link_id)}"
    return Response(status_code=303, headers={"Location": location, "Referrer-Policy": "no-referrer"})
