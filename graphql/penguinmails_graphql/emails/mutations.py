"""Send, cancel, reschedule and retry messages."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, replace
from typing import Annotated
from uuid import UUID

import orjson
import strawberry
from sqlalchemy.ext.asyncio import AsyncSession

from penguinmails_core.emails import service
from penguinmails_core.emails.accept import AcceptRequest
from penguinmails_core.emails.compose import compose
from penguinmails_core.emails.draft import Draft
from penguinmails_core.errors import FieldError, Problem, Unprocessable
from penguinmails_core.idempotency.keys import parse_key
from penguinmails_core.kit import ids
from penguinmails_core.kit.clock import utcnow
from penguinmails_core.kit.doorbell import EVENTS, MAIL
from penguinmails_core.kit.ids import Prefix, new_uuid
from penguinmails_core.principal import Principal
from penguinmails_core.scopes import Scope
from penguinmails_core.templates.sending import TemplateFiller
from penguinmails_graphql.context import GraphContext, Info, caller_of
from penguinmails_graphql.emails.inputs import SendEmailInput
from penguinmails_graphql.emails.types import Email
from penguinmails_graphql.once import IdempotencyKey, mark_of, once
from penguinmails_graphql.relay import uuid_of
from penguinmails_graphql.scalars import DateTime
from penguinmails_graphql.templates.inputs import values_of

MAX_BATCH = 100  # as many as one answer may list; REST takes 1,000
MAX_CANCEL = 100

Change = Callable[[AsyncSession, Principal, UUID], Awaitable[service.Email]]


@strawberry.type(description="The message as it is now.")
class EmailPayload:
    email: Email


@strawberry.type(description="The accepted messages, in the order of the input.")
class SendEmailsPayload:
    emails: list[Email]


@strawberry.type(description="What became of one message of many.")
class CancelResult:
    id: strawberry.ID
    email: Email | None = strawberry.field(description="When it is cancelled now.")
    error: str | None = strawberry.field(description="Why it is not.")
    code: str | None = strawberry.field(description="The problem's code.")


@strawberry.type
class CancelEmailsPayload:
    results: list[CancelResult] = strawberry.field(description="In the order of the request.")


@strawberry.type
class EmailsMutation:
    @strawberry.mutation(description="Accept one message. When this answers, it is on disk and will be sent.")
    async def send_email(
        self,
        info: Info,
        input: SendEmailInput,
        idempotency_key: IdempotencyKey = None,
    ) -> EmailPayload | None:
        [email] = await _send(info, "sendEmail", [input], idempotency_key, lambda _: "")
        return EmailPayload(email=email)

    @strawberry.mutation(description=f"Accept up to {MAX_BATCH} messages in one transaction: all, or none.")
    async def send_emails(
        self, info: Info, inputs: list[SendEmailInput], idempotency_key: IdempotencyKey = None
    ) -> SendEmailsPayload | None:
        if not 1 <= len(inputs) <= MAX_BATCH:
            detail = f"`inputs` must hold 1 to {MAX_BATCH} messages; it holds {len(inputs)}."
            raise Unprocessable(detail, errors=[FieldError("/inputs", "out_of_range", detail)])
        emails = await _send(info, "sendEmails", inputs, idempotency_key, lambda index: f"/inputs/{index}")
        return SendEmailsPayload(emails=emails)

    @strawberry.mutation(description="Stop every recipient that was not handed over yet.")
    async def cancel_email(
        self,
        info: Info,
        id: strawberry.ID,
        idempotency_key: IdempotencyKey = None,
    ) -> EmailPayload | None:
        return await _change(info, "cancelEmail", id, idempotency_key, service.cancel_email, EVENTS)

    @strawberry.mutation(
        description=f"Up to {MAX_CANCEL} at once: what is too late to stop does not keep others from being stopped. "
        "Doing it again changes nothing."
    )
    async def cancel_emails(self, info: Info, ids: list[strawberry.ID]) -> CancelEmailsPayload | None:
        caller = caller_of(info, Scope.EMAILS_WRITE)
        if not 1 <= len(ids) <= MAX_CANCEL:
            detail = f"`ids` must hold 1 to {MAX_CANCEL}; it holds {len(ids)}."
            raise Unprocessable(detail, errors=[FieldError("/ids", "out_of_range", detail)])

        async def one(session: AsyncSession, node_id: strawberry.ID) -> CancelResult:
            try:
                email_id = uuid_of(Prefix.EMAIL, node_id, "email")
                email = Email.of(await service.cancel_email(session, caller, email_id))
            except Problem as problem:
                return CancelResult(id=node_id, email=None, error=problem.detail, code=problem.code)
            return CancelResult(id=node_id, email=email, error=None, code=None)

        async def work(session: AsyncSession) -> dict[strawberry.ID, CancelResult]:
            # In one order for everybody, so that two of these cannot wait for each other.
            return {node_id: await one(session, node_id) for node_id in sorted(set(ids))}

        found = await info.context.write(work, EVENTS)
        return CancelEmailsPayload(results=[found[node_id] for node_id in ids])

    @strawberry.mutation(description="Make failed recipients due again.")
    async def retry_email(
        self,
        info: Info,
        id: strawberry.ID,
        idempotency_key: IdempotencyKey = None,
    ) -> EmailPayload | None:
        return await _change(info, "retryEmail", id, idempotency_key, service.retry_email, MAIL, EVENTS)

    @strawberry.mutation(description="Send at another time; possible while all recipients wait.")
    async def reschedule_email(
        self,
        info: Info,
        id: strawberry.ID,
        scheduled_at: Annotated[DateTime, strawberry.argument(description="A time that has passed means now.")],
    ) -> EmailPayload | None:
        async def change(session: AsyncSession, caller: Principal, email_id: UUID) -> service.Email:
            return await service.reschedule_email(session, caller, email_id, scheduled_at)

        return await _change(info, "rescheduleEmail", id, None, change, MAIL, EVENTS)


async def _change(
    info: Info, mutation: str, node_id: strawberry.ID, key: str | None, change: Change, *ring: str
) -> EmailPayload:
    caller = caller_of(info, Scope.EMAILS_WRITE)
    email_id = uuid_of(Prefix.EMAIL, node_id, "email")

    async def work(session: AsyncSession) -> service.Email:
        return await change(session, caller, email_id)

    async def load(session: AsyncSession, _: str) -> service.Email:
        return await service.get_email(session, caller, email_id)

    email = await once(
        info.context, mutation, key, {"id": str(node_id)}, work, *ring, name=lambda _: str(node_id), load=load
    )
    return EmailPayload(email=Email.of(email))


async def _send(
    info: Info,
    mutation: str,
    inputs: Sequence[SendEmailInput],
    key: str | None,
    base: Callable[[int], str],
) -> list[Email]:
    caller = caller_of(info, Scope.EMAILS_WRITE)
    drafts = await _drafts(info.context, caller, inputs, base)
    return await accept_drafts(info, mutation, drafts, key, [asdict(item) for item in inputs])


async def accept_drafts(
    info: Info, mutation: str, drafts: Sequence[Draft], key: str | None, asked: object
) -> list[Email]:
    """Once per key, and the messages as they are then. `asked`: what tells one request from another."""
    context = info.context
    caller = context.principal
    request = AcceptRequest(caller.organization_id, caller.id, [draft.rows for draft in drafts], new_uuid())
    if key is not None:
        request.key = parse_key(key.encode("utf-8", "surrogatepass"))
        request.fingerprint = mark_of(mutation, asked)
        request.status = 200
        request.response = orjson.dumps([draft.email_id for draft in drafts])
    verdict = await context.accept(request)
    wanted = [draft.id for draft in drafts]
    if not verdict.fresh:
        assert verdict.response is not None
        wanted = [ids.decode(Prefix.EMAIL, text) for text in orjson.loads(verdict.response)]
    await context.end_reads()

    async def work(session: AsyncSession) -> list[service.Email]:
        return await service.get_emails(session, caller, wanted)

    return [Email.of(email) for email in await context.read(work)]


async def _drafts(
    context: GraphContext, caller: Principal, inputs: Sequence[SendEmailInput], base: Callable[[int], str]
) -> list[Draft]:
    """Raises one problem for all messages that are not usable."""
    services, now = context.services, utcnow()
    filler = TemplateFiller(services.database, services.renderer, caller)
    drafts: list[Draft] = []
    problems: list[Problem] = []
    for index, item in enumerate(inputs):
        try:
            message = item.to_message()
            if item.template is not None:
                given = values_of(item.template.variables, "variables")
                filled = await filler.fill(message, item.template, given, base(index))
                message = replace(message, subject=filled.subject, html=filled.html, text=filled.text)
            through = str(item.mailbox_id) if item.mailbox_id is not None else None
            domains, limits = services.domains, services.draft_limits
            drafts.append(
                await compose(caller, message, domains, limits, now=now, base=base(index), mailbox_id=through)
            )
        except Problem as problem:
            problems.append(problem)
    if len(problems) == 1:
        raise problems[0]
    if problems:
        raise Unprocessable(
            f"Nothing was accepted: {len(problems)} of the messages need attention.",
            errors=[error for problem in problems for error in problem.errors],
        )
    return drafts
