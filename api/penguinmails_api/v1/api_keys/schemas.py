"""API keys as the API shows them."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Self
from uuid import UUID

from pydantic import Field

from penguinmails_api.v1.common import (
    Moment,
    Page,
    RequestBody,
    Resource,
    Timestamp,
    from_path,
    typeid,
)
from penguinmails_api.v1.me.schemas import Mode
from penguinmails_api.v1.paging import OF_WORKSPACE, PageQuery, WorkspaceFilter, next_cursor
from penguinmails_core import models
from penguinmails_core.api_keys import rules, service
from penguinmails_core.api_keys.presets import Preset
from penguinmails_core.errors import NotFound
from penguinmails_core.kit import ids
from penguinmails_core.kit.clock import utcnow
from penguinmails_core.kit.ids import Prefix
from penguinmails_core.scopes import Scope, expand

ApiKeyIdInPath = Annotated[UUID, from_path(Prefix.API_KEY, "API key"), typeid(Prefix.API_KEY)]
WorkspaceId = Annotated[str, Field(max_length=100), typeid(Prefix.WORKSPACE)]

Name = Annotated[
    str, Field(min_length=1, max_length=rules.MAX_NAME, description="For people.", examples=["Order service"])
]
Scopes = Annotated[
    list[Scope],
    Field(
        min_length=1,
        max_length=100,
        description="What the key may do; write scopes imply read scopes.",
        examples=[["emails:write"]],
    ),
]
_Entries = Annotated[list[Annotated[str, Field(max_length=400)]], Field(min_length=1, max_length=rules.MAX_ENTRIES)]
AllowedIps = Annotated[
    _Entries | None,
    Field(description="Addresses and networks it may be used from; null for any.", examples=[["192.0.2.0/24"]]),
]
AllowedMailboxes = Annotated[
    _Entries | None,
    Field(description="Addresses it may send from; null for any.", examples=[["orders@example.com"]]),
]
AllowedDomains = Annotated[
    _Entries | None,
    Field(description="Domains it may send from, subdomains not included; null for any.", examples=[["example.com"]]),
]
MaxSendsPerDay = Annotated[
    Annotated[int, Field(strict=True)] | None,
    Field(
        ge=1,
        le=rules.MAX_CAP,
        description="Recipients it may send to in a day (UTC), scheduled mail counted when it is accepted; null for "
        "any number. Derived keys count for their parents too.",
        examples=[1000],
    ),
]
ExpiresAt = Annotated[Moment | None, Field(description="When it ends by itself; null for never.")]


class ApiKeyStatus(StrEnum):
    ACTIVE = "active"
    EXPIRED = "expired"
    REVOKED = "revoked"


def _unset() -> Any:
    """Of a field that may be left out. Never read: see `given`."""


class _Given(RequestBody):
    def given(self) -> dict[str, Any]:
        """The fields that were sent. Raises `NotFound` for a workspace id that is none."""
        values = {name: getattr(self, name) for name in self.model_fields_set}
        if values.get("workspace_id") is not None:
            try:
                values["workspace_id"] = ids.decode(Prefix.WORKSPACE, values["workspace_id"])
            except ids.IdError as error:
                raise NotFound(f"There is no such workspace: {error}.") from None
        return values


class ApiKeyCreate(_Given):
    """A limit that is left out is the caller's own; null asks for none, which only a caller without it can give."""

    name: Name
    scopes: Scopes
    mode: Mode = Field(default_factory=_unset, description="The caller's mode unless given.")
    workspace_id: WorkspaceId | None = Field(default_factory=_unset, description="Bind the key to one workspace.")
    allowed_ips: AllowedIps = Field(default_factory=_unset)
    allowed_mailboxes: AllowedMailboxes = Field(default_factory=_unset)
    allowed_domains: AllowedDomains = Field(default_factory=_unset)
    max_sends_per_day: MaxSendsPerDay = Field(default_factory=_unset)
    expires_at: ExpiresAt = Field(default_factory=_unset)


class ApiKeyDerive(_Given):
    """A limit that is left out is the parent's."""

    name: Name
    scopes: Scopes
    allowed_ips: AllowedIps = Field(default_factory=_unset)
    allowed_mailboxes: AllowedMailboxes = Field(default_factory=_unset)
    allowed_domains: AllowedDomains = Field(default_factory=_unset)
    max_sends_per_day: MaxSendsPerDay = Field(default_factory=_unset)
    expires_at: Moment = Field(
        default_factory=_unset, description="At most 30 days ahead; an hour from now unless given."
    )


class ApiKeyUpdate(_Given):
    """Only what is given is changed; null lifts a limit."""

    name: Name = Field(default_factory=_unset)
    scopes: Scopes = Field(default_factory=_unset)
    allowed_ips: AllowedIps = Field(default_factory=_unset)
    allowed_mailboxes: AllowedMailboxes = Field(default_factory=_unset)
    allowed_domains: AllowedDomains = Field(default_factory=_unset)
    max_sends_per_day: MaxSendsPerDay = Field(default_factory=_unset)
    expires_at: ExpiresAt = Field(default_factory=_unset)


class ApiKeyRotate(RequestBody):
    overlap_seconds: Annotated[int, Field(strict=True)] = Field(
        int(service.DEFAULT_OVERLAP.total_seconds()),
        ge=0,
        le=int(service.MAX_OVERLAP.total_seconds()),
        description="How long the secret before keeps working: 24 hours unless given, at most 7 days. 0 ends it, and "
        "any earlier one, at once: use it when a secret has leaked.",
    )


class ApiKeyListQuery(PageQuery):
    mode: Mode | None = Field(None, description="Keys of this mode only. A key sees keys of its own mode only.")
    status: ApiKeyStatus | None = Field(None, description="In this status.")
    workspace_id: WorkspaceFilter = OF_WORKSPACE

    def place(self) -> dict[str, Any]:
        return super().place() | {"mode": self.mode, "status": self.status}


class _ApiKey(Resource):
    untagged: ClassVar[frozenset[str]] = frozenset({"last_used_at"})

    id: Annotated[str, typeid(Prefix.API_KEY)]
    name: str = Field(examples=["Order service"])
    hint: str = Field(description="Start and end of the secret, to recognise it by.", examples=["pm_live_8mXq…w3Zk"])
    mode: Mode
    status: ApiKeyStatus
    scopes: list[Scope]
    workspace_id: Annotated[str, typeid(Prefix.WORKSPACE)] | None = Field(
        description="The only workspace it sees; null for all."
    )
    allowed_ips: list[str] | None = Field(examples=[["192.0.2.0/24"]])
    allowed_mailboxes: list[str] | None = Field(examples=[["orders@example.com"]])
    allowed_domains: list[str] | None = Field(examples=[["example.com"]])
    max_sends_per_day: int | None = Field(examples=[1000])
    expires_at: Timestamp | None
    parent_id: Annotated[str, typeid(Prefix.API_KEY)] | None = Field(
        description="The key it was derived from: ends with it, and never may do more."
    )
    created_by_user_id: Annotated[str, typeid(Prefix.USER)] | None = Field(
        description="The person behind it: the key is revoked when they are not a member any more."
    )
    created_by_key_id: Annotated[str, typeid(Prefix.API_KEY)] | None
    rotated_at: Timestamp | None = Field(description="When it last got a new secret.")
    previous_secret_expires_at: Timestamp | None = Field(
        description="Until then the secret before the last rotation works."
    )
    revoked_at: Timestamp | None
    last_used_at: Timestamp | None = Field(description="To the minute.")
    last_used_ip: str | None = Field(examples=["192.0.2.7"])
    created_at: Timestamp
    updated_at: Timestamp


def _columns(row: models.ApiKey) -> dict[str, Any]:
    now = utcnow()
    previous = row.previous_secret_expires_at
    scopes = set(row.scopes)
    return {
        "id": ids.encode(Prefix.API_KEY, row.id),
        "name": row.name,
        "hint": row.hint,
        "mode": Mode(row.mode),
        "status": ApiKeyStatus(service.status_of(row, now)),
        "scopes": [scope for scope in Scope if scope in scopes],
        "workspace_id": _id(Prefix.WORKSPACE, row.workspace_id),
        "allowed_ips": row.allowed_ips,
        "allowed_mailboxes": row.allowed_mailboxes,
        "allowed_domains": row.allowed_domains,
        "max_sends_per_day": row.max_sends_per_day,
        "expires_at": row.expires_at,
        "parent_id": _id(Prefix.API_KEY, row.parent_id),
        "created_by_user_id": _id(Prefix.USER, row.created_by_user_id),
        "created_by_key_id": _id(Prefix.API_KEY, row.created_by_key_id),
        "rotated_at": row.rotated_at,
        "previous_secret_expires_at": previous if previous and previous > now else None,
        "revoked_at": row.revoked_at,
        "last_used_at": row.last_used_at,
        "last_used_ip": row.last_used_ip,
        "created_at": row.created_at,
        "updated_at": row.updated_at,
    }


def _id(prefix: Prefix, value: UUID | None) -> str | None:
    return ids.encode(prefix, value) if value is not None else None


class ApiKey(_ApiKey):
    """A credential. Its secret is not shown again; `rotate` gives a new one."""

    @classmethod
    def of(cls, row: models.ApiKey) -> Self:
        return cls(**_columns(row))


class ApiKeyWithSecret(_ApiKey):
    """An API key and its new secret. Keep the secret: it is shown this once."""

    secret: str | None = Field(
        description="Send it as `Authorization: Bearer ...`. Null when this is a replay by Idempotency-Key: secrets "
        "are not stored with answers.",
        examples=["pm_live_8mXqTgB1nUe0Zc5wYk3JrD7sLhVfA2P9SAMPLE"],
    )

    @classmethod
    def of(cls, row: models.ApiKey, secret: str) -> Self:
        return cls(**_columns(row), secret=secret)


class ApiKeyList(Page[ApiKey]):
    """API keys, the newest first."""

    @classmethod
    def of(cls, rows: Sequence[models.ApiKey], has_more: bool, *, backwards: bool) -> Self:
        return cls(
            data=[ApiKey.of(row) for row in rows],
            has_more=has_more,
            next_cursor=next_cursor([row.id for row in rows], has_more, backwards=backwards),
        )


class ApiKeyPreset(Resource):
    """A named bundle of scopes."""

    name: str = Field(examples=["send_email"])
    description: str
    scopes: list[Scope] = Field(description="Pass them as `scopes`. Empty when nothing of the bundle exists yet.")
    missing: list[str] = Field(
        description="What belongs to the bundle and is not in the API yet.", examples=[["campaigns"]]
    )
    grantable: bool = Field(description="Whether the caller has all of these scopes to give.")

    @classmethod
    def of(cls, preset: Preset, granted: frozenset[str]) -> Self:
        return cls(
            name=preset.name,
            description=preset.description,
            scopes=list(preset.scopes),
            missing=list(preset.missing),
            grantable=bool(preset.scopes) and expand(preset.scopes) <= granted,
        )


class ApiKeyPresets(Resource):
    """Every bundle there is."""

    data: list[ApiKeyPreset]
