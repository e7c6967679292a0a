"""`/v2/emails`: the services of version 1 in another shape. Cursors and ids are the same, so a client may change over
message by message."""

from typing import Annotated, NoReturn

from fastapi import APIRouter, Query, Request, Response
from sqlalchemy.ext.asyncio import AsyncSession

from penguinmails_api.idempotency import answer_once
from penguinmails_api.routing import Context, get_context, operation
from penguinmails_api.v1.emails.schemas import EmailIdInPath
from penguinmails_api.v2.emails.schemas import Email, EmailList, EmailListQuery
from penguinmails_api.v2.emails.send_schemas import (
    EmailAccepted,
    EmailBatchAccepted,
    EmailBatchCreate,
    EmailBatchPartial,
    EmailCreate,
)
from penguinmails_core.emails import service
from penguinmails_core.kit.doorbell import EVENTS
from penguinmails_core.scopes import Scope

router = APIRouter(prefix="/v2/emails", tags=["emails"])


@router.post(
    "",
    summary="Send an email",
    status_code=202,
    response_model=EmailAccepted,
    response_description="The message is on disk and will be sent.",
    **operation("emails_send", scope=Scope.EMAILS_WRITE, errors=(413, 415), idempotent=True),
)
async def send_email(body: EmailCreate) -> NoReturn:
    """Accept one message for up to 50 recipients. 202 means that it is stored safely: it will be sent, now or at
    `send_at`, whatever happens to the server."""
    raise NotImplementedError("the gateway answers this (send.py); it is here for the specification")


@router.post(
    "/batch",
    summary="Send many emails",
    status_code=202,
    response_model=EmailBatchAccepted,
    response_description="All messages are on disk and will be sent.",
    responses={207: {"model": EmailBatchPartial, "description": "With `partial=true`: each message's own result."}},
    **operation("emails_batch", scope=Scope.EMAILS_WRITE, errors=(413, 415), idempotent=True),
)
async def send_batch(
    body: EmailBatchCreate,
    partial: Annotated[
        bool, Query(description="Accept the good ones and say of each of the others what is wrong, as 207.")
    ] = False,
) -> NoReturn:
    """Accept up to 1,000 messages in one transaction: all of them or, when one is not usable, none (422 names the
    message and field). With `partial=true` each is judged on its own."""
    raise NotImplementedError("the gateway answers this (send.py)")


@router.get("", summary="List emails", **operation("emails_list", scope=Scope.EMAILS_READ, paginated=True))
async def list_emails(context: Context, query: Annotated[EmailListQuery, Query()]) -> EmailList:
    """Messages, the newest first, whichever version accepted them. All filters that are given must match."""
    caller = context.caller
    async with context.services.database.tenant(caller.organization_id) as session:
        page = await service.list_emails(session, caller.inside(query.workspace_id), query.to_filter(), **query.place())
    return EmailList.of(*page, backwards=query.backwards)


@router.get("/{email_id}", summary="Get an email", **operation("emails_get", scope=Scope.EMAILS_READ))
async def get_email(context: Context, email_id: EmailIdInPath) -> Email:
    """A message with what became of it for each recipient."""
    async with context.services.database.tenant(context.caller.organization_id) as session:
        return Email.of(await service.get_email(session, context.caller, email_id))


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
