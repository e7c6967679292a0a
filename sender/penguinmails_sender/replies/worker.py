"""Reads the inboxes of mailboxes: one connection for each, held by one worker at a time, woken by IDLE (RFC 2177).

The cursor is (UIDVALIDITY, UID) and moves in the transaction that keeps the message, so a crash reads nothing twice and
passes over nothing. A folder that is seen for the first time, or was made anew, begins at its end: old mail of people
is not ours to read.
"""

from __future__ import annotations

import asyncio
import logging
import re
from contextlib import suppress
from datetime import timedelta
from typing import Any
from uuid import UUID

from penguinmails_core.inbox import repository
from penguinmails_core.inbox.service import Reply, keep
from penguinmails_core.kit.addresses import AddressError, canonical
from penguinmails_core.kit.clock import utcnow
from penguinmails_core.kit.crypto import CryptoError, SecretBox
from penguinmails_core.kit.db import Database
from penguinmails_core.kit.doorbell import EVENTS, Doorbell
from penguinmails_core.mailboxes import pace_repository
from penguinmails_core.mailboxes.oauth import OAuthFailed
from penguinmails_core.mailboxes.records import MailServer
from penguinmails_core.mailboxes.service import secret_context
from penguinmails_core.mailboxes.tokens import MailboxTokens
from penguinmails_sender.bounces import Kind, classify
from penguinmails_sender.mailboxes.causes import CannotSignIn
from penguinmails_sender.mailboxes.imap import Imap, ImapError
from penguinmails_sender.mailboxes.wire import Reach
from penguinmails_sender.replies.judging import judge
from penguinmails_sender.replies.reading import Answer, take_apart

log = logging.getLogger(__name__)

INBOX = "INBOX"
LEASE = timedelta(minutes=2)
MOST = 500  # mailboxes read by one process
_BATCH = 100  # UIDs asked for at a time
_IDLE = 60.0  # seconds: shorter than the 29 minutes of RFC 2177, to hold the lease and to see broken connections
_FIRST_WAIT, _LONGEST_WAIT = 5.0, 900.0
_AWAY = (CannotSignIn, ImapError, OAuthFailed, CryptoError)


class InboxReader:
    """`run` until cancelled. Several may run, in one process or many."""

    def __init__(
        self,
        database: Database,
        box: SecretBox,
        tokens: MailboxTokens,
        reach: Reach,
        doorbell: Doorbell,
        worker: str,
        *,
        look: float = 10.0,
    ) -> None:
        self._database = database
        self._box = box
        self._tokens = tokens
        self._reach = reach
        self._doorbell = doorbell
        self._worker = worker
        self._look = look
        self._open: dict[UUID, asyncio.Task[None]] = {}
        self._failures: dict[UUID, int] = {}

    async def run(self) -> None:
        try:
            while True:
                room = MOST - len(self._open)
                if room > 0:
                    try:
                        for row in await repository.hold(self._database.worker, INBOX, room, self._worker, LEASE):
                            self._start(row["organization_id"], row["mailbox_id"])
                    except Exception as error:
                        log.warning("inbox: no look this time (%s)", type(error).__name__)
                await asyncio.sleep(self._look)
        finally:
            tasks = list(self._open.values())
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _start(self, organization_id: UUID, mailbox_id: UUID) -> None:
        if mailbox_id in self._open:
            return
        task = asyncio.create_task(self._read(organization_id, mailbox_id), name="inbox")
        self._open[mailbox_id] = task
        task.add_done_callback(lambda _: self._open.pop(mailbox_id, None))

    async def _read(self, organization_id: UUID, mailbox_id: UUID) -> None:
        wait = 0.0
        try:
            await self._session(organization_id, mailbox_id)
            self._failures.pop(mailbox_id, None)
        except _AWAY as error:
            count = self._failures[mailbox_id] = self._failures.get(mailbox_id, 0) + 1
            wait = min(_FIRST_WAIT * 2.0 ** min(count - 1, 20), _LONGEST_WAIT)
            log.info("inbox: mailbox %s cannot be read (%s), again in %.0f s", mailbox_id, error, wait)
        except Exception:
            log.exception("inbox: reading mailbox %s failed", mailbox_id)
            wait = _LONGEST_WAIT
        finally:
            with suppress(Exception):
                await repository.release(self._database.worker, organization_id, mailbox_id, INBOX, self._worker, wait)

    async def _session(self, organization_id: UUID, mailbox_id: UUID) -> None:
        row = await pace_repository.read(self._database.worker, organization_id, mailbox_id)
        if row is None or row["imap_host"] is None:
            return
        token = await self._tokens.access(organization_id, mailbox_id) if row["auth"] == "oauth" else None
        session = await Imap.open(self._reach, self._server(row), token)
        try:
            uidvalidity = await self._select(session, row)
            while await repository.keep(self._database.worker, organization_id, mailbox_id, INBOX, self._worker, LEASE):
                await self._fetch(session, row, uidvalidity)
                self._failures.pop(mailbox_id, None)
                await _wait_for_mail(session)
        finally:
            session.drop()

    def _server(self, row: Any) -> MailServer:
        password = None
        if row["imap_password"] is not None:
            password = self._box.open(row["imap_password"], secret_context(row["id"], "imap")).decode()
        return MailServer(row["imap_host"], row["imap_port"], row["imap_tls"], row["imap_username"], password)

    async def _select(self, session: Imap, row: Any) -> int:
        """UIDVALIDITY of the folder; a new one begins at its end."""
        lines = b" ".join(line.text for line in await session.command(f"SELECT {INBOX}"))
        validity, following = (re.search(rb"\[%s (\d+)\]" % name, lines) for name in (b"UIDVALIDITY", b"UIDNEXT"))
        if validity is None or following is None:
            raise ImapError("SELECT", "no UIDVALIDITY or UIDNEXT")
        uidvalidity = int(validity[1])
        place = (row["organization_id"], row["id"], INBOX)
        found = await repository.cursor(self._database.worker, *place)
        if found is None or found["uidvalidity"] != uidvalidity:
            await repository.move_cursor(self._database.worker, *place, uidvalidity, int(following[1]) - 1)
        return uidvalidity

    async def _fetch(self, session: Imap, row: Any, uidvalidity: int) -> None:
        """All that is new, the oldest first."""
        while True:
            place = (row["organization_id"], row["id"], INBOX)
            last = (await repository.cursor(self._database.worker, *place))["last_uid"]
            lines = await session.command(f"UID SEARCH UID {last + 1}:*")
            text = b" ".join(line.text[8:] for line in lines if line.text.upper().startswith(b"* SEARCH"))
            fresh = sorted(uid for uid in map(int, text.split()) if uid > last)[
                :_BATCH
            ]  # `n:*` names the last one, too
            if not fresh:
                return
            for uid in fresh:
                raw = await _one(session, uid)
                await self._take(row, uidvalidity, uid, raw)

    async def _take(self, row: Any, uidvalidity: int, uid: int, raw: bytes | None) -> None:
        reply = self._reply_of(row, raw) if raw is not None else None
        kept = None
        async with self._database.worker.acquire() as connection, connection.transaction():
            if reply is not None:
                kept = await keep(connection, row, reply)
            await repository.move_cursor(connection, row["organization_id"], row["id"], INBOX, uidvalidity, uid)
        if kept is not None:
            self._doorbell.ring(EVENTS)

    def _reply_of(self, row: Any, raw: bytes) -> Reply | None:
        """None for what is no answer: our own copies, bounces, complaints."""
        now = utcnow()
        answer = take_apart(raw, now)
        if _own(row, answer) or any(finding.kind in (Kind.BOUNCE, Kind.FEEDBACK) for finding in classify(raw)):
            return None
        verdict = judge(answer, now)
        return Reply(
            message_id=answer.message_id,
            references=answer.references,
            from_address=answer.from_address,
            from_name=answer.from_name,
            subject=answer.subject,
            text=answer.text,
            reply=answer.reply,
            reply_class=verdict.reply_class,
            confidence=verdict.confidence,
            rule=verdict.rule,
            automatic=answer.automatic,
            returns_at=verdict.returns_at,
            received_at=answer.received_at,
        )


def _own(row: Any, answer: Answer) -> bool:
    """A copy of what the mailbox's owner wrote is no answer of the other side."""
    try:
        sender = canonical(answer.from_address)
    except AddressError:
        return False
    return sender in (row["address_key"], *(alias.lower() for alias in row["aliases"]))


async def _one(session: Imap, uid: int) -> bytes | None:
    """The message, None when it is gone meanwhile. It is not marked as read: that is its owner's."""
    lines = await session.command(f"UID FETCH {uid} (UID BODY.PEEK[])", shown="FETCH")
    return next((line.literals[0] for line in lines if line.literals), None)


async def _wait_for_mail(session: Imap) -> None:
    """Until the server tells of something, or a minute is over. Without IDLE, a minute."""
    if "IDLE" not in session.capabilities:
        await asyncio.sleep(_IDLE)
        await session.command("NOOP")
        return
    tag = await session.send("IDLE")
    told = False
    try:
        async with asyncio.timeout(_IDLE):
            while not told:
                line = (await session.read(_IDLE * 2)).text
                told = line.upper().endswith((b" EXISTS", b" RECENT"))
                if line.startswith(tag + b" "):
                    raise ImapError("IDLE", "refused")
    except TimeoutError:
        pass
    await session.continue_with("DONE")
    while not (await session.read()).text.startswith(tag + b" "):
        pass
