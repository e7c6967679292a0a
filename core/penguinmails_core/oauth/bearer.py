"""From an access token to the caller, for the gateway. Hot: a token seen a moment ago costs one hash and one dict.

Signature and times are checked once; whether the grant still stands, and what the person may do now, is read from
PostgreSQL and believed for a few seconds. The doorbell shortens that when something is revoked.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from penguinmails_core.api_keys.authenticator import Credential
from penguinmails_core.errors import Unauthenticated, Unavailable
from penguinmails_core.kit.db import FAILED, Database
from penguinmails_core.kit.doorbell import TOKENS, Doorbell
from penguinmails_core.kit.tasks import end
from penguinmails_core.oauth import flow_repository as repository
from penguinmails_core.oauth.access import rights_of
from penguinmails_core.oauth.keys import KeyRing
from penguinmails_core.oauth.records import CLI
from penguinmails_core.oauth.scopes import api_scopes
from penguinmails_core.oauth.tokens import LEEWAY, AccessToken, InvalidToken, read_access_token
from penguinmails_core.principal import Principal, PrincipalKind
from penguinmails_core.scopes import expand

log = logging.getLogger(__name__)

TTL = 5.0  # seconds that the standing of a grant is believed
MAX_ENTRIES = 10_000


@dataclass(frozen=True, slots=True)
class TokenCredential(Credential):
    """`jkt`: the key that whoever shows this token must prove to hold (RFC 9449)."""

    jkt: str | None = None

    def check(self) -> Principal:
        """Raises `Unauthenticated` when the token has expired meanwhile."""
        if self.revoked:
            raise refused("This access was revoked. Ask the person again.")
        if self.expires_at is not None and self.expires_at <= time.time():
            raise refused("The access token has expired. Use the refresh token to get another one.")
        return self.principal


@dataclass(slots=True)
class _Entry:
    token: AccessToken
    credential: TokenCredential
    good_until: float


class TokenAuthenticator:
    """A `CredentialSource`. `resources` tells issuer and audiences, which are known once the server listens."""

    def __init__(
        self,
        database: Database,
        ring: KeyRing,
        doorbell: Doorbell | None,
        resources: Callable[[], tuple[str, tuple[str, ...]]],
        *,
        ttl: float = TTL,
    ) -> None:
        self._database = database
        self._ring = ring
        self._doorbell = doorbell
        self._resources = resources
        self._ttl = ttl
        self._cache: dict[bytes, _Entry] = {}
        self._generation = 0
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        if self._doorbell is not None:
            self._task = asyncio.create_task(self._forget_on_ring(self._doorbell), name="oauth revocations")

    async def stop(self) -> None:
        await end(self._task)

    def known(self, bearer: str) -> bool:
        """True when the token was seen to be genuine, however long ago."""
        return sha256(bearer.encode()).digest() in self._cache

    def cached(self, bearer: str) -> TokenCredential | None:
        entry = self._cache.get(sha256(bearer.encode()).digest())
        if entry is None or entry.good_until < time.monotonic():
            return None
        return entry.credential

    async def find(self, bearer: str) -> TokenCredential:
        """Raises `Unauthenticated` for what is no token of ours, is for others, expired or revoked; `Unavailable`."""
        digest = sha256(bearer.encode()).digest()
        generation = self._generation
        entry = self._cache.get(digest)
        token = entry.token if entry is not None else await self.read(bearer)
        try:
            credential = await self._credential(token)
        except FAILED as error:
            log.warning("an access token could not be looked up (%s)", type(error).__name__)
            raise Unavailable("The database is not reachable. Try again.", headers={"Retry-After": "1"}) from None
        if generation == self._generation:
            if len(self._cache) >= MAX_ENTRIES:
                self._cache.pop(next(iter(self._cache)))
            self._cache.pop(digest, None)  # the newest go to the end, so that the oldest are dropped
            self._cache[digest] = _Entry(token, credential, time.monotonic() + self._ttl)
        return credential

    async def read(self, bearer: str) -> AccessToken:
        """Signature, issuer, audience and times only. Raises `Unauthenticated`."""
        issuer, audiences = self._resources()
        try:
            return await read_access_token(self._ring, bearer, issuer, audiences)
        except InvalidToken as error:
            raise refused(str(error)) from None

    def forget(self) -> None:
        """Look at every grant anew."""
        self._generation += 1
        for entry in self._cache.values():
            entry.good_until = 0.0

    async def _credential(self, token: AccessToken) -> TokenCredential:
        row = await repository.standing(self._database.worker, token.organization_id, token.grant_id, token.jti)
        principal = await self._principal(token, row) if row is not None else None
        if row is None or principal is None or row["revoked"] or row["token_revoked"]:
            raise refused("This access was revoked. Ask the person again.")
        return TokenCredential(principal, token.expires_at + LEEWAY, False, (), jkt=token.jkt)

    async def _principal(self, token: AccessToken, row: Any) -> Principal | None:
        """None when the person has left, or the app is gone."""
        workspace_id, default = row["workspace_id"], row["default_workspace_id"]
        of_app = CLI.scopes if row["app_id"] == CLI.id else row["app_scopes"]
        if of_app is None:
            return None
        scopes = expand(api_scopes(set(token.scopes) & set(of_app)))
        if row["user_id"] is not None:
            rights = await rights_of(self._database, row["user_id"], token.organization_id, workspace_id)
            if rights is None:
                return None
            scopes &= rights.scopes & expand(api_scopes(row["scopes"]))
            workspace_id, default = rights.workspace_id, rights.default_workspace_id
        return Principal(
            id=token.grant_id,
            organization_id=token.organization_id,
            workspace_id=workspace_id,
            default_workspace_id=default,
            mode=row["mode"],
            scopes=scopes,
            kind=PrincipalKind.OAUTH,
            user_id=row["user_id"],
            app_id=row["app_id"],
        )

    async def _forget_on_ring(self, doorbell: Doorbell) -> None:
        while True:
            if await doorbell.wait(TOKENS, 3600):
                self.forget()


def refused(detail: str) -> Unauthenticated:
    return Unauthenticated(
        detail,
        headers={
            "WWW-Authenticate": f'Bearer realm="PenguinMails", error="invalid_token", error_description="{detail}"'
        },
    )
