"""The key ring: what tokens are signed with, and what others check them with (JWKS).

Rotation has two steps, because clients keep a JWKS for a while and refuse a key they do not know: the next key is
published first and signs only once every copy without it has expired; the last one stays until the tokens that it
signed have. Private keys are sealed at rest. ES256 signs access tokens, RS256 (or ES256) id_tokens.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise
from typing import Any

from joserfc.jwk import ECKey, RSAKey

from penguinmails_core.config import OAuthSettings
from penguinmails_core.errors import Unavailable
from penguinmails_core.kit.crypto import CryptoError, SecretBox
from penguinmails_core.kit.db import Connection, Pool
from penguinmails_core.kit.ids import random_uuid
from penguinmails_core.oauth import keys_repository as repository

log = logging.getLogger(__name__)

ES256, RS256 = "ES256", "RS256"
ALGORITHMS = (ES256, RS256)
JWKS_MAX_AGE = timedelta(hours=1)
LEAD = 2 * JWKS_MAX_AGE  # from being published to signing
RELOAD_EVERY = 60.0  # seconds
UNKNOWN_KID_PAUSE = 5.0  # seconds between looks for a key we do not know

SigningKey = ECKey | RSAKey


@dataclass(frozen=True, slots=True)
class RingKey:
    """`signs_at` is when it begins, in Unix time of this machine."""

    kid: str
    alg: str
    key: SigningKey
    signs_at: float


class KeyRing:
    """`current(alg)` signs, `find(kid)` checks, `jwks()` is what others get. All call `ready()` first.

    `box` None: this process cannot open keys, and there is no OAuth server here.
    """

    def __init__(self, worker: Pool, box: SecretBox | None, settings: OAuthSettings) -> None:
        self._pool = worker
        self._box = box
        self._every = settings.key_rotation
        self._keep = settings.access_token_lifetime + timedelta(hours=1)  # id_tokens live one hour
        self._keys: list[RingKey] = []
        self._loaded = 0.0
        self._lock = asyncio.Lock()

    async def ready(self, *, fresh: bool = False) -> None:
        """Loads, and rotates when it is time. Raises `Unavailable` without a box or a database."""
        if not fresh and self._keys and time.monotonic() - self._loaded < RELOAD_EVERY:
            return
        async with self._lock:
            age = time.monotonic() - self._loaded
            if self._keys and age < (UNKNOWN_KID_PAUSE if fresh else RELOAD_EVERY):
                return
            await self._load()

    def current(self, alg: str) -> RingKey:
        now = time.time()
        return next(key for key in self._keys if key.alg == alg and key.signs_at <= now)

    async def find(self, kid: str, alg: str) -> RingKey | None:
        await self.ready()
        found = self._by_id(kid, alg)
        if found is None:
            await self.ready(fresh=True)  # another process may have rotated
            found = self._by_id(kid, alg)
        return found

    def jwks(self) -> dict[str, Any]:
        """Public keys of the ring (RFC 7517 §5), those of the next rotation included."""
        return {"keys": [_public(key) for key in self._keys]}

    async def rotate(self) -> list[str]:
        """Publish new keys now; they sign after `LEAD`. Returns their ids. Does nothing while new ones wait."""
        box = self._opened()
        async with self._pool.acquire() as connection, connection.transaction():
            await repository.lock(connection)
            made = []
            for alg in ALGORITHMS:
                rows = [row for row in await repository.load(connection) if row["alg"] == alg]
                if not any(row["signs_for"] < 0 for row in rows):
                    made.append(await self._insert(connection, box, alg, LEAD if rows else timedelta()))
        async with self._lock:
            await self._load()
        return made

    def _by_id(self, kid: str, alg: str) -> RingKey | None:
        return next((key for key in self._keys if key.kid == kid and key.alg == alg), None)

    def _opened(self) -> SecretBox:
        if self._box is None:
            raise Unavailable("This server cannot open signing keys: its operator must set PENGUINMAILS_SECRET_KEYS.")
        return self._box

    async def _load(self) -> None:
        box = self._opened()
        rows = await repository.load(self._pool)
        if self._needs_work(rows):
            async with self._pool.acquire() as connection, connection.transaction():
                await repository.lock(connection)
                await self._keep_in_order(connection, box, await repository.load(connection))
                rows = await repository.load(connection)
        now = time.time()
        self._keys = [RingKey(row["kid"], row["alg"], _open(box, row), now - row["signs_for"]) for row in rows]
        self._loaded = time.monotonic()

    def _needs_work(self, rows: Sequence[Any]) -> bool:
        return any(self._due(rows, alg) for alg in ALGORITHMS) or bool(self._over(rows))

    def _due(self, rows: Sequence[Any], alg: str) -> bool:
        """No key that signs, or the newest one has signed for long enough."""
        ages = [row["signs_for"] for row in rows if row["alg"] == alg]
        return not ages or max(ages) < 0 or min(ages) > (self._every - LEAD).total_seconds()

    def _over(self, rows: Sequence[Any]) -> list[str]:
        """Keys whose successor has signed for longer than anything lives that they signed."""
        over = []
        for alg in ALGORITHMS:
            ring = [row for row in rows if row["alg"] == alg]  # the newest first
            over += [old["kid"] for newer, old in pairwise(ring) if newer["signs_for"] > self._keep.total_seconds()]
        return over

    async def _keep_in_order(self, connection: Connection, box: SecretBox, rows: Sequence[Any]) -> None:
        for alg in ALGORITHMS:
            if self._due(rows, alg):
                signing = any(row["alg"] == alg and row["signs_for"] >= 0 for row in rows)
                await self._insert(connection, box, alg, LEAD if signing else timedelta())
        if over := self._over(rows):
            await repository.delete(connection, over)
            log.info("dropped %d signing keys that nothing unexpired was signed with", len(over))

    async def _insert(self, connection: Connection, box: SecretBox, alg: str, signs_in: timedelta) -> str:
        kid = random_uuid().hex
        key = await asyncio.to_thread(_generate, alg)
        await repository.insert(connection, kid, alg, box.seal(key, _context(kid)), signs_in)
        log.info("made a signing key (%s, %s)", alg, kid)
        return kid


def _generate(alg: str) -> bytes:
    made: SigningKey = ECKey.generate_key("P-256") if alg == ES256 else RSAKey.generate_key(2048)
    return made.as_pem(private=True)


def _context(kid: str) -> bytes:
    return f"oauth_signing_keys:{kid}".encode()


def _open(box: SecretBox, row: Any) -> SigningKey:
    try:
        pem = box.open(row["private_key"], _context(row["kid"]))
    except CryptoError as error:
        raise Unavailable(f"A signing key cannot be opened: {error}.") from None
    return ECKey.import_key(pem) if row["alg"] == ES256 else RSAKey.import_key(pem)


def _public(key: RingKey) -> dict[str, Any]:
    return dict(key.key.as_dict(private=False)) | {"kid": key.kid, "alg": key.alg, "use": "sig"}
