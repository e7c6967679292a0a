"""A mail at the door: whose it is, what it says, what follows, in one transaction.

What proves nothing changes nothing: it is counted, kept for the operator to look at, and refused.
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import asyncpg

from penguinmails_core.bounces import repository
from penguinmails_core.kit.addresses import AddressError, canonical
from penguinmails_core.kit.db import AWAY, Connection, Pool
from penguinmails_core.kit.ids import new_uuid
from penguinmails_sender.bounces import Finding, Kind, classify
from penguinmails_sender.bounces.reading import Mail, read
from penguinmails_sender.intake import writing
from penguinmails_sender.intake.digest import digest
from penguinmails_sender.intake.rules import Circumstances, Effect, Ruling, rule
from penguinmails_sender.intake.verp import TOKEN_HEADER, Token, Verp, is_marked
from penguinmails_sender.intake.verp import Kind as TokenKind
from penguinmails_sender.smtpd.received import Received

log = logging.getLogger(__name__)

BUSY = "451 4.3.0 The report cannot be kept now; try again later"
REFUSED = "550 5.7.1 This address takes reports about our own mail only, and this one does not prove itself"
_MOST_FINDINGS = 100
_KEPT_A_MINUTE = 60  # refused mails that are kept; the others are counted only
_EXCERPT = 2000


@dataclass(frozen=True, slots=True)
class Report:
    """A mail that has been read. `token` is where it came to, or what it shows of our mail."""

    token: Token
    findings: Sequence[Finding | None]
    null_sender: bool
    digest: bytes
    reporter: str


class BounceIntake:
    """`take` is what a door calls. `changed` is called when there are new events. `counts`: what became of mails, by
    rule or by the cause of a refusal."""

    def __init__(self, pool: Pool, verp: Verp, changed: Callable[[], None] = lambda: None) -> None:
        self._pool = pool
        self._verp = verp
        self._changed = changed
        self.counts: Counter[str] = Counter()
        self._minute = (0, 0)

    async def take(self, received: Received) -> str | None:
        """The reply to give instead of 250: a refusal, or "later" when the database is away."""
        try:
            report = await asyncio.to_thread(self._read, received)
            if isinstance(report, str):
                return await self._refuse(received, report)
            return None if await self._apply(report) else await self._refuse(received, "message_gone")
        except (*AWAY, asyncpg.DeadlockDetectedError, asyncpg.SerializationError) as error:
            log.warning("intake: the database is away (%s)", type(error).__name__)
            return BUSY

    # ------------------------------------------------------------------ reading

    def _read(self, received: Received) -> Report | str:
        """The report, or why it proves nothing."""
        tokens = [self._verp.read_address(address) for address in received.recipients]
        token = next((found for found in tokens if found is not None), None)
        findings: Sequence[Finding] = classify(received.raw)[:_MOST_FINDINGS]
        if token is None:
            if any(is_marked(address) for address in received.recipients):
                return "forged_token"
            if any(finding.kind is Kind.FEEDBACK for finding in findings):
                token = self._shown(read(received.raw))
            if token is None:
                return "no_token"
        return Report(
            token,
            findings or [None],
            not received.envelope_sender,
            digest(received.raw),
            received.remote.rpartition(":")[0],
        )

    def _shown(self, mail: Mail) -> Token | None:
        """The token of the mail that a complaint is about: its return path (RFC 5965 §3.2), or our header."""
        fields = [group.fields.get("original-mail-from", "") for group in mail.feedback]
        for value in (*fields, mail.original.get("return-path", "")):
            for address in re.findall(r"[^\s<>]+@[^\s<>]+", value):
                if (token := self._verp.read_address(address)) is not None:
                    return token
        return self._verp.read(mail.original.get(TOKEN_HEADER.lower(), "").strip())

    # ------------------------------------------------------------------ what follows

    async def _apply(self, report: Report) -> bool:
        """False when the message is gone."""
        token = report.token
        own = token.kind is TokenKind.RECIPIENT
        rulings: list[Ruling] = []
        async with self._pool.acquire() as connection, connection.transaction():
            rows = await repository.targets(
                connection,
                token.first,
                token.last,
                recipient_id=token.id if own else None,
                message_id=None if own else token.id,
            )
            if not rows:
                return False
            if await repository.seen_before(connection, rows[0]["organization_id"], report.digest):
                self.counts["repeated"] += 1
                return True
            moved: set[UUID] = set()
            for position, finding in enumerate(report.findings):
                row, named = _whom(finding, rows, own)
                known = row is not None and row["id"] not in moved
                about = Circumstances(
                    row["status"] if row is not None and known else None,
                    row["reason"] if row is not None else None,
                    report.null_sender,
                    own,
                    named,
                )
                ruling = rule(finding, about)
                rulings.append(ruling)
                if row is not None and ruling.effect is not Effect.NONE:
                    moved.add(row["id"])
                await self._write(connection, report, position, finding, row, rows[0], ruling)
        self.counts.update(ruling.rule for ruling in rulings)
        if any(ruling.effect is not Effect.NONE for ruling in rulings):
            self._changed()
        return True

    async def _write(
        self,
        connection: Connection,
        report: Report,
        position: int,
        finding: Finding | None,
        row: Any | None,
        message: Any,
        ruling: Ruling,
    ) -> None:
        report_id = new_uuid()
        if row is not None and finding is not None and ruling.effect is not Effect.NONE:
            await writing.change(connection, row, finding, ruling, report_id)
        record = writing.Record(report_id, report.digest, position, report.reporter)
        await repository.add_report(connection, writing.values(record, message, row, finding, ruling))

    # ------------------------------------------------------------------ what proves nothing

    async def _refuse(self, received: Received, cause: str) -> str:
        self.counts[cause] += 1
        minute = int(time.monotonic() // 60)
        kept = self._minute[1] if self._minute[0] == minute else 0
        self._minute = (minute, kept + 1)
        if kept < _KEPT_A_MINUTE:
            excerpt = received.raw[:_EXCERPT].decode("utf-8", "replace").replace("\0", "\ufffd")
            values = (
                new_uuid(),
                cause,
                received.recipients[0],
                received.envelope_sender,
                received.remote,
                digest(received.raw),
                excerpt,
            )
            await repository.add_refused(self._pool, values)
        return REFUSED


def _whom(finding: Finding | None, rows: Sequence[Any], own: bool) -> tuple[Any | None, bool]:
    """The recipient that a finding is about, and whether it gives their address."""
    address = _key(finding.address) if finding is not None and finding.address else ""
    named = next((row for row in rows if _key(row["address"]) == address), None)
    if named is not None:
        return named, True
    return (rows[0], False) if own else (None, False)


def _key(address: str) -> str:
    try:
        return canonical(address)
    except AddressError:
        return address.lower()
