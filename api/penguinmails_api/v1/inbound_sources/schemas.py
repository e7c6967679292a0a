"""Inbound sources as the API shows them."""

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Self
from uuid import UUID

from pydantic import Field

from penguinmails_api.v1.common import Page, RequestBody, Resource, Timestamp, from_path, typeid
from penguinmails_api.v1.limits import AtMost
from penguinmails_api.v1.paging import PageQuery, next_cursor
from penguinmails_core import models
from penguinmails_core.inbound import service
from penguinmails_core.inbound.schemes import InboundScheme
from penguinmails_core.kit import ids
from penguinmails_core.kit.clock import utcnow
from penguinmails_core.kit.ids import Prefix

SourceIdInPath = Annotated[UUID, from_path(Prefix.INBOUND_SOURCE, "inbound source"), typeid(Prefix.INBOUND_SOURCE)]


class InboundSourceStatus(StrEnum):
    ENABLED = "enabled"
    DISABLED = "disabled"


class InboundAlgorithm(StrEnum):
    SHA1 = "sha1"
    SHA256 = "sha256"
    SHA384 = "sha384"
    SHA512 = "sha512"


class InboundEncoding(StrEnum):
    HEX = "hex"
    BASE64 = "base64"


class InboundSettingsGiven(RequestBody):
    """What `hmac`, `token` and `basic` leave open; the other schemes take none."""

    header: str | None = Field(
        None, max_length=100, description="Where the signature or the token stands.", examples=["X-Signature"]
    )
    prefix: str | None = Field(None, max_length=50, description="What stands before it.", examples=["sha256="])
    algorithm: InboundAlgorithm | None = Field(None, description="Of `hmac`; `sha256` when left out.")
    encoding: InboundEncoding | None = Field(None, description="Of `hmac`; `hex` when left out.")
    id_header: str | None = Field(
        None,
        max_length=100,
        description="Header with the sender's id of the delivery, by which repeats are known. Without one, two equal "
        "bodies are one message.",
        examples=["X-Delivery-Id"],
    )

    def given(self) -> dict[str, Any]:
        return self.model_dump(mode="json", exclude_none=True)


class InboundSettings(Resource):
    """Null for what was not set."""

    header: str | None = Field(examples=["X-Signature"])
    prefix: str | None = Field(examples=["sha256="])
    algorithm: InboundAlgorithm | None
    encoding: InboundEncoding | None
    id_header: str | None = Field(examples=["X-Delivery-Id"])


Name = Annotated[
    str, AtMost(maxLength=service.MAX_NAME), Field(description="For people.", examples=["HubSpot of the sales team"])
]
Secret = Annotated[
    str | None,
    Field(
        max_length=500,
        description="What the sender signs with, as it shows it; of the schemes with a password, `user:password`. Left "
        "out, one is made and shown once, where the sender lets you choose it. Never shown again.",
        examples=["a-secret-that-both-know"],
    ),
]


class InboundSourceCreate(RequestBody):
    name: Name
    scheme: InboundScheme = Field(examples=["github"])
    secret: Secret = None
    settings: InboundSettingsGiven | None = Field(None, description="Of `hmac`, `token` and `basic`.", examples=[None])


def _unset() -> Any:
    """Of a field that may be left out and may not be null. Never read: see `changes`."""


class InboundSourceUpdate(RequestBody):
    """Only what is given is changed; `settings` are replaced as a whole."""

    name: Name = Field(default_factory=_unset)
    settings: InboundSettingsGiven | None = Field(default_factory=_unset, examples=[None])
    status: InboundSourceStatus = Field(
        default_factory=_unset, description="`disabled`: its URL answers 404, and nothing is kept."
    )

    def changes(self) -> dict[str, Any]:
        found = {name: getattr(self, name) for name in self.model_fields_set}
        if "settings" in found:
            found["settings"] = found["settings"].given() if found["settings"] else {}
        return found


class InboundSecretRotate(RequestBody):
    secret: Secret = None
    overlap_seconds: int = Field(
        int(service.DEFAULT_OVERLAP.total_seconds()),
        strict=True,
        ge=0,
        le=int(service.MAX_OVERLAP.total_seconds()),
        description="How long the secrets before still count; 0 when one has leaked.",
        examples=[86400],
    )


class InboundSecretInfo(Resource):
    """A secret that counts; the secret itself is not shown."""

    created_at: Timestamp
    expires_at: Timestamp | None = Field(description="Null for the current one.")


class _InboundSource(Resource):
    id: Annotated[str, typeid(Prefix.INBOUND_SOURCE)]
    name: str = Field(examples=["HubSpot of the sales team"])
    scheme: InboundScheme
    url: str = Field(
        description="Give it to the sender: it POSTs there. Knowing it is not enough to be believed.",
        examples=["https://mail.example.com/inbound/zZ3bq0vVUyhS1nJg2b6m0wq0bGqLrj2o9w8C0kKxJ3M"],
        json_schema_extra={"format": "uri"},
    )
    status: InboundSourceStatus
    settings: InboundSettings
    secrets: list[InboundSecretInfo] = Field(description="Those that count, the newest first; at most five.")
    workspace_id: Annotated[str, typeid(Prefix.WORKSPACE)] | None = Field(
        description="Whose it is; null for the whole organization."
    )
    created_at: Timestamp
    updated_at: Timestamp


def _columns(row: models.InboundSource, url: str) -> dict[str, Any]:
    now = utcnow()
    moments = [(entry["created_at"], entry["expires_at"]) for entry in row.secrets]
    return {
        "id": ids.encode(Prefix.INBOUND_SOURCE, row.id),
        "name": row.name,
        "scheme": InboundScheme(row.scheme),
        "url": url,
        "status": InboundSourceStatus(row.status),
        "settings": InboundSettings(**{name: row.settings.get(name) for name in InboundSettings.model_fields}),
        "secrets": [
            InboundSecretInfo(created_at=datetime.fromisoformat(made), expires_at=end)
            for made, ends in moments
            if (end := datetime.fromisoformat(ends) if ends else None) is None or end > now
        ],
        "workspace_id": ids.encode(Prefix.WORKSPACE, row.workspace_id) if row.workspace_id else None,
        "created_at": row.created_at,
        "updated_at": row.updated_at,
    }


class InboundSource(_InboundSource):
    """Where webhooks of somebody else come in, and how they are proven."""

    @classmethod
    def of(cls, row: models.InboundSource, url: str) -> Self:
        return cls(**_columns(row, url))


class InboundSourceWithSecret(_InboundSource):
    """An inbound source and the secret that was made for it."""

    secret: str | None = Field(
        description="Give it to the sender; it is shown this once. Null when you gave the secret, and in a replay by "
        "Idempotency-Key.",
        examples=["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo="],
    )

    @classmethod
    def of(cls, row: models.InboundSource, url: str, secret: str | None) -> Self:
        return cls(**_columns(row, url), secret=secret)


class InboundSourceList(Page[InboundSource]):
    """Inbound sources, the newest first."""

    @classmethod
    def of(cls, found: Sequence[InboundSource], ends: Sequence[UUID], has_more: bool, *, backwards: bool) -> Self:
        return cls(data=list(found), has_more=has_more, next_cursor=next_cursor(ends, has_more, backwards=backwards))


class InboundSourceListQuery(PageQuery):
    pass
