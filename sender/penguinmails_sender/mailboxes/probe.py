"""The connection test: SMTP and IMAP at once, each with a cause of its own."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Sequence

from penguinmails_core.config import MailboxSettings
from penguinmails_core.kit.dns import Resolver
from penguinmails_core.mailboxes.oauth import OAuthFailed, OAuthTokens
from penguinmails_core.mailboxes.records import Check, Connection, MailServer
from penguinmails_sender.mailboxes.causes import CannotSignIn
from penguinmails_sender.mailboxes.imap import Imap
from penguinmails_sender.mailboxes.smtp_session import try_smtp
from penguinmails_sender.mailboxes.wire import Reach


def reach_of(settings: MailboxSettings, resolver: Resolver) -> Reach:
    """How this process calls mail servers."""
    made: list[ssl.SSLContext] = []  # once: reading the system's certificates takes some milliseconds

    def context() -> ssl.SSLContext:
        if not made:
            made.append(ssl.create_default_context())
            if settings.ca_file is not None:
                made[0].load_verify_locations(settings.ca_file)
        return made[0]

    return Reach(resolver, settings.allow_private, settings.timeout, context)


class MailboxProber:
    """Implements `Prober`."""

    def __init__(self, reach: Reach, tokens: OAuthTokens, hostname: str) -> None:
        self._reach = reach
        self._tokens = tokens
        self._hostname = hostname

    async def check(self, connection: Connection) -> Sequence[Check]:
        """Never raises for what a server does."""
        token = None
        if connection.provider is not None:
            try:
                token = (await self._tokens.refresh(connection.provider, connection.refresh_token or "")).access
            except OAuthFailed as error:
                return [error.check]
        tries = [self._smtp(connection, token)]
        if connection.imap is not None:
            tries.append(self._imap(connection.imap, token))
        return await asyncio.gather(*tries)

    async def _smtp(self, connection: Connection, token: str | None) -> Check:
        try:
            await try_smtp(self._reach, connection.smtp, token, self._hostname)
        except CannotSignIn as error:
            return error.check("smtp")
        return Check("smtp")

    async def _imap(self, server: MailServer, token: str | None) -> Check:
        try:
            session = await Imap.open(self._reach, server, token)
            await session.close()
        except CannotSignIn as error:
            return error.check("imap")
        return Check("imap")
