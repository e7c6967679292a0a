"""One-time links in mail: 256 random bits, only their SHA-256 stored.

Opening a link shows a button; pressing it acts. Scanners and previews open every link in a message (`GET` changes
nothing), so only the POST uses a link up.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

from penguinmails_core.errors import LinkExpired
from penguinmails_core.identity import repository
from penguinmails_core.identity.sessions import new_token, token_hash, well_formed
from penguinmails_core.kit.clock import utcnow
from penguinmails_core.kit.db import Connection, Pool


class Purpose(StrEnum):
    SIGNUP = "signup"  # the person does not exist before the link is used
    RESET = "reset"  # choose a (first or new) password
    EMAIL = "email"  # a new address of somebody signed in


LIFETIMES = {
    Purpose.SIGNUP: timedelta(hours=24),
    Purpose.RESET: timedelta(hours=1),
    Purpose.EMAIL: timedelta(hours=24),
}


@dataclass(frozen=True, slots=True)
class Link:
    user_id: UUID | None
    email: str
    data: dict[str, Any] = field(default_factory=dict)


async def create(
    connection: Connection | Pool,
    purpose: Purpose,
    email: str,
    *,
    user_id: UUID | None = None,
    data: dict[str, Any] | None = None,
    lifetime: timedelta | None = None,
) -> str:
    """A new link's token, never available again."""
    token = new_token()
    expires_at = utcnow() + (lifetime or LIFETIMES[purpose])
    await repository.insert_link(connection, token_hash(token), purpose, user_id, email, data or {}, expires_at)
    return token


async def peek(pool: Pool, purpose: Purpose, token: str) -> Link:
    """What a link is for, without using it. Raises `LinkExpired`."""
    row = await repository.peek_link(pool, token_hash(token), purpose) if well_formed(token) else None
    return _link(row)


async def use(connection: Connection, purpose: Purpose, token: str) -> Link:
    """In the transaction of what it is used for: if that fails, the link is good again. Raises `LinkExpired`."""
    row = await repository.use_link(connection, token_hash(token), purpose) if well_formed(token) else None
    return _link(row)


def _link(row: Any | None) -> Link:
    if row is None:
        raise LinkExpired("This link was used already or has expired. Ask for a new one.")
    return Link(row["user_id"], row["email"], row["data"])
