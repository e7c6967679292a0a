"""Connect, change, test, pause and delete mailboxes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from uuid import UUID

import strawberry
from sqlalchemy.ext.asyncio import AsyncSession

from penguinmails_core import models
from penguinmails_core.errors import FieldError
from penguinmails_core.kit import ids
from penguinmails_core.kit.doorbell import EVENTS
from penguinmails_core.kit.ids import Prefix
from penguinmails_core.mailboxes import rules
from penguinmails_core.mailboxes.importing import Row, import_row
from penguinmails_core.mailboxes.records import Check, Connection
from penguinmails_core.principal import Principal
from penguinmails_core.scopes import Scope
from penguinmails_graphql.context import Info, caller_of, fresh_caller_of
from penguinmails_graphql.mailboxes.inputs import CreateMailboxInput, MailboxRowInput, UpdateMailboxInput
from penguinmails_graphql.mailboxes.types import MailboxAccount, MailboxCheck
from penguinmails_graphql.once import IdempotencyKey, once
from penguinmails_graphql.relay import DeletedPayload, uuid_of

WRITE = Scope.MAILBOXES_WRITE


@strawberry.type
class MailboxPayload:
    mailbox: MailboxAccount


@strawberry.type
class MailboxTestPayload:
    ok: bool
    checks: list[MailboxCheck]
    mailbox: MailboxAccount


@strawberry.type
class MailboxImportFault:
    pointer: str
    code: str
    detail: str


@strawberry.type(description="What became of one row.")
class MailboxImportRow:
    index: int
    mailbox: MailboxAccount | None
    errors: list[MailboxImportFault]


@strawberry.type
class MailboxImportPayload:
    created: int
    failed: int
    rows: list[MailboxImportRow]


@strawberry.type
class MailboxesMutation:
    @strawberry.mutation(description="Signs in by SMTP and IMAP first, and says what is wrong when that does not work.")
    async def create_mailbox(
        self, info: Info, input: CreateMailboxInput, idempotency_key: IdempotencyKey = None
    ) -> MailboxPayload | None:
        caller, service = caller_of(info, WRITE), info.context.services.mailboxes
        asked = input.asked()
        connection = service.connection_of_new(asked)
        checks = await _try(info, caller, connection) if input.verify else None

        async def work(session: AsyncSession) -> models.Mailbox:
            return await service.create(session, caller, asked, checks)

        async def load(session: AsyncSession, name: str) -> models.Mailbox:
            return await service.get(session, caller, ids.decode(Prefix.MAILBOX, name))

        marked = asked | {"verify": input.verify}
        row = await once(info.context, "createMailbox", idempotency_key, marked, work, EVENTS, name=_name_of, load=load)
        return MailboxPayload(mailbox=MailboxAccount.of(row))

    @strawberry.mutation(description="New servers or secrets are tried first, like those of a new mailbox.")
    async def update_mailbox(self, info: Info, input: UpdateMailboxInput) -> MailboxPayload | None:
        caller, service = await fresh_caller_of(info, WRITE), info.context.services.mailboxes
        mailbox_id, changes = uuid_of(Prefix.MAILBOX, input.id, "mailbox"), input.changes()

        async def current(session: AsyncSession) -> Connection | None:
            return service.connection_of(await service.get(session, caller, mailbox_id), changes)

        connection = await info.context.read(current)
        await info.context.end_reads()
        checks = await _try(info, caller, connection) if connection is not None and input.verify else None

        async def work(session: AsyncSession) -> models.Mailbox:
            return await service.update(session, caller, mailbox_id, changes, checks)

        return MailboxPayload(mailbox=MailboxAccount.of(await info.context.write(work, EVENTS)))

    @strawberry.mutation(description="With its secrets. Mail and settings at the provider stay as they are.")
    async def delete_mailbox(self, info: Info, id: strawberry.ID) -> DeletedPayload | None:
        caller = await fresh_caller_of(info, WRITE)
        mailbox_id = uuid_of(Prefix.MAILBOX, id, "mailbox")

        async def work(session: AsyncSession) -> None:
            await info.context.services.mailboxes.delete(session, caller, mailbox_id)

        await info.context.write(work, EVENTS)
        return DeletedPayload(id=id)

    @strawberry.mutation(description="Signs in now and says what works and what does not.")
    async def test_mailbox(
        self, info: Info, id: strawberry.ID, idempotency_key: IdempotencyKey = None
    ) -> MailboxTestPayload | None:
        caller, service = caller_of(info, WRITE), info.context.services.mailboxes
        await info.context.admit("mailboxes_test")
        mailbox_id = uuid_of(Prefix.MAILBOX, id, "mailbox")

        async def current(session: AsyncSession) -> Connection:
            connection = service.connection_of(await service.get(session, caller, mailbox_id))
            assert connection is not None
            return connection

        connection = await info.context.read(current)
        await info.context.end_reads()  # no transaction is open while servers are called
        checks = await _try(info, caller, connection)

        async def work(session: AsyncSession) -> models.Mailbox:
            return await service.record_checks(session, caller, mailbox_id, checks)

        async def load(session: AsyncSession, _: str) -> models.Mailbox:
            return await service.get(session, caller, mailbox_id)

        row = await once(
            info.context, "testMailbox", idempotency_key, {"id": str(id)}, work, EVENTS, name=_name_of, load=load
        )
        found = [MailboxCheck.of(check) for check in checks]
        return MailboxTestPayload(ok=all(check.ok for check in checks), checks=found, mailbox=MailboxAccount.of(row))

    @strawberry.mutation(description="Nothing is sent from it until it is resumed.")
    async def pause_mailbox(
        self, info: Info, id: strawberry.ID, idempotency_key: IdempotencyKey = None
    ) -> MailboxPayload | None:
        return await _turn(info, "pauseMailbox", id, idempotency_key, info.context.services.mailboxes.pause)

    @strawberry.mutation(description="What waited goes on within caps and gaps, not all at once.")
    async def resume_mailbox(
        self, info: Info, id: strawberry.ID, idempotency_key: IdempotencyKey = None
    ) -> MailboxPayload | None:
        return await _turn(info, "resumeMailbox", id, idempotency_key, info.context.services.mailboxes.resume)

    @strawberry.mutation(description="Up to 500; each is kept or refused for itself, and disconnected until tested.")
    async def import_mailboxes(self, info: Info, mailboxes: list[MailboxRowInput]) -> MailboxImportPayload | None:
        caller, service = caller_of(info, WRITE), info.context.services.mailboxes
        if len(mailboxes) > rules.MAX_IMPORT:
            detail = f"An import has at most {rules.MAX_IMPORT} rows."
            rules.refuse([FieldError("/mailboxes", "too_many", detail)])
        asked = [row.asked() for row in mailboxes]

        async def work(session: AsyncSession) -> list[Row]:
            return [await import_row(session, caller, service, number, row) for number, row in enumerate(asked)]

        rows = [_shown(row) for row in await info.context.write(work, EVENTS)]
        made = sum(row.mailbox is not None for row in rows)
        return MailboxImportPayload(created=made, failed=len(rows) - made, rows=rows)


async def _try(info: Info, caller: Principal, connection: Connection) -> list[Check]:
    """Test mode calls nobody."""
    if caller.mode != "live":
        return [Check("smtp")] if connection.imap is None else [Check("smtp"), Check("imap")]
    return list(await info.context.services.mailbox_prober.check(connection))


async def _turn(
    info: Info,
    mutation: str,
    id: strawberry.ID,
    key: str | None,
    change: Callable[[AsyncSession, Principal, UUID], Awaitable[models.Mailbox]],
) -> MailboxPayload:
    caller, service = caller_of(info, WRITE), info.context.services.mailboxes
    mailbox_id = uuid_of(Prefix.MAILBOX, id, "mailbox")

    async def work(session: AsyncSession) -> models.Mailbox:
        return await change(session, caller, mailbox_id)

    async def load(session: AsyncSession, _: str) -> models.Mailbox:
        return await service.get(session, caller, mailbox_id)

    row = await once(info.context, mutation, key, {"id": str(id)}, work, EVENTS, name=_name_of, load=load)
    return MailboxPayload(mailbox=MailboxAccount.of(row))


def _shown(row: Row) -> MailboxImportRow:
    return MailboxImportRow(
        index=row.number,
        mailbox=MailboxAccount.of(row.mailbox) if row.mailbox is not None else None,
        errors=[MailboxImportFault(pointer=e.pointer, code=e.code, detail=e.detail) for e in row.errors],
    )


def _name_of(row: models.Mailbox) -> str:
    return ids.encode(Prefix.MAILBOX, row.id)
