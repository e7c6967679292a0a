"""Pages to read: the events that can be chosen, and how signatures are verified."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from penguinmails_api.portal import choices
from penguinmails_api.portal.pages import PortalRoute, visiting
from penguinmails_webhooks.verifiers import verifiers

router = APIRouter(route_class=PortalRoute, include_in_schema=False)


@router.get("/portal/s/{token}/events")
async def show_events(request: Request, token: str) -> Response:
    async with visiting(request, token) as visitor:
        return visitor.render("events.html", families=choices.offered(visitor.link.events, ()))


@router.get("/portal/s/{token}/verify")
async def show_verifiers(request: Request, token: str) -> Response:
    async with visiting(request, token) as visitor:
        return visitor.render("verify.html", verifiers=verifiers())
