"""What changes with one click, and what is confirmed first. A page that asks changes nothing: only its form does."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response

from penguinmails_api.portal.endpoints import endpoint_id
from penguinmails_api.portal.pages import PortalRoute, read_form, visiting
from penguinmails_api.rate_limits.special import limit
from penguinmails_core.kit.doorbell import WEBHOOKS

router = APIRouter(route_class=PortalRoute, include_in_schema=False)

_ROTATE = {
    "heading": "Rotate the signing secret",
    "texts": (
        "You get a new secret, shown once. For 24 hours every request carries a signature with each of the two, so "
        "that you can change over without losing one.",
    ),
    "button": "Rotate secret",
    "style": "primary",
}
_DELETE = {
    "heading": "Delete this endpoint",
    "texts": (
        "Nothing more is sent to it, and what waits is cancelled. Its history goes with it.",
        "To stop for a while only, disable it instead: then what was missed can be replayed.",
    ),
    "button": "Delete endpoint",
    "style": "destroy",
}


async def _ask(request: Request, token: str, endpoint: str, action: str, words: dict[str, Any]) -> Response:
    async with visiting(request, token, write=True) as visitor:
        row = await visitor.endpoints.get(visitor.session, visitor.principal, endpoint_id(endpoint))
        here = f"{visitor.base}/endpoints/{endpoint}"
        return visitor.render("confirm.html", endpoint=row, back_to=here, action=f"{here}/{action}", **words)


@router.get("/portal/s/{token}/endpoints/{endpoint}/rotate")
async def ask_rotate(request: Request, token: str, endpoint: str) -> Response:
    return await _ask(request, token, endpoint, "rotate", _ROTATE)


@router.post("/portal/s/{token}/endpoints/{endpoint}/rotate")
@limit("20/minute", by="address")
async def rotate(request: Request, token: str, endpoint: str) -> Response:
    await read_form(request)
    async with visiting(request, token, write=True) as visitor:
        row, secret = await visitor.endpoints.rotate_secret(visitor.session, visitor.principal, endpoint_id(endpoint))
        return visitor.render("secret.html", heading="Your new secret", endpoint=row, secret=secret, overlap="24 hours")


@router.get("/portal/s/{token}/endpoints/{endpoint}/delete")
async def ask_delete(request: Request, token: str, endpoint: str) -> Response:
    return await _ask(request, token, endpoint, "delete", _DELETE)


@router.post("/portal/s/{token}/endpoints/{endpoint}/delete")
async def delete(request: Request, token: str, endpoint: str) -> Response:
    await read_form(request)
    async with visiting(request, token, write=True) as visitor:
        await visitor.endpoints.delete(visitor.session, visitor.principal, endpoint_id(endpoint))
        return visitor.go(notice="deleted")


@router.post("/portal/s/{token}/endpoints/{endpoint}/enable")
async def enable(request: Request, token: str, endpoint: str) -> Response:
    return await _switch(request, token, endpoint, "enabled")


@router.post("/portal/s/{token}/endpoints/{endpoint}/disable")
async def disable(request: Request, token: str, endpoint: str) -> Response:
    return await _switch(request, token, endpoint, "disabled")


async def _switch(request: Request, token: str, endpoint: str, status: str) -> Response:
    await read_form(request)
    async with visiting(request, token, write=True) as visitor:
        changes = {"status": status}
        await visitor.endpoints.update(visitor.session, visitor.principal, endpoint_id(endpoint), changes)
        return visitor.go(f"/endpoints/{endpoint}", notice=status)


@router.post("/portal/s/{token}/endpoints/{endpoint}/test")
@limit("30/minute", by="address")
async def send_test(request: Request, token: str, endpoint: str) -> Response:
    await read_form(request)
    async with visiting(request, token, write=True) as visitor:
        await visitor.endpoints.send_test(visitor.session, visitor.principal, endpoint_id(endpoint))
        visitor.ring(WEBHOOKS)
        return visitor.go(f"/endpoints/{endpoint}", notice="tested")
