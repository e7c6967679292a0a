"""The server's own mail (verify, reset, invite) goes the way of all mail: accepted, signed, sent, retried.

It belongs to an organization of its own, which nobody is a member of and which has no keys: what these messages hold
are ways into accounts, and no customer's `GET /v1/emails` may show them.

    await mail.send("ada@example.com", "Subject", text="...", html="...")
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from uuid import UUID

from penguinmails_core.domains.service import create_domain
from penguinmails_core.emails.accept import Acceptor, AcceptRequest
from penguinmails_core.emails.draft import DraftLimits, draft_email, sender_of
from penguinmails_core.emails.draft_input import AttachmentInput
from penguinmails_core.errors import Conflict, Unavailable
from penguinmails_core.kit.addresses import parse_mailbox
from penguinmails_core.kit.clock import utcnow
from penguinmails_core.kit.crypto import SecretBox
from penguinmails_core.kit.db import Database
from penguinmails_core.kit.ids import new_uuid
from penguinmails_core.organizations.repository import SYSTEM_ORGANIZATION_ID
from penguinmails_core.principal import Principal
from penguinmails_core.system_mail import repository

log = logging.getLogger(__name__)

ORGANIZATION_ID = SYSTEM_ORGANIZATION_ID
WORKSPACE_ID = UUID("00000000-0000-7000-8000-000000000002")
SENDER_ID = UUID("00000000-0000-7000-8000-000000000003")  # stands where a customer's message has its API key
LOCAL_SENDER = "PenguinMails <noreply@system.test>"  # of stacks that nothing leaves
_NAME = "PenguinMails system mail"
_RETENTION = timedelta(days=1)  # bodies hold links into accounts
_HORIZON = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class _Message:
    """An `EmailInput`."""

    from_: str
    to: Sequence[str] | str
    subject: str
    text: str | None
    html: str | None
    cc: Sequence[str] | str = ()
    bcc: Sequence[str] | str = ()
    reply_to: Sequence[str] | str = ()
    headers: Mapping[str, str] = field(default_factory=lambda: {"Auto-Submitted": "auto-generated"})
    attachments: Sequence[AttachmentInput] = ()
    tags: Sequence[str] = ("system",)
    metadata: Mapping[str, str] = field(default_factory=dict)
    scheduled_at: datetime | None = None
    message_class: str = "transactional"
    unsubscribe: None = None
    tracking: None = None


class SystemMail:
    """`sender` is the From of every message (PENGUINMAILS_SYSTEM_MAIL_FROM); None says that this server sends none."""

    def __init__(self, acceptor: Acceptor, limits: DraftLimits, sender: str | None) -> None:
        self._acceptor = acceptor
        self._limits = replace(limits, horizon=_HORIZON, retention={"transactional": _RETENTION})
        self._sender = sender

    @property
    def enabled(self) -> bool:
        return self._sender is not None

    async def send(self, to: str, subject: str, *, text: str, html: str | None = None) -> None:
        """Returns once the message is safe on disk. Raises `Unavailable` when no sender is configured or the database
        is away, `Unprocessable` for an address that takes no mail."""
        if self._sender is None:
            raise Unavailable("This server sends no mail of its own: PENGUINMAILS_SYSTEM_MAIL_FROM is not set.")
        message = _Message(self._sender, to, subject, text, html)
        principal = Principal(SENDER_ID, ORGANIZATION_ID, None, WORKSPACE_ID, "live", frozenset())
        draft = draft_email(
            principal,
            message,
            sender=sender_of(message),
            workspace_id=WORKSPACE_ID,
            limits=self._limits,
            now=utcnow(),
        )
        await self._acceptor.accept(AcceptRequest(ORGANIZATION_ID, SENDER_ID, [draft.rows], new_uuid()))


async def prepare(database: Database, box: SecretBox, sender: str, *, nothing_leaves: bool) -> None:
    """Before the first message: the system organization, and DKIM keys for the sender's domain.

    With `nothing_leaves` (the capture inbox) that is all; otherwise the DNS records to publish are logged when the keys
    are made. Harmless to repeat, also at once. Raises `AddressError` for a malformed sender.
    """
    domain = parse_mailbox(sender).domain
    await repository.ensure_organization(database.worker, ORGANIZATION_ID, WORKSPACE_ID, _NAME)
    owner = await repository.domain_owner(database.worker, domain)
    if owner is None:
        try:
            made = await create_domain(database, box, ORGANIZATION_ID, WORKSPACE_ID, domain, verified=True)
        except Conflict:
            return  # another process made it at the same moment
        if not nothing_leaves:
            records = "; ".join(f"{name} TXT {value}" for name, value in made.records.items())
            log.warning("system mail from %s is signed once these are published: %s", domain, records)
    elif owner != ORGANIZATION_ID:
        log.warning(
            "system mail from %s goes out unsigned: the domain is another organization's. "
            "Set PENGUINMAILS_SYSTEM_MAIL_FROM to a sub-domain of its own",
            domain,
        )
