"""`/v1/mailboxes`: people's own mailboxes, tried by signing in before anything is sent from them."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from sqlalchemy.ext.asyncio import AsyncSession

from penguinmails_api.context import RequestContext
from penguinmails_api.conventions.etags import match
from penguinmails_api.idempotency import answer_once
from penguinmails_api.rate_limits.special import limit
from penguinmails_api.routing import Context, get_context, operation
from penguinmails_api.v1.mailboxes.importing import import_all, rows_of
from penguinmails_api.v1.mailboxes.schemas import (
    MailboxAccount,
    MailboxCheck,
    MailboxCreate,
    MailboxIdInPath,
    MailboxImport,
    MailboxImportResult,
    MailboxList,
    MailboxListQuery,
    MailboxTest,
    MailboxUpdate,
)
from penguinmails_core.kit.addresses import AddressError, parse_address
from penguinmails_core.kit.doorbell import EVENTS
from penguinmails_core.mailboxes.records import Check, Connection
from penguinmails_core.scopes import Scope

router = APIRouter(prefix="/v1/mailboxes", tags=["mailboxes"])
READ, WRITE = Scope.MAILBOXES_READ, Scope.MAILBOXES_WRITE


async def _try(context: RequestContext, connection: Connection) -> list[Check]:
    """What comes of signing in; no transaction is open meanwhile. A rehearsal and test mode call nobody."""
    if context.options.dry_run or context.caller.mode != "live":
        return [Check("smtp")] if connection.imap is None else [Check("smtp"), Check("imap")]
    return list(await context.services.mailbox_prober.check(connection))


@router.post(
    "",
    summary="Connect a mailbox",
    status_code=201,
    response_model=MailboxAccount,
    **operation("mailboxes_create", scope=WRITE, errors=(413, 415), idempotent=True),
)
async def create_mailbox(request: Request, body: MailboxCreate) -> Response:
    """Signs in by SMTP and IMAP first (`verify`), and says what is wrong when that does not work. Passwords and tokens
    are sealed and never shown again."""
    context = get_context(request)
    service, asked = context.services.mailboxes, body.asked()
    checks = await _try(context, service.connection_of_new(asked)) if body.verify else None

    async def work(session: AsyncSession) -> MailboxAccount:
        return MailboxAccount.of(await service.create(session, context.caller, asked, checks))

    return await answer_once(request, work, status=201, ring=(EVENTS,))


@router.get("", summary="List mailboxes", **operation("mailboxes_list", scope=READ, paginated=True))
async def list_mailboxes(context: Context, query: Annotated[MailboxListQuery, Query()]) -> MailboxList:
    """The newest first. A key that may send from certain mailboxes only sees those."""
    caller, address = context.caller, query.address
    if address is not None:
        try:
            address = parse_address(address).canonical
        except AddressError:
            address = ""  # of no mailbox
    async with context.services.database.tenant(caller.organization_id) as session:
        page = await context.services.mailboxes.list_mailboxes(
            session,
            caller.inside(query.workspace_id),
            statuses=[str(status) for status in query.status],
            address=address,
            **query.place(),
        )
    return MailboxList.of(*page, backwards=query.backwards)


@router.post(
    "/import",
    summary="Import mailboxes",
    response_model=MailboxImportResult,
    **operation("mailboxes_import_many", scope=WRITE, errors=(413, 415), idempotent=True),
)
async def import_mailboxes(request: Request, body: MailboxImport) -> Response:
    """Up to 500 rows, as JSON or CSV. Each row is kept or refused for itself; nothing is called, so the mailboxes are
    `disconnected` until they are tested."""
    context = get_context(request)
    rows, service = rows_of(body), context.services.mailboxes

    async def work(session: AsyncSession) -> MailboxImportResult:
        return await import_all(session, context.caller, service, rows)

    return await answer_once(request, work, ring=(EVENTS,))


@router.get("/{mailbox_id}", summary="Get a mailbox", **operation("mailboxes_get", scope=READ))
async def get_mailbox(context: Context, mailbox_id: MailboxIdInPath) -> MailboxAccount:
    """One mailbox: its status, caps, and why signing in does not work when it does not."""
    async with context.services.database.tenant(context.caller.organization_id) as session:
        return await _current(session, context, mailbox_id, lock=False)


async def _current(
    session: AsyncSession, context: RequestContext, mailbox_id: UUID, *, lock: bool = True
) -> MailboxAccount:
    """As GET shows it; with `lock`, nobody else changes it meanwhile."""
    return MailboxAccount.of(await context.services.mailboxes.get(session, context.caller, mailbox_id, lock=lock))


@router.patch(
    "/{mailbox_id}",
    summary="Change a mailbox",
    **operation("mailboxes_update", scope=WRITE, sudo=True, errors=(413, 415), if_match=True),
)
async def update_mailbox(context: Context, mailbox_id: MailboxIdInPath, body: MailboxUpdate) -> MailboxAccount:
    """Only what is given is changed. New servers or secrets are tried first, like those of a new mailbox."""
    service, caller, changes = context.services.mailboxes, context.caller, body.changes()
    database = context.services.database
    async with database.tenant(caller.organization_id) as session:
        connection = service.connection_of(await service.get(session, caller, mailbox_id), changes)
    checks = await _try(context, connection) if connection is not None and body.tried else None
    async with database.tenant(caller.organization_id) as session:
        await match(context, lambda: _current(session, context, mailbox_id))
        return MailboxAccount.of(await service.update(session, caller, mailbox_id, changes, checks))


@router.delete(
    "/{mailbox_id}",
    summary="Delete a mailbox",
    status_code=204,
    **operation("mailboxes_delete", scope=WRITE, sudo=True, if_match=True),
)
async def delete_mailbox(context: Context, mailbox_id: MailboxIdInPath) -> None:
    """With its secrets. Mail and settings at the provider stay as they are."""
    async with context.services.database.tenant(context.caller.organization_id) as session:
        await match(context, lambda: _current(session, context, mailbox_id))
        await context.services.mailboxes.delete(session, context.caller, mailbox_id)


@router.post(
    "/{mailbox_id}/test",
    summary="Test a mailbox",
    response_model=MailboxTest,
    **operation("mailboxes_test", scope=WRITE, errors=(413, 415), idempotent=True),
)
@limit("30/minute", by="organization")
async def test_mailbox(request: Request, mailbox_id: MailboxIdInPath) -> Response:
    """Signs in by SMTP and IMAP now and says what works and what does not, each with a cause and a fix. The mailbox is
    `connected` or `disconnected` by it."""
    context = get_context(request)
    service, caller = context.services.mailboxes, context.caller
    async with context.services.database.tenant(caller.organization_id) as session:
        connection = service.connection_of(await service.get(session, caller, mailbox_id))
    assert connection is not None
    checks = await _try(context, connection)

    async def work(session: AsyncSession) -> MailboxTest:
        row = await service.record_checks(session, caller, mailbox_id, checks)
        found = [MailboxCheck.of(check) for check in checks]
        return MailboxTest(ok=all(check.ok for check in checks), checks=found, mailbox=MailboxAccount.of(row))

    return await answer_once(request, work, ring=(EVENTS,))


@router.post(
    "/{mailbox_id}/pause",
    summary="Pause a mailbox",
    response_model=MailboxAccount,
    **operation("mailboxes_pause", scope=WRITE, errors=(413, 415), idempotent=True),
)
async def pause_mailbox(request: Request, mailbox_id: MailboxIdInPath) -> Response:
    """Nothing is sent from it until it is resumed; what waits keeps waiting. Pausing again changes nothing."""
    context = get_context(request)

    async def work(session: AsyncSession) -> MailboxAccount:
        return MailboxAccount.of(await context.services.mailboxes.pause(session, context.caller, mailbox_id))

    return await answer_once(request, work, ring=(EVENTS,))


@router.post(
    "/{mailbox_id}/resume",
    summary="Resume a mailbox",
    response_model=MailboxAccount,
    **operation("mailboxes_resume", scope=WRITE, errors=(413, 415), idempotent=True),
)
async def resume_mailbox(request: Request, mailbox_id: MailboxIdInPath) -> Response:
    """What waited goes on within caps and gaps, not all at once. Resuming again changes nothing."""
    context = get_context(request)

    async def work(session: AsyncSession) -> MailboxAccount:
        return MailboxAccount.of(await context.services.mailboxes.resume(session, context.caller, mailbox_id))

    return await answer_once(request, work, ring=(EVENTS,))
