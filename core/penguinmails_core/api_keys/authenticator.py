"""From the text of an API key to the caller. Hot: runs on every request, so a known key costs one hash and one dict.

A changed key is felt at once where the doorbell reaches, else within the time to live (5 s).
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from types import SimpleNamespace
from typing import Any, Protocol
from uuid import UUID

from penguinmails_core.api_keys import repository
from penguinmails_core.api_keys.grants import Grant, Network, effective
from penguinmails_core.constraints import SendCap, SendConstraints
from penguinmails_core.errors import ConstraintViolated, Unauthenticated, Unavailable
from penguinmails_core.kit.clock import utcnow
from penguinmails_core.kit.crypto import api_key_well_formed
from penguinmails_core.kit.db import FAILED, Pool
from penguinmails_core.kit.doorbell import KEYS, Doorbell
from penguinmails_core.kit.tasks import end
from penguinmails_core.principal import Principal
from penguinmails_core.scopes import Scope

log = logging.getLogger(__name__)

TTL = 5.0  # seconds a look-up is believed
MAX_ENTRIES = 10_000
FLUSH_EVERY = 60.0  # seconds between writes of last_used_at

_NOWHERE: tuple[Network, ...] = (ipaddress.ip_network("255.255.255.255/32"),)  # of allowlists that share nothing


@dataclass(frozen=True, slots=True)
class Credential:
    """A key as the database knows it. `expires_at` is Unix time. `rotated_out`: this is a secret that a newer one has
    replaced, and `expires_at` is the end of the overlap or of the key."""

    principal: Principal
    expires_at: float | None
    revoked: bool
    networks: tuple[Network, ...]
    rotated_out: bool = False

    def check(self) -> Principal:
        """Raises `Unauthenticated` when the key has ended."""
        if self.revoked:
            raise _refused("This API key was revoked. Use another one.")
        if self.expires_at is not None and self.expires_at <= time.time():
            ended = "The secret was rotated, and the time for this one has" if self.rotated_out else "This API key has"
            raise _refused(f"{ended} expired. Use another one.")
        return self.principal

    def check_address(self, address: str) -> None:
        """Raises `ConstraintViolated` when the key has an allowlist and `address` is not on it. The list itself is not
        told: whoever asks may have found the key."""
        try:
            ip = ipaddress.ip_address(address)
        except ValueError:
            raise _outside("This API key is limited to certain IP addresses, and yours is not known.", None) from None
        ip = getattr(ip, "ipv4_mapped", None) or ip
        if not any(ip in network for network in self.networks):
            raise _outside(f"This API key may not be used from {ip}. Add the address to its allowlist.", str(ip))


class CredentialSource(Protocol):
    """From the text of a bearer credential to whom it speaks for. `cached` costs no I/O and None says to call `find`;
    `known`: it was seen to be genuine before, so the next look-up is not a guess. `find` raises `Unauthenticated`."""

    def cached(self, bearer: str, /) -> Credential | None: ...

    def known(self, bearer: str, /) -> bool: ...

    async def find(self, bearer: str, /) -> Credential: ...


class Authenticator:
    """`await start()` before use, `await stop()` at the end. `doorbell` may be None (then only the TTL counts)."""

    def __init__(self, ingest: Pool, doorbell: Doorbell | None = None, *, ttl: float = TTL) -> None:
        self._pool = ingest
        self._doorbell = doorbell
        self._ttl = ttl
        # Digest -> (good until, credential or None when there is no such key).
        self._cache: dict[bytes, tuple[float, Credential | None]] = {}
        self._lookups: dict[bytes, asyncio.Task[Credential | None]] = {}
        self._used: dict[UUID, tuple[UUID, str]] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._generation = 0

    async def start(self) -> None:
        self._tasks = [asyncio.create_task(self._flush_regularly(), name="api key use")]
        if self._doorbell is not None:
            self._tasks.append(asyncio.create_task(self._forget_on_ring(self._doorbell), name="api key changes"))

    async def stop(self) -> None:
        await end(*self._tasks)
        self._tasks = []
        await self.flush()

    def known(self, key: str) -> bool:
        """True when the key was seen to exist, however long ago: its next look-up is not a guess."""
        entry = self._cache.get(sha256(key.encode()).digest())
        return entry is not None and entry[1] is not None

    def cached(self, key: str) -> Credential | None:
        """The credential when it is at hand and fresh; None says to call `find`, not that the key is bad."""
        entry = self._cache.get(sha256(key.encode()).digest())
        if entry is None or entry[0] < time.monotonic():
            return None
        return entry[1]

    def seen(self, principal: Principal, address: str) -> None:
        """Note that a request of this key was let in. Written down once a minute."""
        self._used[principal.id] = (principal.organization_id, address)

    async def find(self, key: str) -> Credential:
        """Raises `Unauthenticated` for a key that is malformed or unknown, `Unavailable` without a database."""
        if not api_key_well_formed(key):
            raise _refused("The API key is malformed: it starts with pm_live_ or pm_test_ and has 46 characters.")
        digest = sha256(key.encode()).digest()
        entry = self._cache.get(digest)
        if entry is not None and entry[0] >= time.monotonic():
            credential = entry[1]
        else:
            credential = await self._look_up(digest)
        if credential is None:
            raise _refused("There is no such API key.")
        return credential

    def forget(self) -> None:
        """Look every key up anew. Answers of look-ups under way are not kept: they may be from before the change."""
        self._generation += 1
        self._cache.clear()
        self._lookups.clear()

    async def flush(self) -> None:
        """Write when keys were last used."""
        used, self._used = self._used, {}
        if not used:
            return
        now = utcnow()
        try:
            await repository.touch(
                self._pool, [(org, key, now, address or None) for key, (org, address) in used.items()]
            )
        except FAILED as error:
            log.warning("last use of %d API keys was not recorded (%s)", len(used), type(error).__name__)

    async def _look_up(self, digest: bytes) -> Credential | None:
        """One query for all who ask for the same key at the same time."""
        task = self._lookups.get(digest)
        if task is None:
            task = asyncio.create_task(self._fetch(digest))
            self._lookups[digest] = task
            task.add_done_callback(lambda done: self._looked_up(digest, done))
        try:
            return await asyncio.shield(task)
        except FAILED as error:
            log.warning("an API key could not be looked up (%s)", type(error).__name__)
            raise Unavailable("The database is not reachable. Try again.", headers={"Retry-After": "1"}) from None

    def _looked_up(self, digest: bytes, task: asyncio.Task[Credential | None]) -> None:
        if self._lookups.get(digest) is task:
            del self._lookups[digest]
        if not task.cancelled():
            task.exception()  # whoever waited has raised it; nobody may be left who does

    async def _fetch(self, digest: bytes) -> Credential | None:
        generation = self._generation
        rows = await repository.find_by_hash(self._pool, digest)
        credential = _credential(rows) if rows else None
        if generation != self._generation:
            return credential
        if len(self._cache) >= MAX_ENTRIES:
            self._cache.pop(next(iter(self._cache)))
        self._cache.pop(digest, None)  # the newest go to the end, so that the oldest are dropped
        self._cache[digest] = (time.monotonic() + self._ttl, credential)
        return credential

    async def _flush_regularly(self) -> None:
        while True:
            await asyncio.sleep(FLUSH_EVERY)
            await self.flush()

    async def _forget_on_ring(self, doorbell: Doorbell) -> None:
        while True:
            if await doorbell.wait(KEYS, 3600):
                self.forget()


def _credential(rows: Sequence[Any]) -> Credential:
    """Of a key and its ancestors, the key first. A derived key ends with any of them and may do only what all may."""
    key, last = rows[0], rows[-1]
    line = [SimpleNamespace(**row) for row in rows]
    grant = effective(line)
    scopes, ends = grant.scopes, [grant.expires_at]
    superseded: datetime | None = key["secret_expires_at"]
    if superseded is not None:
        # It may be in wrong hands, which is why it was rotated out: it must not bring forth a new secret.
        scopes, ends = scopes - {Scope.API_KEYS_WRITE}, [grant.expires_at, superseded]
    return Credential(
        principal=Principal(
            id=key["id"],
            organization_id=key["organization_id"],
            workspace_id=key["workspace_id"],
            default_workspace_id=key["default_workspace_id"],
            mode=key["mode"],
            scopes=scopes,
            constraints=_send_constraints(line, grant),
        ),
        expires_at=min((end.timestamp() for end in ends if end is not None), default=None),
        # An ancestor that is gone has ended long ago.
        revoked=any(row["revoked_at"] is not None for row in rows) or last["parent_id"] is not None,
        networks=() if grant.networks is None else grant.networks or _NOWHERE,
        rotated_out=superseded is not None,
    )


def _send_constraints(line: Sequence[Any], grant: Grant) -> SendConstraints | None:
    caps = tuple(SendCap(row.id, row.max_sends_per_day) for row in line if row.max_sends_per_day is not None)
    if not caps and grant.mailboxes is None and grant.domains is None:
        return None
    return SendConstraints(grant.mailboxes, grant.domains, caps)


def _outside(detail: str, value: str | None) -> ConstraintViolated:
    return ConstraintViolated(detail, extra={"constraint": "allowed_ips", "value": value, "limit": None})


def _refused(detail: str) -> Unauthenticated:
    return Unauthenticated(detail, headers={"WWW-Authenticate": 'Bearer realm="PenguinMails", error="invalid_token"'})
