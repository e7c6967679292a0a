"""How sending is documented. The gateway answers these two routes itself (`send.py`), so these functions never run;
they are here because FastAPI makes the specification from the same models that `send.py` validates with."""

from typing import Annotated, NoReturn

from fastapi import APIRouter, Query

from penguinmails_api.routing import operation
from penguinmails_api.v1.emails.send_schemas import (
    EmailAccepted,
    EmailBatchAccepted,
    EmailBatchCreate,
    EmailBatchPartial,
    EmailCreate,
)
from penguinmails_core.scopes import Scope

router = APIRouter(prefix="/v1/emails", tags=["emails"])


@router.post(
    "",
    summary="Send an email",
    status_code=202,
    response_model=EmailAccepted,
    response_description="The message is on disk and will be sent.",
    # Ruby objects have a `send` of their own.
    **operation(
        "emails_send",
        scope=Scope.EMAILS_WRITE,
        errors=(413, 415),
        idempotent=True,
        extra={"x-sdk-name": {"ruby": "deliver"}},
    ),
)
async def send_email(body: EmailCreate) -> NoReturn:
    """Accept one message for up to 50 recipients. 202 means that it is stored safely: it will be sent, now or at
    `scheduled_at`, whatever happens to the server. Follow it with webhooks, the event log or `GET /v1/emails/{id}`."""
    raise NotImplementedError("the gateway answers this")


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
    raise NotImplementedError("the gateway answers this")
