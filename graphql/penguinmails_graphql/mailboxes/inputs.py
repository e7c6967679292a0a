"""What mutations of mailboxes take."""

from __future__ import annotations

from typing import Any

import strawberry

from penguinmails_core.errors import FieldError
from penguinmails_core.kit.ids import Prefix
from penguinmails_core.mailboxes import rules
from penguinmails_graphql.mailboxes.types import MailboxProvider, MailboxTls
from penguinmails_graphql.relay import argument_id

_RANGES = {
    "daily_cap": (1, rules.MAX_DAILY),
    "hourly_cap": (1, rules.MAX_HOURLY),
    "min_gap_seconds": (0, rules.MAX_GAP),
    "gap_jitter_seconds": (0, rules.MAX_JITTER),
}


@strawberry.input(description="Where mail is handed in, or replies are read. Passwords are sealed and never shown.")
class MailboxServerInput:
    host: str
    port: int
    tls: MailboxTls = MailboxTls.IMPLICIT
    username: str | None = strawberry.field(default=None, description="Left out: the address.")
    password: str | None = None

    def asked(self) -> dict[str, Any]:
        return {
            "host": self.host[:254],
            "port": self.port,
            "tls": str(self.tls),
            "username": self.username,
            "password": self.password,
        }


@strawberry.input(description="Instead of servers and passwords.")
class MailboxOauthInput:
    provider: MailboxProvider
    refresh_token: str

    def asked(self) -> dict[str, Any]:
        return {"provider": str(self.provider), "refresh_token": self.refresh_token}


@strawberry.input
class CreateMailboxInput:
    address: str
    display_name: str | None = None
    aliases: list[str] = strawberry.field(default_factory=list)
    signature_html: str | None = None
    signature_text: str | None = None
    smtp: MailboxServerInput | None = None
    imap: MailboxServerInput | None = None
    oauth: MailboxOauthInput | None = None
    daily_cap: int = rules.DAILY_CAP
    hourly_cap: int = rules.HOURLY_CAP
    min_gap_seconds: int = rules.MIN_GAP
    gap_jitter_seconds: int = rules.GAP_JITTER
    workspace_id: strawberry.ID | None = None
    verify: bool = strawberry.field(default=True, description="Sign in first, and refuse when that does not work.")

    def asked(self) -> dict[str, Any]:
        names = ("address", "display_name", "aliases", "signature_html", "signature_text", *_RANGES)
        found = {name: getattr(self, name) for name in names} | _servers(self)
        check(found)
        return found | {"workspace_id": argument_id(Prefix.WORKSPACE, self.workspace_id, "/workspace_id")}


@strawberry.input(description="A mailbox of an import; see `CreateMailboxInput`.")
class MailboxRowInput:
    address: str
    display_name: str | None = None
    aliases: list[str] = strawberry.field(default_factory=list)
    signature_html: str | None = None
    signature_text: str | None = None
    smtp: MailboxServerInput | None = None
    imap: MailboxServerInput | None = None
    oauth: MailboxOauthInput | None = None
    daily_cap: int = rules.DAILY_CAP
    hourly_cap: int = rules.HOURLY_CAP
    min_gap_seconds: int = rules.MIN_GAP
    gap_jitter_seconds: int = rules.GAP_JITTER

    def asked(self) -> dict[str, Any]:
        names = ("address", "display_name", "aliases", "signature_html", "signature_text", *_RANGES)
        found = {name: getattr(self, name) for name in names} | _servers(self)
        check(found)
        return found


@strawberry.input(description="Only what is given is changed; `smtp` and `imap` are replaced as a whole.")
class UpdateMailboxInput:
    id: strawberry.ID
    display_name: str | None = strawberry.UNSET
    aliases: list[str] | None = strawberry.UNSET
    signature_html: str | None = strawberry.UNSET
    signature_text: str | None = strawberry.UNSET
    smtp: MailboxServerInput | None = strawberry.UNSET
    imap: MailboxServerInput | None = strawberry.UNSET
    oauth: MailboxOauthInput | None = strawberry.UNSET
    daily_cap: int | None = strawberry.UNSET
    hourly_cap: int | None = strawberry.UNSET
    min_gap_seconds: int | None = strawberry.UNSET
    gap_jitter_seconds: int | None = strawberry.UNSET
    verify: bool = True

    def changes(self) -> dict[str, Any]:
        nullable = ("display_name", "signature_html", "signature_text", "imap")
        found: dict[str, Any] = {}
        for name in (*nullable, "aliases", "smtp", "oauth", *_RANGES):
            value = getattr(self, name)
            if value is strawberry.UNSET or (value is None and name not in nullable):
                continue
            found[name] = value.asked() if isinstance(value, MailboxServerInput | MailboxOauthInput) else value
        check(found)
        return found


def _servers(given: CreateMailboxInput | MailboxRowInput) -> dict[str, Any]:
    return {
        name: value.asked() if (value := getattr(given, name)) is not None else None
        for name in ("smtp", "imap", "oauth")
    }


def check(values: dict[str, Any]) -> None:
    """The ranges that REST has in its schema. Raises `Unprocessable`."""
    errors = []
    for name, (least, most) in _RANGES.items():
        if name in values and not least <= values[name] <= most:
            detail = f"`{name}` must be {least} to {most}."
            errors.append(FieldError(f"/input/{name}", "out_of_range", detail))
    for name in ("smtp", "imap"):
        server = values.get(name)
        if server is not None and not 1 <= server["port"] <= 65535:
            errors.append(FieldError(f"/input/{name}/port", "out_of_range", "A port is 1 to 65535."))
    rules.refuse(errors)


__all__ = [
    "CreateMailboxInput",
    "MailboxOauthInput",
    "MailboxRowInput",
    "MailboxServerInput",
    "UpdateMailboxInput",
]
