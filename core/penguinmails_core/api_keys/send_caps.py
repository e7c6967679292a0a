"""Daily caps on what a key sends: counted exactly, in PostgreSQL, before the message is accepted.

Only keys with a cap come here; all others pay one comparison. A count is taken in a statement of its own, which never
goes beyond the cap, and given back when nothing was accepted after all. What is not known to be accepted (the database
went away in the middle) stays counted: a cap is a promise to send no more.
"""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import TypeVar
from uuid import UUID

from penguinmails_core.api_keys import send_caps_repository as repository
from penguinmails_core.constraints import SendCap
from penguinmails_core.emails.accept import Acceptor, AcceptRequest, Verdict, checked
from penguinmails_core.errors import ConstraintViolated, FieldError, Problem, SendLimitReached, Unavailable
from penguinmails_core.idempotency.repository import find_stored
from penguinmails_core.kit.clock import utcnow
from penguinmails_core.kit.db import AWAY, Pool
from penguinmails_core.principal import Principal

Value = TypeVar("Value")

_TRIES = 5  # of finding what still fits while others send with the same key


@dataclass(frozen=True, slots=True)
class Spent:
    """A count that was taken, so that it can be given back."""

    organization_id: UUID
    keys: tuple[UUID, ...]
    day: date
    count: int


def caps_of(principal: Principal) -> tuple[SendCap, ...]:
    return principal.constraints.caps if principal.constraints is not None else ()


class SendCaps:
    """The way to the acceptor for whoever sends on behalf of a caller."""

    def __init__(self, ingest: Pool, acceptor: Acceptor) -> None:
        self._pool = ingest
        self._acceptor = acceptor

    async def accept(self, principal: Principal, request: AcceptRequest, spent: Spent | None = None) -> Verdict:
        """As `Acceptor.accept_once`, within the caps of the caller. `spent` is what `fit` has taken for this request.

        A replay by Idempotency-Key costs nothing and is answered when the cap is reached, too. Raises
        `SendLimitReached`, or `ConstraintViolated` for more than a whole day allows.
        """
        caps = caps_of(principal)
        if not caps:
            return await self._acceptor.accept_once(request)
        if spent is None:
            count = sum(len(message.recipients) for message in request.messages)
            spent = await self._spend(principal, caps, count)
            if spent is None:
                stored = await self.stored(request)
                if stored is None:
                    raise refusal(caps, count, await self._left(principal, caps))
                return stored
        try:
            verdict = await self._acceptor.accept_once(request)
        except Unavailable:
            raise
        except Problem:
            await self.give_back(spent)
            raise
        if not verdict.fresh:
            await self.give_back(spent)
        return verdict

    async def rehearse(self, principal: Principal, count: int, spent: Spent | None = None) -> None:
        """Raise what `accept` would raise for so many recipients, and count nothing; `spent` is given back."""
        if spent is not None:
            await self.give_back(spent)
            return
        caps = caps_of(principal)
        if caps and (left := await self._left(principal, caps)) < count:
            raise refusal(caps, count, left)

    async def fit(self, principal: Principal, counts: Sequence[int]) -> tuple[Spent | None, list[Problem | None]]:
        """Take the counts of as many messages as still fit, in their order; of each other one the problem."""
        caps = caps_of(principal)
        taken = list(range(len(counts)))
        left = min(cap.limit for cap in caps)
        for _ in range(_TRIES):
            spent = await self._spend(principal, caps, sum(counts[index] for index in taken)) if taken else None
            if spent is not None or not taken:
                break
            left = await self._left(principal, caps)
            taken = _first_that_fit(counts, left)
        else:
            taken = []
        fitting = set(taken)
        problems = [None if index in fitting else refusal(caps, count, left) for index, count in enumerate(counts)]
        return spent if taken else None, problems

    async def give_back(self, spent: Spent) -> None:
        await self._run(repository.give_back(self._pool, spent.organization_id, spent.keys, spent.day, spent.count))

    async def stored(self, request: AcceptRequest) -> Verdict | None:
        """What an earlier request with the same Idempotency-Key was told; None when there was none."""
        if request.key is None:
            return None
        row = await self._run(find_stored(self._pool, request.organization_id, request.principal_id, request.key))
        if row is None:
            return None
        return checked(Verdict(False, row.fingerprint == request.fingerprint, row.status, row.response))

    async def _spend(self, principal: Principal, caps: Sequence[SendCap], count: int) -> Spent | None:
        """None when it does not fit."""
        day = utcnow().date()
        limits = {cap.key_id: cap.limit for cap in caps}
        if await self._run(repository.spend(self._pool, principal.organization_id, limits, day, count)):
            return Spent(principal.organization_id, tuple(sorted(limits)), day, count)
        return None

    async def _left(self, principal: Principal, caps: Sequence[SendCap]) -> int:
        day, keys = utcnow().date(), [cap.key_id for cap in caps]
        sent = await self._run(repository.sent(self._pool, principal.organization_id, keys, day))
        return max(0, min(cap.limit - sent.get(cap.key_id, 0) for cap in caps))

    async def _run(self, work: Awaitable[Value]) -> Value:
        try:
            return await work
        except (*AWAY, TimeoutError):
            raise Unavailable("The database is not reachable. Try again.", headers={"Retry-After": "1"}) from None


def refusal(caps: Sequence[SendCap], count: int, left: int) -> Problem:
    """Of `count` recipients when only `left` may still be sent to today."""
    limit = min(cap.limit for cap in caps)
    extra = {"constraint": "max_sends_per_day", "value": count, "limit": limit}
    if count > limit:
        detail = f"This API key may send to {limit} recipients a day; this alone has {count}. Split it."
        return ConstraintViolated(detail, errors=[FieldError("", "constraint_violated", detail)], extra=extra)
    seconds = seconds_to_midnight(utcnow())
    detail = f"This API key may send to {limit} recipients a day, and {left} of them are left until midnight UTC."
    return SendLimitReached(detail, headers={"Retry-After": str(seconds)}, extra=extra | {"left": left})


def seconds_to_midnight(now: datetime) -> int:
    """Whole seconds until the next UTC day, at least 1."""
    midnight = datetime.combine(now.date() + timedelta(days=1), time(tzinfo=UTC))
    return max(1, -int((now - midnight).total_seconds() // 1))


def _first_that_fit(counts: Sequence[int], left: int) -> list[int]:
    taken = []
    for index, count in enumerate(counts):
        if count <= left:
            left -= count
            taken.append(index)
    return taken
