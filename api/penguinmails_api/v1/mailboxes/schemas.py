"""Mailboxes as the API shows them."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated, Any, Self
from uuid import UUID

from pydantic import Field

from penguinmails_api.v1.common import Page, RequestBody, Resource, Timestamp, from_path, typeid
from penguinmails_api.v1.limits import AtMost
from penguinmails_api.v1.paging import OF_WORKSPACE, PageQuery, WorkspaceFilter, next_cursor
from penguinmails_core import models
from penguinmails_core.errors import FieldError, Unprocessable
from penguinmails_core.kit import ids
from penguinmails_core.kit.ids import Prefix
from penguinmails_core.mailboxes import records, rules

MailboxIdInPath = Annotated[UUID, from_path(Prefix.MAILBOX, "mailbox"), typeid(Prefix.MAILBOX)]


class MailboxStatus(StrEnum):
    CONNECTED = "connected"
    DISCONNECTED = "disconnected"
    PAUSED = "paused"


class MailboxAuth(StrEnum):
    PASSWORD = "password"  # noqa: S105  (a way to sign in)
    OAUTH = "oauth"


class MailboxProvider(StrEnum):
    GOOGLE = "google"
    MICROSOFT = "microsoft"


class MailboxTls(StrEnum):
    IMPLICIT = "implicit"
    STARTTLS = "starttls"
    NONE = "none"


Tls = Annotated[
    MailboxTls,
    Field(
        description="`implicit`: TLS from the first octet (ports 465, 993); `starttls`: ports 587, 143; `none`: only "
        "for servers in the operator's own network."
    ),
]
Host = Annotated[str, Field(max_length=253, description="Name or address.", examples=["smtp.example.com"])]
Port = Annotated[int, Field(strict=True, ge=1, le=65535)]
User = Annotated[str | None, Field(max_length=320, description="Left out: the address.", examples=[None])]
Secret = Annotated[
    str | None,
    Field(
        max_length=1000,
        description="Sealed, and never shown again. Left out in a change, the one that is stored stays, as long as "
        "host, port, TLS and user name do.",
        examples=["app-password"],
    ),
]


class MailboxSmtp(RequestBody):
    """Where mail is handed in."""

    host: Host
    port: Port = 465
    tls: Tls = MailboxTls.IMPLICIT
    username: User = None
    password: Secret = None


class MailboxImap(RequestBody):
    """Where replies are read. Left out, the mailbox sends and nobody reads its replies. Without a password, that of
    `smtp` counts when the user is the same and the host of the same domain."""

    host: Annotated[str, Field(max_length=253, description="Name or address.", examples=["imap.example.com"])]
    port: Port = 993
    tls: Tls = MailboxTls.IMPLICIT
    username: User = None
    password: Secret = None


class MailboxServerUpdate(RequestBody):
    """A mail server, as a whole: a change that left out the port would otherwise change it, too."""

    host: Host
    port: Port = Field(examples=[465])
    tls: Tls
    username: User = None
    password: Secret = None


class MailboxOauth(RequestBody):
    """Instead of servers and passwords: those of the provider, by a refresh token of the server's OAuth app there."""

    provider: MailboxProvider
    refresh_token: str = Field(min_length=1, max_length=4000, description="Sealed.", examples=["1//0gQx-refresh-token"])


DisplayName = Annotated[
    Annotated[str, AtMost(maxLength=rules.MAX_NAME)] | None,
    Field(description="The name in From.", examples=["Grace Hopper"]),
]
Aliases = Annotated[
    list[Annotated[str, Field(max_length=320)]],
    AtMost(maxItems=rules.MAX_ALIASES),
    Field(description="Other addresses that may stand in From.", examples=[["g.hopper@penguins.example"]]),
]
SignatureHtml = Annotated[
    Annotated[str, AtMost(maxLength=rules.MAX_SIGNATURE)] | None,
    Field(examples=["<p>Grace Hopper<br>Penguins Ltd</p>"]),
]
SignatureText = Annotated[
    Annotated[str, AtMost(maxLength=rules.MAX_SIGNATURE)] | None, Field(examples=["Grace Hopper, Penguins Ltd"])
]
DailyCap = Annotated[
    int, Field(strict=True, ge=1, le=rules.MAX_DAILY, description="Recipients in any 24 hours.", examples=[30])
]
HourlyCap = Annotated[
    int, Field(strict=True, ge=1, le=rules.MAX_HOURLY, description="Recipients in any 60 minutes.", examples=[10])
]
MinGap = Annotated[
    int, Field(strict=True, ge=0, le=rules.MAX_GAP, description="Seconds between two messages.", examples=[120])
]
Jitter = Annotated[
    int, Field(strict=True, ge=0, le=rules.MAX_JITTER, description="Up to so many seconds more.", examples=[60])
]
Verify = Annotated[
    bool,
    Field(
        strict=True,
        description="Sign in by SMTP and IMAP first, and refuse with the cause when that does not work. Without it, "
        "nothing is sent until a test succeeds. In test mode nothing is called, and everything works.",
        examples=[False],
    ),
]


class _MailboxFields(RequestBody):
    address: str = Field(max_length=320, examples=["grace@penguins.example"])
    display_name: DisplayName = None
    aliases: Aliases = Field(default_factory=list)
    signature_html: SignatureHtml = None
    signature_text: SignatureText = None
    smtp: MailboxSmtp | None = None
    imap: MailboxImap | None = None
    oauth: MailboxOauth | None = Field(None, examples=[None])
    daily_cap: DailyCap = rules.DAILY_CAP
    hourly_cap: HourlyCap = rules.HOURLY_CAP
    min_gap_seconds: MinGap = rules.MIN_GAP
    gap_jitter_seconds: Jitter = rules.GAP_JITTER


class MailboxRow(_MailboxFields):
    """One row of an import."""

    def asked(self) -> dict[str, Any]:
        return self.model_dump(mode="json") | {"imap": self.imap.model_dump(mode="json") if self.imap else None}


class MailboxCreate(_MailboxFields):
    workspace_id: Annotated[str, typeid(Prefix.WORKSPACE)] | None = Field(
        None, description="Left out: the credential's own workspace, or the default one.", examples=[None]
    )
    verify: Verify = True

    def asked(self) -> dict[str, Any]:
        found = self.model_dump(mode="json", exclude={"verify"})
        return found | {"workspace_id": _workspace(self.workspace_id)}


def _workspace(value: str | None) -> UUID | None:
    try:
        return ids.decode(Prefix.WORKSPACE, value) if value is not None else None
    except ids.IdError as error:
        detail = f"`workspace_id`: {error}."
        raise Unprocessable(detail, errors=[FieldError("/workspace_id", "invalid_id", detail)]) from None


def _unset() -> Any:
    """Of a field that may be left out and may not be null. Never read: see `changes`."""


class MailboxUpdate(RequestBody):
    """Only what is given is changed; `smtp` and `imap` are replaced as a whole. The address stays."""

    display_name: DisplayName = None
    aliases: Aliases = Field(default_factory=_unset)
    signature_html: SignatureHtml = None
    signature_text: SignatureText = None
    smtp: MailboxServerUpdate = Field(default_factory=_unset)
    imap: MailboxServerUpdate | None = None
    oauth: MailboxOauth = Field(default_factory=_unset)
    daily_cap: DailyCap = Field(default_factory=_unset)
    hourly_cap: HourlyCap = Field(default_factory=_unset)
    min_gap_seconds: MinGap = Field(default_factory=_unset)
    gap_jitter_seconds: Jitter = Field(default_factory=_unset)
    verify: Verify = Field(default_factory=_unset)

    @property
    def tried(self) -> bool:
        """Unless the caller says otherwise."""
        return "verify" not in self.model_fields_set or self.verify

    def changes(self) -> dict[str, Any]:
        return self.model_dump(mode="json", include=self.model_fields_set - {"verify"})


class MailboxServer(Resource):
    """A mail server of the mailbox; its password is not shown."""

    host: str = Field(examples=["smtp.example.com"])
    port: int = Field(examples=[465])
    tls: MailboxTls
    username: str = Field(examples=["grace@penguins.example"])


class MailboxError(Resource):
    """What did not work when the mailbox was signed in to last."""

    protocol: str = Field(description="`smtp`, `imap` or `oauth`.", examples=["smtp"])
    code: str = Field(description="One word for programs; docs/mailboxes.md lists them.", examples=["auth_failed"])
    detail: str = Field(examples=["smtp.example.com answered: 535 5.7.8 Authentication failed"])
    fix: str = Field(examples=["Check user name and password by signing in to the mailbox with another program."])
    at: Timestamp


class MailboxAccount(Resource):
    """Somebody's own mailbox, which mail goes out from and replies come back to."""

    id: Annotated[str, typeid(Prefix.MAILBOX)]
    address: str = Field(examples=["grace@penguins.example"])
    display_name: str | None = Field(examples=["Grace Hopper"])
    aliases: list[str] = Field(examples=[["g.hopper@penguins.example"]])
    signature_html: str | None
    signature_text: str | None
    status: MailboxStatus = Field(
        description="`disconnected`: signing in does not work, or was not tried yet; `last_error` says why. Nothing is "
        "sent unless it is `connected`."
    )
    pause_reason: str | None = Field(description="`manual`, or the rule that paused it.", examples=[None])
    auth: MailboxAuth
    oauth_provider: MailboxProvider | None = Field(examples=[None])
    smtp: MailboxServer
    imap: MailboxServer | None
    daily_cap: int = Field(examples=[30])
    hourly_cap: int = Field(examples=[10])
    min_gap_seconds: int = Field(examples=[120])
    gap_jitter_seconds: int = Field(examples=[60])
    last_error: MailboxError | None = Field(examples=[None])
    checked_at: Timestamp | None = Field(description="When signing in was tried last.")
    workspace_id: Annotated[str, typeid(Prefix.WORKSPACE)]
    paused_at: Timestamp | None
    created_at: Timestamp
    updated_at: Timestamp

    untagged = frozenset(("checked_at",))

    @classmethod
    def of(cls, row: models.Mailbox) -> Self:
        return cls(
            id=ids.encode(Prefix.MAILBOX, row.id),
            address=row.address,
            display_name=row.display_name,
            aliases=list(row.aliases),
            signature_html=row.signature_html,
            signature_text=row.signature_text,
            status=MailboxStatus(row.status),
            pause_reason=row.pause_reason,
            auth=MailboxAuth(row.auth),
            oauth_provider=MailboxProvider(row.oauth_provider) if row.oauth_provider else None,
            smtp=_server(row, "smtp"),
            imap=_server(row, "imap") if row.imap_host is not None else None,
            daily_cap=row.daily_cap,
            hourly_cap=row.hourly_cap,
            min_gap_seconds=row.min_gap_seconds,
            gap_jitter_seconds=row.gap_jitter_seconds,
            last_error=MailboxError(**row.last_error) if row.last_error else None,
            checked_at=row.checked_at,
            workspace_id=ids.encode(Prefix.WORKSPACE, row.workspace_id),
            paused_at=row.paused_at,
            created_at=row.created_at,
            updated_at=row.updated_at,
        )


def _server(row: models.Mailbox, protocol: str) -> MailboxServer:
    host, port, tls, user = (getattr(row, f"{protocol}_{name}") for name in ("host", "port", "tls", "username"))
    return MailboxServer(host=host, port=port, tls=MailboxTls(tls), username=user)


class MailboxList(Page[MailboxAccount]):
    """Mailboxes, the newest first."""

    @classmethod
    def of(cls, rows: Sequence[models.Mailbox], has_more: bool, *, backwards: bool) -> Self:
        return cls(
            data=[MailboxAccount.of(row) for row in rows],
            has_more=has_more,
            next_cursor=next_cursor([row.id for row in rows], has_more, backwards=backwards),
        )


class MailboxListQuery(PageQuery):
    status: list[MailboxStatus] = Field(default_factory=list, max_length=3, description="Any of these.")
    address: str | None = Field(None, max_length=320, description="Of this address only.")
    workspace_id: WorkspaceFilter = OF_WORKSPACE


class MailboxCheck(Resource):
    """What came of signing in by one protocol."""

    protocol: str = Field(description="`smtp`, `imap` or `oauth`.", examples=["smtp"])
    ok: bool
    code: str | None = Field(description="Why not, in one word; null when it works.", examples=[None])
    detail: str | None = Field(description="What happened, with the server's words.", examples=[None])
    fix: str | None = Field(description="What to do.", examples=[None])

    @classmethod
    def of(cls, check: records.Check) -> Self:
        return cls(protocol=check.protocol, ok=check.ok, code=check.code, detail=check.detail, fix=check.fix)


class MailboxTest(Resource):
    """A connection test, and the mailbox after it."""

    ok: bool = Field(description="Whether everything works.")
    checks: list[MailboxCheck]
    mailbox: MailboxAccount


class MailboxImport(RequestBody):
    """Either `mailboxes` or `csv`."""

    mailboxes: list[MailboxRow] | None = Field(None, min_length=1, max_length=rules.MAX_IMPORT, examples=[None])
    csv: str | None = Field(
        None,
        max_length=250_000,
        description="A table with a line of column names: `address`, `display_name`, `aliases` (separated by spaces), "
        "`signature_text`, `signature_html`, `smtp_host`, `smtp_port`, `smtp_tls`, `smtp_username`, `smtp_password`, "
        "the same with `imap_`, `daily_cap`, `hourly_cap`, `min_gap_seconds`, `gap_jitter_seconds`.",
        examples=[
            "address,smtp_host,smtp_password,imap_host\nada@penguins.example,smtp.example.com,app-password,imap.example.com"
        ],
    )


class MailboxImportError(Resource):
    pointer: str = Field(description="The field, as a JSON Pointer into the row.", examples=["/address"])
    code: str = Field(examples=["conflict"])
    detail: str = Field(examples=["ada@penguins.example has been added to this organization already."])


class MailboxImportRow(Resource):
    index: int = Field(description="Of the row, from 0.", examples=[0])
    mailbox_id: Annotated[str, typeid(Prefix.MAILBOX)] | None = Field(description="Null when it was refused.")
    errors: list[MailboxImportError]


class MailboxImportResult(Resource):
    """What became of each row, in order."""

    created: int = Field(examples=[1])
    failed: int = Field(examples=[0])
    rows: list[MailboxImportRow]
