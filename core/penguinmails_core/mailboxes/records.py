"""What passes between the service, the one who calls mail servers (the sender), and those who ask."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True)
class MailServer:
    """`tls`: `implicit`, `starttls` or `none`. `password` is None for a mailbox that signs in by OAuth."""

    host: str
    port: int
    tls: str
    username: str
    password: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Connection:
    """All that is needed to sign in. With `provider`, the password is a token that `refresh_token` buys."""

    smtp: MailServer
    imap: MailServer | None
    provider: str | None = None
    refresh_token: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Check:
    """What came of signing in by one protocol (`smtp`, `imap`, or `oauth` for the token). `code` is None when it works;
    `detail` says what happened and `fix` what to do, for people."""

    protocol: str
    code: str | None = None
    detail: str | None = None
    fix: str | None = None

    @property
    def ok(self) -> bool:
        return self.code is None


class Prober(Protocol):
    """Signs in and out again, by every protocol that the connection has."""

    async def check(self, connection: Connection) -> Sequence[Check]: ...


@dataclass(frozen=True, slots=True)
class Provider:
    """Where mailboxes of an OAuth provider are, and what a token must be good for."""

    smtp: tuple[str, int, str]
    imap: tuple[str, int, str]
    scope: str | None


PROVIDERS: dict[str, Provider] = {
    # developers.google.com/workspace/gmail/imap/xoauth2-protocol (read 2026-11)
    "google": Provider(("smtp.gmail.com", 465, "implicit"), ("imap.gmail.com", 993, "implicit"), None),
    # learn.microsoft.com/exchange/client-developer/legacy-protocols (read 2026-11)
    "microsoft": Provider(
        ("smtp.office365.com", 587, "starttls"),
        ("outlook.office365.com", 993, "implicit"),
        "https://outlook.office.com/IMAP.AccessAsUser.All https://outlook.office.com/SMTP.Send offline_access",
    ),
}
