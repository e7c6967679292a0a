"""`/u/TOKEN`: one click for mail programs (POST, RFC 8058), a page with one button for people (GET).

GET and HEAD change nothing: scanners follow every link of a message.
"""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from penguinmails_api.mail_pages.pages import MailRoute, masked, page, read_form, subscriber_of
from penguinmails_api.routing import get_context
from penguinmails_core.errors import NotFound
from penguinmails_core.kit.doorbell import EVENTS
from penguinmails_core.unsubscribes import repository, service
from penguinmails_core.unsubscribes.links import PREFERENCES_PATH, Subscriber

router = APIRouter(route_class=MailRoute, include_in_schema=False)


@router.api_route("/u/{token}", methods=["GET", "HEAD"])
async def show(request: Request, token: str) -> Response:
    context = get_context(request)
    subscriber = await subscriber_of(context, request, token)
    async with context.services.database.tenant(subscriber.organization_id) as session:
        name = await repository.sender_name(session, subscriber.organization_id)
        done = await service.is_unsubscribed(session, subscriber)
    return _answer(name, subscriber, token, "done" if done else "ask")


@router.post("/u/{token}")
async def act(request: Request, token: str) -> Response:
    """A mail program sends `List-Unsubscribe=One-Click`, as a form of either kind; our own page says which button.
    Whatever else comes is taken for the wish that the link is for: nobody must be refused their way out for the shape
    of a body."""
    context = get_context(request)
    subscriber = await subscriber_of(context, request, token)
    step = await _step(request)
    async with context.services.database.tenant(subscriber.organization_id) as session:
        name = await repository.sender_name(session, subscriber.organization_id)
        if name is None:
            raise NotFound("Whoever sent this message is no longer here, and can send you no more.")
        if step == "resubscribe":
            await service.resubscribe(session, subscriber)
        else:
            await service.unsubscribe(session, subscriber, "link" if step == "unsubscribe" else "one_click")
    context.services.doorbell.ring(EVENTS)
    return _answer(name, subscriber, token, "back" if step == "resubscribe" else "done")


def _answer(name: str | None, subscriber: Subscriber, token: str, state: str) -> Response:
    if name is None:
        raise NotFound("Whoever sent this message is no longer here, and can send you no more.")
    return page(
        "unsubscribe.html",
        name=name,
        address=masked(subscriber.address),
        list=subscriber.list,
        campaign=subscriber.campaign,
        preferences=PREFERENCES_PATH + token,
        state=state,
    )


async def _step(request: Request) -> str:
    """What our page's button says; empty for a mail program."""
    return (await read_form(request)).get("step", [""])[0]
