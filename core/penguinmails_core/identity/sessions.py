"""Browser sessions: an opaque random cookie, the truth in PostgreSQL, Valkey a cache of 60 seconds.

Losing Valkey signs nobody out. Ending a session leaves a tombstone in the cache, so that a reader who fetched the row
a moment earlier cannot bring it back.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any
from uuid import UUID

import orjson
from redis.asyncio import Redis
from redis.exceptions import RedisError

from penguinmails_core.config import AuthSettings
from penguinmails_core.identity import sessions_repository as repository
from penguinmails_core.kit.clock import utcnow
from penguinmails_core.kit.db import Pool
from penguinmails_core.kit.ids import new_uuid

log = logging.getLogger(__name__)

# Authentication method references (RFC 8176), and one of our own for recovery codes.
PASSWORD, OTP, PASSKEY, RECOVERY, SSO = "pwd", "otp", "hwk", "recovery", "sso"
STRONG = frozenset((OTP, PASSKEY, RECOVERY))

PENDING_LIFETIME = timedelta(minutes=10)
MAX_TRIES = 5  # second-factor codes for one password
CACHE_SECONDS = 60
REDIS_TIMEOUT = 0.1  # seconds; slower is as good as away
_TOKEN_LENGTH = 43  # 32 octets in base64url
_PREFIX = "penguinmails:session:"


@dataclass(frozen=True, slots=True)
class Session:
    """A browser of one person. `state` is `active`, or `pending` between the password and the second factor.
    `auth_time` is when the person last proved who they are, `amr` how. `organization_id` is where they work now,
    `workspace_id` the workspace they have chosen there, if any."""

    id: UUID
    user_id: UUID
    email: str
    name: str | None
    organization_id: UUID | None
    workspace_id: UUID | None
    state: str
    amr: tuple[str, ...]
    auth_time: datetime
    created_at: datetime
    last_seen_at: datetime
    expires_at: datetime
    address: str
    user_agent: str

    @property
    def active(self) -> bool:
        return self.state == "active"


@dataclass(frozen=True, slots=True)
class Browser:
    """Who connects: kept with the session, so that people recognise their devices."""

    address: str = ""
    user_agent: str = ""


def new_token() -> str:
    return secrets.token_urlsafe(32)


def token_hash(token: str) -> bytes:
    return sha256(token.encode()).digest()


def well_formed(token: str) -> bool:
    return len(token) == _TOKEN_LENGTH and token.isascii()


class Sessions:
    """`redis` may be None or away; then every look-up asks PostgreSQL."""

    def __init__(self, worker: Pool, redis: Redis | None, settings: AuthSettings) -> None:
        self._pool = worker
        self._redis = redis
        self._idle = settings.session_idle
        self._lifetime = settings.session_lifetime

    async def start(
        self,
        user_id: UUID,
        amr: Sequence[str],
        browser: Browser,
        *,
        pending: bool = False,
        organization_id: UUID | None = None,
    ) -> str:
        """A new session; returns its token, which is never available again."""
        token, now = new_token(), utcnow()
        await repository.insert(
            self._pool,
            session_id=new_uuid(),
            digest=token_hash(token),
            user_id=user_id,
            organization_id=organization_id,
            state="pending" if pending else "active",
            amr=amr,
            address=browser.address,
            user_agent=browser.user_agent[:300],
            auth_time=now,
            expires_at=now + (PENDING_LIFETIME if pending else self._lifetime),
        )
        return token

    async def find(self, token: str) -> Session | None:
        """The session of a cookie, None when there is none or it has ended. Using it keeps it from idling out."""
        if not well_formed(token):
            return None
        digest = token_hash(token)
        now = utcnow()
        cached = await self._cached(digest)
        if cached is not None:
            return cached if self._alive(cached, now) else None
        row = await repository.find(self._pool, digest)
        session = _session(row) if row is not None else None
        if session is None or not self._alive(session, now):
            return None
        if now - session.last_seen_at > timedelta(seconds=CACHE_SECONDS):
            await repository.touch(self._pool, digest, now)
        await self._remember(digest, session)
        return session

    async def step_up(self, token: str, amr: Sequence[str]) -> str | None:
        """The person proved more: a new token for the same session, now active and fresh. The old token is dead.
        None when the session ended meanwhile, or another request stepped it up first."""
        fresh, now = new_token(), utcnow()
        done = await repository.step_up(
            self._pool, token_hash(token), token_hash(fresh), list(amr), now, now + self._lifetime
        )
        await self._forget([token_hash(token)])
        return fresh if done else None

    async def count_try(self, token: str) -> bool:
        """Counts a second-factor code of a pending session; False, and the session over, after the fifth."""
        tries = await repository.count_try(self._pool, token_hash(token))
        if tries is not None and tries <= MAX_TRIES:
            return True
        await self.end(token)
        return False

    async def switch(self, token: str, organization_id: UUID | None, workspace_id: UUID | None = None) -> None:
        """Work in another organization, or another workspace of it; the caller has checked that the person sees it."""
        await repository.set_organization(self._pool, token_hash(token), organization_id, workspace_id)
        await self.refresh(await repository.hashes_of_session(self._pool, token_hash(token)))

    async def end(self, token: str) -> None:
        await self._forget(await repository.delete(self._pool, token_hash(token)))

    async def end_one(self, user_id: UUID, session_id: UUID) -> bool:
        """False when that person has no such session."""
        hashes = await repository.delete_one(self._pool, user_id, session_id)
        await self._forget(hashes)
        return bool(hashes)

    async def end_all(self, user_id: UUID, *, keep: UUID | None = None) -> int:
        """Every session of a person, or all but one; returns how many ended."""
        hashes = await repository.delete_all(self._pool, user_id, keep)
        await self._forget(hashes)
        return len(hashes)

    async def leave_organization(self, user_id: UUID, organization_id: UUID) -> None:
        """Of somebody who was removed: their browsers stay signed in, but work in no organization."""
        await self.refresh(await repository.clear_organization(self._pool, user_id, organization_id))

    async def list_for(self, user_id: UUID) -> list[Session]:
        """Active sessions, the last used first."""
        now = utcnow()
        found = [_session(row) for row in await repository.list_for(self._pool, user_id)]
        return [session for session in found if self._alive(session, now)]

    async def refresh(self, hashes: Iterable[bytes]) -> None:
        """What is cached about these changed; the next look-up reads PostgreSQL."""
        await self._forget(hashes)

    async def refresh_user(self, user_id: UUID) -> None:
        await self._forget(await repository.hashes_of_user(self._pool, user_id))

    def _alive(self, session: Session, now: datetime) -> bool:
        # Between two writes of last_seen_at a session was used at most CACHE_SECONDS later than it says.
        idle = self._idle + timedelta(seconds=CACHE_SECONDS)
        return session.expires_at > now and session.last_seen_at + idle > now

    async def _cached(self, digest: bytes) -> Session | None:
        if self._redis is None:
            return None
        try:
            async with asyncio.timeout(REDIS_TIMEOUT):
                data = await self._redis.get(_PREFIX + digest.hex())
        except (RedisError, OSError, TimeoutError) as error:
            log.debug("sessions: the cache is away (%s)", type(error).__name__)
            return None
        return _loads(data) if data else None

    async def _remember(self, digest: bytes, session: Session) -> None:
        if self._redis is None:
            return
        try:
            async with asyncio.timeout(REDIS_TIMEOUT):
                await self._redis.set(_PREFIX + digest.hex(), _dumps(session), ex=CACHE_SECONDS, nx=True)
        except (RedisError, OSError, TimeoutError) as error:
            log.debug("sessions: the cache is away (%s)", type(error).__name__)

    async def _forget(self, hashes: Iterable[bytes]) -> None:
        """A tombstone (an empty value) outlives whatever a slow reader may still want to remember."""
        keys = [_PREFIX + digest.hex() for digest in hashes]
        if self._redis is None or not keys:
            return
        try:
            async with asyncio.timeout(1), self._redis.pipeline(transaction=False) as pipe:
                for key in keys:
                    pipe.set(key, b"", ex=CACHE_SECONDS)
                await pipe.execute()
        except (RedisError, OSError, TimeoutError) as error:
            log.warning(
                "sessions: %d changed while the cache was away (%s); it may tell the old state for %d s",
                len(keys),
                type(error).__name__,
                CACHE_SECONDS,
            )


def _session(row: Any) -> Session:
    return Session(
        id=row["id"],
        user_id=row["user_id"],
        email=row["email"],
        name=row["name"],
        organization_id=row["organization_id"],
        workspace_id=row["workspace_id"],
        state=row["state"],
        amr=tuple(row["amr"]),
        auth_time=row["auth_time"],
        created_at=row["created_at"],
        last_seen_at=row["last_seen_at"],
        expires_at=row["expires_at"],
        address=row["address"],
        user_agent=row["user_agent"],
    )


def _dumps(session: Session) -> bytes:
    return orjson.dumps({name: getattr(session, name) for name in Session.__slots__}, default=str)


def _loads(data: bytes | str) -> Session:
    fields = orjson.loads(data)
    for name in ("id", "user_id", "organization_id", "workspace_id"):
        fields[name] = UUID(fields[name]) if fields[name] else None
    for name in ("auth_time", "created_at", "last_seen_at", "expires_at"):
        fields[name] = datetime.fromisoformat(fields[name])
    return Session(**{**fields, "amr": tuple(fields["amr"])})
