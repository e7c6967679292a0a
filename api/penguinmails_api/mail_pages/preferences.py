"""`/p/TOKEN`: what a person gets, list by list. As at `/u`, the link says who it is, and GET changes nothing."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from sqlalchemy.ext.asyncio import AsyncSession

from penguinmails_api.mail_pages.pages import MailRoute, masked, page, read_form, subscriber_of
from penguinmails_api.routing import get_context
from penguinmails_core.errors import NotFound
from penguinmails_core.kit.doorbell import EVENTS
from penguinmails_core.unsubscribes import repository, service
from penguinmails_core.unsubscribes.links import CAMPAIGNS, Subscriber

router = APIRouter(route_class=MailRoute, include_in_schema=False)


@router.api_route("/p/{token}", methods=["GET", "HEAD"])
async def show(request: Request, token: str) -> Response:
    context = get_context(request)
    subscriber = await subscriber_of(context, request, token)
    async with context.services.database.tenant(subscriber.organization_id) as session:
        return await _page(session, subscriber, "")


@router.post("/p/{token}")
async def save(request: Request, token: str) -> Response:
    """`step` is what the button says; without it nothing changes."""
    context = get_context(request)
    subscriber = await subscriber_of(context, request, token)
    form = await read_form(request)
    step = form.get("step", [""])[0]
    async with context.services.database.tenant(subscriber.organization_id) as session:
        await _sender(session, subscriber)
        if step == "save":
            await service.choose(session, subscriber, set(form.get("list", [])))
        elif step == "none":
            await service.leave_everything(session, subscriber)
        elif step == "again":
            await service.resubscribe(session, subscriber, CAMPAIGNS)
        answer = await _page(session, subscriber, "Saved. It takes effect at once." if step else "")
    context.services.doorbell.ring(EVENTS)
    return answer


async def _page(session: AsyncSession, subscriber: Subscriber, notice: str) -> Response:
    return page(
        "preferences.html",
        name=await _sender(session, subscriber),
        address=masked(subscriber.address),
        lists=await service.preferences(session, subscriber),
        out=await service.has_left(session, subscriber, CAMPAIGNS),
        notice=notice,
    )


async def _sender(session: AsyncSession, subscriber: Subscriber) -> str:
    name = await repository.sender_name(session, subscriber.organization_id)
    if name is None:
        raise NotFound("Whoever sent this message is no longer here, and can send you no more.")
    return name
