"""The access token of a mailbox: the stored one while it lasts, else a new one, fetched by one worker at a time.

A lease on the row stands for the lock, since no transaction is open while a provider is asked: one that rotates refresh
tokens would otherwise end the grant when two ask with the same.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID

from penguinmails_core.kit.clock import utcnow
from penguinmails_core.kit.crypto import SecretBox
from penguinmails_core.kit.db import Pool
from penguinmails_core.mailboxes import pace_repository as repository
from penguinmails_core.mailboxes.oauth import OAuthFailed, OAuthTokens
from penguinmails_core.mailboxes.service import secret_context

_LEASE = timedelta(seconds=30)
_EARLY = timedelta(minutes=2)  # a token that ends during the conversation is of no use
_PAUSE, _TRIES = 0.25, 140  # a little longer than the lease


class MailboxTokens:
    def __init__(self, pool: Pool, box: SecretBox, provider: OAuthTokens) -> None:
        self._pool = pool
        self._box = box
        self._provider = provider

    async def access(self, organization_id: UUID, mailbox_id: UUID) -> str:
        """Raises `OAuthFailed`."""
        for _ in range(_TRIES):
            row = await repository.read(self._pool, organization_id, mailbox_id)
            if row is None:
                break
            if row["oauth_expires_at"] is not None and row["oauth_expires_at"] > utcnow() + _EARLY:
                return self._open(row, "oauth_access_token", "access")
            leased = await repository.lease_token(self._pool, organization_id, mailbox_id, _LEASE)
            if leased is not None:
                return await self._fetch(leased)
            await asyncio.sleep(_PAUSE)
        raise OAuthFailed("oauth_unavailable", "Nobody got a token in time.", "Try again in a few minutes.")

    async def _fetch(self, row: Any) -> str:
        place = (row["organization_id"], row["id"])
        try:
            tokens = await self._provider.refresh(
                row["oauth_provider"], self._open(row, "oauth_refresh_token", "refresh")
            )
        except BaseException:
            await repository.keep_token(self._pool, *place, None, None, None)
            raise

        def seal(text: str, what: str) -> bytes:
            return self._box.seal(text.encode(), secret_context(row["id"], what))

        refresh = seal(tokens.refresh, "refresh") if tokens.refresh is not None else None
        await repository.keep_token(self._pool, *place, seal(tokens.access, "access"), tokens.expires_at, refresh)
        return tokens.access

    def _open(self, row: Any, column: str, what: str) -> str:
        return self._box.open(row[column], secret_context(row["id"], what)).decode()
