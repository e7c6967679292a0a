"""When a mailbox may send the next message: caps over rolling windows, and a gap with jitter.

A permission is a row, written under the lock of the mailbox before the SMTP conversation begins. So a crash costs a
place and never gives one away, and no second worker goes beyond a cap. What has to wait is due later; nothing is
dropped for a cap.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from penguinmails_core.errors import FieldError, Unprocessable
from penguinmails_core.kit import ids
from penguinmails_core.kit.addresses import Mailbox as Address
from penguinmails_core.kit.addresses import canonical
from penguinmails_core.kit.db import Connection, Pool
from penguinmails_core.kit.ids import Prefix, new_uuid
from penguinmails_core.mailboxes import pace_repository as repository
from penguinmails_core.principal import Principal

HORIZON = timedelta(days=30)
"""How long a message may wait for its turn: a queue of weeks is what caps are for."""
HOUR, DAY = timedelta(hours=1), timedelta(hours=24)
_NOT_NOW = 300.0  # seconds until a mailbox that is paused or disconnected is looked at again
_LEAST = 1.0


@dataclass(frozen=True, slots=True)
class Sent:
    weight: int
    at: datetime
    free_at: datetime


@dataclass(frozen=True, slots=True)
class Wait:
    """Not now. `reason`: `mailbox_paused`, `mailbox_disconnected`, `min_gap`, `hourly_cap` or `daily_cap`; `detail`
    names value and limit. `gap`: what the mailbox needs between two messages."""

    reason: str
    seconds: float
    detail: str
    gap: float


@dataclass(frozen=True, slots=True)
class Permit:
    """One message may go now."""

    row: Any


def judge(row: Any, sent: Sequence[Sent], weight: int, now: datetime) -> Wait | None:
    """None: go. Pure; `sent` are those of the last 24 hours, the oldest first."""
    gap = float(row["min_gap_seconds"])
    if row["paused_at"] is not None:
        return Wait("mailbox_paused", _NOT_NOW, "The mailbox is paused.", gap)
    if row["connection"] != "connected":
        return Wait("mailbox_disconnected", _NOT_NOW, "Signing in to the mailbox does not work.", gap)
    waits = [Wait("min_gap", (sent[-1].free_at - now).total_seconds(), f"{gap:.0f} seconds apart", gap)] if sent else []
    for reason, cap, window in (("hourly_cap", row["hourly_cap"], HOUR), ("daily_cap", row["daily_cap"], DAY)):
        inside = [one for one in sent if one.at > now - window]
        used = sum(one.weight for one in inside)
        for one in inside:  # those that must be out of the window first
            if used + weight <= cap:
                break
            used -= one.weight
            seconds = (one.at + window - now).total_seconds()
            waits.append(Wait(reason, seconds, f"{cap} recipients in {window.total_seconds() / 3600:.0f} hours", gap))
        if used + weight > cap:
            waits.append(Wait(reason, window.total_seconds(), f"{weight} recipients, the cap is {cap}", gap))
    longest = max(waits, key=lambda wait: wait.seconds, default=None)
    return longest if longest is not None and longest.seconds > 0 else None


async def permit(
    connection: Connection, organization_id: UUID, mailbox_id: UUID, weight: int, rng: random.Random
) -> Permit | Wait | None:
    """Take a permission in the caller's transaction, or hear when to ask again; None: there is no such mailbox."""
    row = await repository.lock(connection, organization_id, mailbox_id)
    if row is None:
        return None
    found = await repository.sends(connection, organization_id, mailbox_id)
    now = await repository.clock(connection)
    wait = judge(row, [Sent(one["weight"], one["at"], one["free_at"]) for one in found], weight, now)
    if wait is not None:
        return Wait(wait.reason, max(wait.seconds, _LEAST), wait.detail, wait.gap)
    gap = row["min_gap_seconds"] + rng.uniform(0, row["gap_jitter_seconds"])
    await repository.forget(connection, organization_id, mailbox_id)
    await repository.take(connection, organization_id, mailbox_id, new_uuid(), weight, gap)
    return Permit(row)


def mailbox_of(source: str) -> UUID | None:
    """The mailbox that a lane's source names, None for an IP pool."""
    if not source.startswith(f"{Prefix.MAILBOX}_"):
        return None
    try:
        return ids.decode(Prefix.MAILBOX, source)
    except ids.IdError:
        return None


@dataclass(frozen=True, slots=True)
class Sender:
    """A mailbox that a message is accepted for. `source` is that of its lane."""

    source: str
    workspace_id: UUID
    hourly_cap: int


async def find_sender(pool: Pool, caller: Principal, text: str, sender: Address, base: str) -> Sender:
    """Raises `Unprocessable` for a mailbox that the caller does not see, and for a From that is not its own."""
    try:
        mailbox_id = ids.decode(Prefix.MAILBOX, text)
    except ids.IdError as error:
        raise _fault(base, "mailbox_id", "invalid_id", f"`mailbox_id`: {error}.") from None
    row = await repository.sender(pool, caller.organization_id, caller.mode, mailbox_id)
    if row is None or caller.workspace_id not in (None, row["workspace_id"]):
        raise _fault(base, "mailbox_id", "not_found", "There is no such mailbox.")
    if sender.canonical not in (row["address_key"], *map(canonical, row["aliases"])):
        detail = f"{sender.address} is neither the address of the mailbox ({row['address']}) nor one of its aliases."
        raise _fault(base, "from", "not_of_mailbox", detail)
    return Sender(text, row["workspace_id"], row["hourly_cap"])


def check_recipients(sender: Sender, count: int, base: str) -> None:
    """Raises `Unprocessable` for a message that no hour has room for."""
    if count > sender.hourly_cap:
        detail = f"The message has {count} recipients; the mailbox may send to {sender.hourly_cap} in an hour."
        raise _fault(base, "to", "hourly_cap", detail)


def _fault(base: str, field: str, code: str, detail: str) -> Unprocessable:
    return Unprocessable(detail, errors=[FieldError(f"{base}/{field}", code, detail)])
