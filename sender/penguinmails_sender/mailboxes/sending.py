"""Mail that goes out through somebody's own mailbox: a permission from the database, then its SMTP server."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from penguinmails_core.kit.crypto import CryptoError, SecretBox
from penguinmails_core.kit.db import Database
from penguinmails_core.mailboxes.oauth import OAuthFailed
from penguinmails_core.mailboxes.pace import Permit, Wait, permit
from penguinmails_core.mailboxes.service import secret_context
from penguinmails_core.mailboxes.tokens import MailboxTokens
from penguinmails_sender.mailboxes.causes import CannotSignIn
from penguinmails_sender.mailboxes.wire import Reach, resolve
from penguinmails_sender.smtp import Envelope, Outcome, RecipientResult, TlsPolicy
from penguinmails_sender.transports.smtp import SmtpTransport

_TLS = {"implicit": TlsPolicy.IMPLICIT, "starttls": TlsPolicy.REQUIRED, "none": TlsPolicy.OFF}
_MOST_LINES = 10_000


@dataclass(slots=True)
class _Line:
    """Who of a mailbox waits here: `until` (monotonic) is when the last of them comes."""

    until: float = 0.0


class MailboxSender:
    """`permit` before every message; what it gives is a transport for that one message."""

    def __init__(
        self,
        database: Database,
        box: SecretBox,
        tokens: MailboxTokens,
        reach: Reach,
        hostname: str,
        rng: random.Random | None = None,
    ) -> None:
        self._database = database
        self._box = box
        self._tokens = tokens
        self._reach = reach
        self._hostname = hostname
        self._rng = rng or random.Random()
        self._lines: dict[UUID, _Line] = {}

    async def permit(self, organization_id: UUID, mailbox_id: UUID, weight: int) -> MailboxTransport | Wait | None:
        """None: the mailbox is gone."""
        async with self._database.worker.acquire() as connection, connection.transaction():
            found = await permit(connection, organization_id, mailbox_id, weight, self._rng)
        if isinstance(found, Permit):
            return MailboxTransport(self, found.row)
        return self._in_line(mailbox_id, found) if found is not None else None

    def _in_line(self, mailbox_id: UUID, wait: Wait) -> Wait:
        """One after another, a gap apart, instead of all at the moment when one place is free: a thousand messages
        behind a cap would otherwise be claimed a thousand times for each that goes."""
        if len(self._lines) > _MOST_LINES:
            self._lines.clear()
        line, now = self._lines.setdefault(mailbox_id, _Line()), time.monotonic()
        line.until = max(now + wait.seconds, line.until + max(wait.gap, 1.0) if line.until > now else 0.0)
        return Wait(wait.reason, min(line.until - now, 6 * 3600.0), wait.detail, wait.gap)

    async def transport_of(self, row: Any) -> SmtpTransport:
        """Connected to an address that was checked. Raises `CannotSignIn`, `OAuthFailed` and `CryptoError`."""
        addresses = await resolve(self._reach, row["smtp_host"])
        token = password = None
        if row["auth"] == "oauth":
            token = await self._tokens.access(row["organization_id"], row["id"])
        else:
            password = self._box.open(row["smtp_password"], secret_context(row["id"], "smtp")).decode()
        tls = _TLS[row["smtp_tls"]]
        return SmtpTransport(
            addresses[0],
            row["smtp_port"],
            final=False,
            username=row["smtp_username"],
            password=token if password is None else password,
            xoauth2=token is not None,
            tls=tls,
            hostname=self._hostname,
            max_connections=1,
            ssl_context=self._reach.context() if tls is not TlsPolicy.OFF else None,
            tls_name=row["smtp_host"],
        )


class MailboxTransport:
    """A transport for one message: a mailbox sends minutes apart, so no connection is kept."""

    final = False

    def __init__(self, sender: MailboxSender, row: Any) -> None:
        self._sender = sender
        self._row = row

    async def deliver(self, envelope: Envelope) -> list[RecipientResult]:
        """See `Transport.deliver`. Nothing that the provider says of our sign-in is the recipient's fault."""
        try:
            transport = await self._sender.transport_of(self._row)
        except (CannotSignIn, OAuthFailed, CryptoError) as error:
            return [RecipientResult(address, Outcome.DEFERRED, reply=str(error)) for address in envelope.recipients]
        try:
            return await transport.deliver(envelope)
        finally:
            await transport.aclose()

    async def aclose(self) -> None:
        return None
