"""An engine with real neighbours: PostgreSQL, the acceptor, the content tier and an SMTP server that keeps its mail."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from email import message_from_bytes
from typing import Any
from uuid import UUID

import asyncpg

from penguinmails_core.config import ContentSettings, SenderSettings
from penguinmails_core.content.service import ContentService
from penguinmails_core.domains.service import create_domain
from penguinmails_core.emails.accept import Acceptor, MessageRows
from penguinmails_core.kit.crypto import SecretBox
from penguinmails_core.kit.db import Database
from penguinmails_core.kit.dns import Resolver
from penguinmails_core.kit.doorbell import MAIL, Doorbell
from penguinmails_core.sending import claim_repository
from penguinmails_sender.engine.engine import SenderEngine
from penguinmails_sender.engine.personal import Personalizer
from penguinmails_sender.lanes.book import Limits
from penguinmails_sender.mailboxes.sending import MailboxSender
from penguinmails_sender.smtpd.received import Received
from penguinmails_sender.smtpd.server import SmtpServer
from penguinmails_sender.transports import Envelope, RecipientResult, SimulatedTransport, SmtpTransport, Transport
from tests.fixtures.factories import Tenant, make_tenant
from tests.fixtures.mail import draft, request_of

BOX = SecretBox([b"k" * 32])
DOMAIN = "acme.test"


class Inbox:
    """What arrived, over real SMTP. `answer` decides what is said after the final dot (None: 250)."""

    def __init__(self) -> None:
        self.received: list[Received] = []
        self.answer: Callable[[Received], str | None] = lambda _: None
        self.refuse: Callable[[str], str | None] = lambda _: None
        self.server = SmtpServer(self._take, recipient_reply=lambda address: self.refuse(address))

    def _take(self, message: Received) -> str | None:
        answer = self.answer(message)
        if answer is None:
            self.received.append(message)
        return answer

    def message_ids(self) -> Counter[str]:
        return Counter(str(message_from_bytes(message.raw)["Message-ID"]) for message in self.received)


class NoTransport:
    """Stands where nothing may be sent; a call is a failure of the test."""

    final = True

    async def deliver(self, envelope: Envelope) -> list[RecipientResult]:
        raise AssertionError(f"a socket would have been opened for {envelope.recipients}")

    async def aclose(self) -> None:
        return None


class Gate:
    """Delegates once `open` is set, so that a test can act while SMTP is under way. `entered` counts envelopes."""

    def __init__(self, transport: Transport) -> None:
        self.transport = transport
        self.open = asyncio.Event()
        self.entered = asyncio.Semaphore(0)
        self.envelopes: list[Envelope] = []

    @property
    def final(self) -> bool:
        return self.transport.final

    async def deliver(self, envelope: Envelope) -> list[RecipientResult]:
        self.envelopes.append(envelope)
        self.entered.release()
        await self.open.wait()
        return await self.transport.deliver(envelope)

    async def aclose(self) -> None:
        return None


@dataclass(slots=True)
class World:
    database: Database
    content: ContentService
    tenant: Tenant
    inbox: Inbox
    smtp: SmtpTransport
    bell: Doorbell = field(default_factory=Doorbell)

    def engine(
        self,
        *,
        live: Transport | None = None,
        name: str = "one",
        personal: Personalizer | None = None,
        mailboxes: MailboxSender | None = None,
        resolver: Resolver | None = None,
        limits: Limits | None = None,
        **settings: Any,
    ) -> SenderEngine:
        transports: dict[str, Transport] = {"live": live or self.smtp, "test": SimulatedTransport()}
        options = SenderSettings(_env_file=None, **{"poll": timedelta(milliseconds=50), **settings})
        return SenderEngine(
            self.database,
            self.content,
            transports,
            BOX,
            self.bell,
            options,
            name,
            resolver=resolver,
            limits=limits,
            personal=personal,
            mailboxes=mailboxes,
        )

    async def claim(
        self, connection: Any, lane: str, attempt_ids: list[UUID], worker: str, lease: timedelta
    ) -> list[Any]:
        """What an engine claims from one queue of the tenant."""
        portion = claim_repository.Portion(lane, self.tenant.id, len(attempt_ids))
        return await claim_repository.claim(connection, [portion], attempt_ids, worker, lease)

    @asynccontextmanager
    async def running(self, *engines: SenderEngine) -> AsyncIterator[None]:
        tasks = [asyncio.create_task(engine.run()) for engine in engines]
        try:
            yield
        finally:
            for engine in engines:
                await engine.stop()
            for task in tasks:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task

    async def accept(self, *, mode: str = "live", count: int = 1, **fields: Any) -> list[UUID]:
        """Accept `count` messages the way the API does; returns their ids."""
        caller = self.tenant.principal(mode)
        drafts = [draft(caller, **fields) for _ in range(count)]
        await self._commit([item.rows for item in drafts])
        return [item.id for item in drafts]

    async def accept_to(self, addresses: Iterable[str], **fields: Any) -> list[UUID]:
        """One message for each address."""
        caller = self.tenant.principal()
        drafts = [draft(caller, to=[address], **fields) for address in addresses]
        await self._commit([item.rows for item in drafts])
        return [item.id for item in drafts]

    async def _commit(self, rows: list[MessageRows]) -> None:
        acceptor = Acceptor(self.database.ingest, self.content)
        for start in range(0, len(rows), 500):
            await acceptor.accept(request_of(self.tenant.principal(), rows[start : start + 500]))
        self.bell.ring(MAIL)

    # ------------------------------------------------------------------ what is on disk

    async def rows(self, query: str, *arguments: Any) -> list[Any]:
        return list(await self.database.worker.fetch(query, *arguments))

    async def run_sql(self, query: str, *arguments: Any) -> None:
        await self.database.worker.execute(query, *arguments)

    async def recipients(self) -> list[Any]:
        return await self.rows("select * from email_recipients order by id")

    async def recipient(self) -> Any:
        [row] = await self.recipients()
        return row

    async def attempts(self) -> list[Any]:
        return await self.rows("select * from email_attempts order by recipient_id, number")

    async def events(self) -> list[Any]:
        return await self.rows("select * from events order by resource_id, sequence")

    async def story(self) -> list[str]:
        """The one recipient's events by sequence, which must have no gap and no double."""
        rows = await self.events()
        assert [row["sequence"] for row in rows] == list(range(1, len(rows) + 1)), [dict(row) for row in rows]
        assert (await self.recipient())["event_sequence"] == len(rows)
        return [row["type"].removeprefix("email.") for row in rows]

    async def hurry(self) -> None:
        """Let everything that waits be due."""
        await self.run_sql("update email_recipients set due_at = now() - interval '1 second' where due_at is not null")

    async def expire_leases(self) -> None:
        """As if the lease of every open attempt had run out."""
        await self.run_sql("update email_attempts set lease_until = now() - interval '1 second'")

    async def until(self, query: str, *arguments: Any) -> Any:
        """Wait until `query` gives a true value."""
        for _ in range(1500):
            if value := await self.database.worker.fetchval(query, *arguments):
                return value
            await asyncio.sleep(0.02)
        raise AssertionError(f"never true: {query}")

    async def until_somebody_waits_for_a_lock(self) -> None:
        """Asked by the owner: the roles of the product do not see what other roles wait for."""
        owner = await asyncpg.connect(self.database.dsn)
        try:
            for _ in range(1500):
                query = (
                    "select count(*) from pg_stat_activity "
                    "where wait_event_type = 'Lock' and datname = current_database()"
                )
                if await owner.fetchval(query):
                    return
                await asyncio.sleep(0.02)
        finally:
            await owner.close()
        raise AssertionError("nobody waits for a lock")


@asynccontextmanager
async def open_world(database: Database) -> AsyncIterator[World]:
    inbox = Inbox()
    async with inbox.server:
        content = await ContentService.open(database, ContentSettings(_env_file=None))
        smtp = SmtpTransport("127.0.0.1", inbox.server.port, final=True, tls="off", max_connections=8)
        try:
            tenant = await make_tenant(database)
            await create_domain(database, BOX, tenant.id, tenant.workspace_id, DOMAIN, verified=True)
            yield World(database, content, tenant, inbox, smtp)
        finally:
            await smtp.aclose()
            await content.close()
