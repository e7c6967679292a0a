"""`/v1/emails`: what was accepted and what became of it. Sending is in `send.py`."""

from contextlib import suppress
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from sqlalchemy.ext.asyncio import AsyncSession

from penguinmails_api.conventions.etags import match
from penguinmails_api.idempotency import answer_once
from penguinmails_api.responses import problem_document
from penguinmails_api.routing import Context, get_context, operation
from penguinmails_api.v1.common import MAX_LIMIT, read_id
from penguinmails_api.v1.emails.content import load_content
from penguinmails_api.v1.emails.schemas import (
    Email,
    EmailCancelBatch,
    EmailCancelRequest,
    EmailCancelResult,
    EmailContent,
    EmailDetail,
    EmailIdInPath,
    EmailList,
    EmailListQuery,
    EmailUpdate,
)
from penguinmails_api.v1.events.endpoints import read_position
from penguinmails_api.v1.events.schemas import EmailEventListQuery, Event, EventList, render_event, render_events
from penguinmails_core.emails import service
from penguinmails_core.errors import NotFound, Problem
from penguinmails_core.events import service as events
from penguinmails_core.events.repository import EventFilter
from penguinmails_core.kit.doorbell import EVENTS, MAIL
from penguinmails_core.kit.ids import Prefix
from penguinmails_core.principal import Principal
from penguinmails_core.scopes import Scope

router = APIRouter(prefix="/v1/emails", tags=["emails"])


@router.get("", summary="List emails", **operation("emails_list", scope=Scope.EMAILS_READ, paginated=True))
async def list_emails(context: Context, query: Annotated[EmailListQuery, Query()]) -> EmailList:
    """Messages, the newest first. All filters that are given must match. `GET /v1/emails?status=failed` lists the dead
    letters; `POST /v1/emails/{email_id}/retry` sends one again."""
    caller = context.caller
    async with context.services.database.tenant(caller.organization_id) as session:
        inside = caller.inside(query.workspace_id)
        page = await service.list_emails(session, inside, query.to_filter(), **query.place())
    return EmailList.of(*page, backwards=query.backwards)


@router.get(
    "/{email_id}",
    summary="Get an email",
    **operation("emails_get", scope=Scope.EMAILS_READ, expand=("content", "events")),
)
async def get_email(context: Context, email_id: EmailIdInPath) -> EmailDetail:
    """A message with each recipient's status, attempts and last reply; on request with its content (null once it is no
    longer kept) and its first 100 events."""
    caller, wanted = context.caller, context.options.expand
    async with context.services.database.tenant(caller.organization_id) as session:
        email = await service.get_email(session, caller, email_id)
        rows = None
        if "events" in wanted:
            about = EventFilter(resource_ids=[recipient.id for recipient in email.recipients])
            rows, _ = await events.list_events(session, caller, about, after=None, limit=MAX_LIMIT)
    answer = EmailDetail.of(email)
    if rows is not None:
        answer.events = [Event.model_validate_json(render_event(row)) for row in rows]
    if "content" in wanted:
        with suppress(NotFound):
            answer.content = EmailContent.of(email_id, await load_content(context, email_id))
    return answer


async def _current(session: AsyncSession, caller: Principal, email_id: UUID) -> EmailDetail:
    """As GET shows it, and nobody else changes it meanwhile."""
    return EmailDetail.of(await service.get_email(session, caller, email_id, lock=True))


@router.patch(
    "/{email_id}",
    summary="Reschedule an email",
    **operation("emails_update", scope=Scope.EMAILS_WRITE, errors=(413, 415), if_match=True),
)
async def update_email(context: Context, email_id: EmailIdInPath, body: EmailUpdate) -> EmailDetail:
    """Send at another time. Possible while all recipients wait; after that 409 says how far it got."""
    caller = context.caller
    async with context.services.database.tenant(caller.organization_id) as session:
        await match(context, lambda: _current(session, caller, email_id))
        email = EmailDetail.of(await service.reschedule_email(session, caller, email_id, body.scheduled_at))
    context.services.doorbell.ring(MAIL, EVENTS)
    return email


@router.post(
    "/cancel",
    summary="Cancel many emails",
    status_code=207,
    response_model=EmailCancelBatch,
    response_description="Each email's own result.",
    **operation("emails_cancel_batch", scope=Scope.EMAILS_WRITE, errors=(413, 415), idempotent=True),
)
async def cancel_batch(request: Request, body: EmailCancelRequest) -> Response:
    """Up to 100 at once, each as `cancel` would: what is too late to stop does not keep the others from being
    stopped."""
    context = get_context(request)
    caller = context.caller

    async def one(session: AsyncSession, index: int) -> EmailCancelResult:
        try:
            email_id = read_id(Prefix.EMAIL, "email", body.ids[index])
            email = Email.of(await service.cancel_email(session, caller, email_id))
        except Problem as problem:
            document = problem_document(problem, context.request_id)
            return EmailCancelResult(index=index, status=problem.status, email=None, problem=document)
        return EmailCancelResult(index=index, status=200, email=email, problem=None)

    async def work(session: AsyncSession) -> EmailCancelBatch:
        # In one order for everybody, so that two of these cannot wait for each other.
        order = sorted(range(len(body.ids)), key=lambda index: body.ids[index])
        results = sorted([await one(session, index) for index in order], key=lambda result: result.index)
        done = sum(result.status == 200 for result in results)
        return EmailCancelBatch(data=results, cancelled=done, failed=len(results) - done)

    return await answer_once(request, work, status=207, ring=(EVENTS,))


@router.post(
    "/{email_id}/cancel",
    summary="Cancel an email",
    response_model=Email,
    **operation("emails_cancel", scope=Scope.EMAILS_WRITE, errors=(413, 415), idempotent=True),
)
async def cancel_email(request: Request, email_id: EmailIdInPath) -> Response:
    """Stop every recipient that was not handed over yet; 409 when nothing is left to stop."""
    caller = get_context(request).caller

    async def work(session: AsyncSession) -> Email:
        return Email.of(await service.cancel_email(session, caller, email_id))

    return await answer_once(request, work, ring=(EVENTS,))


@router.post(
    "/{email_id}/retry",
    summary="Retry a failed email",
    response_model=Email,
    **operation("emails_retry", scope=Scope.EMAILS_WRITE, errors=(413, 415), idempotent=True),
)
async def retry_email(request: Request, email_id: EmailIdInPath) -> Response:
    """Make recipients with status `failed` due again, with a new lifetime; 409 when there are none. Bounced recipients
    are not retried, nor campaign mail whose outcome is unknown."""
    caller = get_context(request).caller

    async def work(session: AsyncSession) -> Email:
        return Email.of(await service.retry_email(session, caller, email_id))

    return await answer_once(request, work, ring=(MAIL, EVENTS))


@router.get(
    "/{email_id}/content", summary="Get an email's content", **operation("emails_content", scope=Scope.EMAILS_READ)
)
async def get_content(context: Context, email_id: EmailIdInPath) -> EmailContent:
    """Bodies, own headers and the list of attachments. 404 once the content is no longer kept."""
    return EmailContent.of(email_id, await load_content(context, email_id))


@router.get(
    "/{email_id}/events",
    summary="List an email's events",
    response_model=EventList,
    **operation("emails_events", scope=Scope.EMAILS_READ, paginated=True),
)
async def list_email_events(
    context: Context, email_id: EmailIdInPath, query: Annotated[EmailEventListQuery, Query()]
) -> Response:
    """What happened to each recipient, the oldest first."""
    caller = context.caller
    async with context.services.database.tenant(caller.organization_id) as session:
        email = await service.get_email(session, caller, email_id)
        after = await read_position(session, caller, query.after)
        wanted = EventFilter(resource_ids=[recipient.id for recipient in email.recipients])
        page = await events.list_events(session, caller, wanted, after=after, limit=query.limit)
    return Response(render_events(*page), media_type="application/json")
