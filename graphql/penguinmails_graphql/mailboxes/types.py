"""People's own mailboxes."""

from __future__ import annotations

from enum import StrEnum
from typing import Self

import strawberry

from penguinmails_core import models
from penguinmails_core.kit import ids
from penguinmails_core.kit.ids import Prefix
from penguinmails_core.mailboxes.records import Check
from penguinmails_graphql.relay import Node
from penguinmails_graphql.scalars import DateTime


@strawberry.enum(description="Nothing is sent unless it is `CONNECTED`.")
class MailboxStatus(StrEnum):
    CONNECTED = "connected"
    DISCONNECTED = "disconnected"
    PAUSED = "paused"


@strawberry.enum
class MailboxAuth(StrEnum):
    PASSWORD = "password"  # noqa: S105  (a way to sign in)
    OAUTH = "oauth"


@strawberry.enum
class MailboxProvider(StrEnum):
    GOOGLE = "google"
    MICROSOFT = "microsoft"


@strawberry.enum(description="`IMPLICIT`: from the first octet; `NONE`: only in the operator's own network.")
class MailboxTls(StrEnum):
    IMPLICIT = "implicit"
    STARTTLS = "starttls"
    NONE = "none"


@strawberry.type(description="A mail server; its password is not shown.")
class MailboxServer:
    host: str
    port: int
    tls: MailboxTls
    username: str


@strawberry.type(description="What came of signing in by one protocol (`smtp`, `imap`, or `oauth` for the token).")
class MailboxCheck:
    protocol: str
    ok: bool
    code: str | None = strawberry.field(description="Why not, in one word; null when it works.")
    detail: str | None
    fix: str | None = strawberry.field(description="What to do.")

    @classmethod
    def of(cls, check: Check) -> Self:
        return cls(protocol=check.protocol, ok=check.ok, code=check.code, detail=check.detail, fix=check.fix)


@strawberry.type(description="Somebody's own mailbox, which mail goes out from and replies come back to.")
class MailboxAccount(Node):
    address: str
    display_name: str | None
    aliases: list[str]
    signature_html: str | None
    signature_text: str | None
    status: MailboxStatus
    pause_reason: str | None
    auth: MailboxAuth
    oauth_provider: MailboxProvider | None
    smtp: MailboxServer
    imap: MailboxServer | None
    daily_cap: int
    hourly_cap: int
    min_gap_seconds: int
    gap_jitter_seconds: int
    last_error: MailboxCheck | None
    checked_at: DateTime | None
    workspace_id: strawberry.ID
    paused_at: DateTime | None
    created_at: DateTime
    updated_at: DateTime

    @classmethod
    def of(cls, row: models.Mailbox) -> Self:
        same = ("address", "display_name", "signature_html", "signature_text", "pause_reason", "daily_cap")
        numbers = ("hourly_cap", "min_gap_seconds", "gap_jitter_seconds")
        error = row.last_error
        return cls(
            id=strawberry.ID(ids.encode(Prefix.MAILBOX, row.id)),
            **{name: getattr(row, name) for name in (*same, *numbers)},
            aliases=list(row.aliases),
            status=MailboxStatus(row.status),
            auth=MailboxAuth(row.auth),
            oauth_provider=MailboxProvider(row.oauth_provider) if row.oauth_provider else None,
            smtp=_server(row, "smtp"),
            imap=_server(row, "imap") if row.imap_host is not None else None,
            last_error=MailboxCheck.of(Check(*(error[name] for name in ("protocol", "code", "detail", "fix"))))
            if error
            else None,
            checked_at=DateTime(row.checked_at) if row.checked_at else None,
            workspace_id=strawberry.ID(ids.encode(Prefix.WORKSPACE, row.workspace_id)),
            paused_at=DateTime(row.paused_at) if row.paused_at else None,
            created_at=DateTime(row.created_at),
            updated_at=DateTime(row.updated_at),
        )


def _server(row: models.Mailbox, protocol: str) -> MailboxServer:
    host, port, tls, user = (getattr(row, f"{protocol}_{name}") for name in ("host", "port", "tls", "username"))
    return MailboxServer(host=host, port=port, tls=MailboxTls(tls), username=user)
