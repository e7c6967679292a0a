"""From claimed jobs to decisions: load, build, sign, deliver. A message that fails takes no other with it."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext, suppress
from dataclasses import replace
from typing import Any
from uuid import UUID

from penguinmails_core.config import SenderSettings
from penguinmails_core.content.service import ContentService
from penguinmails_core.emails.lanes import is_live, key_of
from penguinmails_core.emails.options import list_of
from penguinmails_core.errors import Unavailable
from penguinmails_core.kit import trace
from penguinmails_core.kit.addresses import AddressError, canonical
from penguinmails_core.kit.clock import utcnow
from penguinmails_core.kit.crypto import CryptoError, SecretBox
from penguinmails_core.kit.db import AWAY, Database
from penguinmails_core.kit.ids import Prefix, encode
from penguinmails_core.mailboxes.pace import Wait, mailbox_of
from penguinmails_core.sending import repository
from penguinmails_sender.engine.budget import Budget
from penguinmails_sender.engine.outcomes import (
    Decision,
    Job,
    RetryPolicy,
    decide,
    give_up,
    hand_back,
    suppressed,
    unsaid,
)
from penguinmails_sender.engine.personal import Personalizer
from penguinmails_sender.engine.prepare import Group, KeyRing, group_jobs, load, seal
from penguinmails_sender.intake.verp import Verp
from penguinmails_sender.lanes.book import LaneBook
from penguinmails_sender.mailboxes.sending import MailboxSender, MailboxTransport
from penguinmails_sender.smtp import Envelope, Outcome, RecipientResult
from penguinmails_sender.transports import Transport

log = logging.getLogger(__name__)

_SOON = 5.0  # seconds until mail that we could not work on is due again
_LATER = 60.0
_SLICE = 16 * 1024 * 1024  # octets of content loaded at a time
_IN_MEMORY = 64 * 1024 * 1024


class Dispatcher:
    """`decided` gets every decision; `abandoned` the jobs of which only the lease can tell what becomes of them;
    `start` runs a coroutine on its own."""

    def __init__(
        self,
        database: Database,
        content: ContentService,
        transports: Mapping[str, Transport],
        box: SecretBox,
        settings: SenderSettings,
        rng: random.Random,
        book: LaneBook,
        *,
        decided: Callable[[Iterable[Decision]], None],
        abandoned: Callable[[Sequence[Job]], None],
        start: Callable[[Coroutine[Any, Any, None]], None],
        personal: Personalizer | None = None,
        mailboxes: MailboxSender | None = None,
    ) -> None:
        self._verp = Verp(box, settings.return_path)
        self._database = database
        self._content = content
        self._transports = transports
        self._keys = KeyRing(database, box)
        self._policy = RetryPolicy(settings.retry_base)
        self._least = settings.lease.total_seconds() / 3
        self._rng = rng
        self._book = book
        self._decided = decided
        self._abandoned = abandoned
        self._start = start
        self._personal = personal
        self._mailboxes = mailboxes
        self._budget = Budget(_IN_MEMORY)
        self._content_away = False
        # Twice the connections: while one half waits for the network, the other half is built and signed.
        self._gate = asyncio.Semaphore(settings.connections * 2)

    async def can_work(self) -> bool:
        """False while the content tier is away: claiming mail only to hand it back would wear out the database."""
        if self._content_away:
            try:
                await self._content.ready()
            except Unavailable:
                return False
            self._content_away = False
        return True

    async def work(self, jobs: Sequence[Job]) -> None:
        """Send a claimed chunk. Ends when everything is under way, not when it is done."""
        try:
            jobs = await self._without_late_suppressions(jobs)
        except AWAY as error:
            log.warning("sender: the database is away (%s); %d go back", type(error).__name__, len(jobs))
            self._decided(hand_back(job, "the database is not reachable", _SOON) for job in jobs)
            return
        for groups in _slices(group_jobs(jobs, self._personal)):
            await self._budget.take(sum(group.size for group in groups))
            ready = await self._load(groups)
            for group in groups:
                if group in ready:
                    self._start(self._send(group))
                else:
                    self._budget.give(group.size)

    async def _load(self, groups: Sequence[Group]) -> Sequence[Group]:
        """The groups that can be sent; the others have their decision."""
        try:
            await load(self._database, self._content, groups, self._personal)
        except (Unavailable, *AWAY) as error:
            self._content_away = True
            log.warning("sender: content is not reachable (%s); %d go back", type(error).__name__, len(groups))
            self._decided(hand_back(job, "content is not reachable", _SOON) for group in groups for job in group.jobs)
            return ()
        except Exception as error:
            # One damaged body fails the bulk load: each message for itself finds it.
            if len(groups) > 1:
                return [group for single in groups for group in await self._load([single])]
            log.error("sender: content of message %s cannot be read", groups[0].row["message_id"], exc_info=error)
            self._decided(_dead(groups[0], "content_unreadable", type(error).__name__))
            return ()
        return groups

    async def _send(self, group: Group) -> None:
        try:
            async with self._turn(group), self._gate:
                self._decided(await self._attempt(group))
        except Exception:
            # A defect of ours after the answer. Sending again could double the mail: the lease and the class decide.
            log.exception("sender: the outcome of message %s could not be judged", group.row["message_id"])
            self._abandoned(group.jobs)
        finally:
            self._budget.give(group.size)
            group.content = group.marked = None

    def _turn(self, group: Group) -> AbstractAsyncContextManager[None]:
        """Until the lane has a connection for it."""
        lane = group.row["lane"]
        return self._book.gate(key_of(lane)).entered() if is_live(lane) else nullcontext()

    def _paused_for(self, group: Group) -> float:
        """Seconds until a lane opens that was paused after the claim: what a provider has asked to stop must stop, not
        go on until everything in hand has been refused."""
        lane = group.row["lane"]
        state = self._book.find(key_of(lane)) if is_live(lane) else None
        now = self._book.now()
        if state is None or state.paused_until is None or not state.paused(now):
            return 0.0
        return (state.paused_until - now).total_seconds()

    async def _attempt(self, group: Group) -> Sequence[Decision]:
        transport = self._transports[group.row["mode"]]
        mailbox_id = mailbox_of(key_of(group.row["lane"]).source) if group.row["mode"] == "live" else None
        try:
            envelope = await self._prepare(group)
        except Exception:
            log.exception("sender: message %s could not be prepared", group.row["message_id"])
            return [hand_back(job, "could not be prepared", _LATER) for job in group.jobs]
        if not isinstance(envelope, Envelope):
            return envelope
        # SMTP takes a while; it must not begin when somebody else may soon believe, or believes, that we are gone.
        if min(job.deadline for job in group.jobs) - time.monotonic() < self._least:
            return [hand_back(job, "the lease was too short", 0.0) for job in group.jobs]
        if wait := self._paused_for(group):
            return [hand_back(job, "the lane was paused meanwhile", wait) for job in group.jobs]
        if mailbox_id is not None:
            allowed = await self._permit(group, mailbox_id)
            if not isinstance(allowed, MailboxTransport):
                return allowed
            transport = allowed
        email = encode(Prefix.EMAIL, group.row["message_id"])
        with trace.span("smtp attempt", email_id=email, mode=group.row["mode"], recipients=len(group.jobs)) as span:
            results = await _deliver(transport, envelope)
            if span is not None:
                span.set_attribute("penguinmails.outcomes", sorted({str(result.outcome) for result in results}))
        now = utcnow()
        return [
            decide(job, result, final=transport.final, policy=self._policy, now=now, rng=self._rng)
            for job, result in zip(group.jobs, results, strict=True)
        ]

    async def _permit(self, group: Group, mailbox_id: UUID) -> MailboxTransport | list[Decision]:
        """The way through a mailbox, or when its turn comes. Nobody is told of a wait that caps make."""
        if self._mailboxes is None:
            return [hand_back(job, "no mailboxes here", _LATER) for job in group.jobs]
        try:
            found = await self._mailboxes.permit(group.row["organization_id"], mailbox_id, len(group.jobs))
        except AWAY:
            return [hand_back(job, "the database is not reachable", _SOON) for job in group.jobs]
        if found is None:
            return _dead(group, "mailbox_deleted")
        if isinstance(found, Wait):
            return [hand_back(job, f"{found.reason}: {found.detail}", found.seconds) for job in group.jobs]
        return found

    async def _prepare(self, group: Group) -> Envelope | list[Decision]:
        row = group.row
        if row["mode"] == "test":
            return Envelope("", tuple(job.row["address"] for job in group.jobs), b"")
        if group.content is None or group.content.missing:
            return _dead(group, "content_missing")
        if mailbox_of(key_of(row["lane"]).source) is not None:
            return self._through_mailbox(group)
        try:
            keys = await self._keys.keys(row["organization_id"], row["from_domain"])
            if not keys:  # deleted, or no longer verified, since the accept: unsigned mail would burn the domain
                return _dead(group, "domain_not_verified")
            envelope = seal(group, keys, self._verp, self._personal)
            return replace(envelope, policy=self._book.connection(key_of(row["lane"]), row["message_id"]))
        except (ValueError, CryptoError) as error:
            log.error("sender: message %s cannot be written: %s", row["message_id"], error)
            return _dead(group, "not_sendable", str(error))
        except AWAY as error:
            log.warning("sender: the database is away (%s)", type(error).__name__)
            return [hand_back(job, "the database is not reachable", _SOON) for job in group.jobs]

    def _through_mailbox(self, group: Group) -> Envelope | list[Decision]:
        """Its provider signs, and takes no other return path than the mailbox's own address."""
        try:
            envelope = seal(group, (), self._verp, self._personal)
        except (ValueError, CryptoError) as error:
            return _dead(group, "not_sendable", str(error))
        return replace(envelope, envelope_sender=group.row["from_address"])

    async def _without_late_suppressions(self, jobs: Sequence[Job]) -> Sequence[Job]:
        """The claim compares lower-cased ASCII addresses; quoted and international ones have a canonical form that SQL
        cannot make, so they are looked up here, still before anything is sent."""
        special: dict[Any, tuple[Job, str]] = {}
        for job in jobs:
            address = job.row["address"]
            if job.row["mode"] == "test" and address.partition("@")[0].partition("+")[0].lower() == "suppressed":
                special[job.attempt_id] = (job, "")  # plays a suppressed one
            elif not address.isascii() or address.startswith('"'):
                with suppress(AddressError):
                    special[job.attempt_id] = (job, canonical(address))
        if not special:
            return jobs
        wanted = [
            (job.row["organization_id"], job.row["mode"], name, job.row["message_class"], list_of(job.row["options"]))
            for job, name in special.values()
        ]
        found = await repository.suppressed(self._database.worker, *map(list, zip(*wanted, strict=True)))
        stopped = {key for key, place in zip(special, wanted, strict=True) if not place[2] or place in found}
        self._decided(suppressed(job) for job in jobs if job.attempt_id in stopped)
        return [job for job in jobs if job.attempt_id not in stopped]


async def _deliver(transport: Transport, envelope: Envelope) -> Sequence[RecipientResult]:
    """What the transport says; a defect in it may come after the message has left, so it reads as no answer."""
    try:
        results = await transport.deliver(envelope)
        if len(results) == len(envelope.recipients):
            return results
        log.error("sender: %d results for %d recipients", len(results), len(envelope.recipients))
    except Exception:
        log.exception("sender: the transport failed")
    return [
        RecipientResult(address, Outcome.AMBIGUOUS, reply="the transport failed") for address in envelope.recipients
    ]


def _dead(group: Group, reason: str, detail: str = "") -> list[Decision]:
    return [give_up(job, reason, unsaid(job, Outcome.BOUNCED, detail)) for job in group.jobs]


def _slices(groups: Sequence[Group]) -> Iterator[list[Group]]:
    """Parts of a chunk that are loaded together; a message larger than a slice makes one alone."""
    part: list[Group] = []
    size = 0
    for group in groups:
        if part and size + group.size > _SLICE:
            yield part
            part, size = [], 0
        part.append(group)
        size += group.size
    if part:
        yield part
