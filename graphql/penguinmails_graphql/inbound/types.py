"""Where webhooks of others come in, and what came."""

from __future__ import annotations

import base64
from datetime import datetime
from enum import StrEnum
from typing import Self

import strawberry
from strawberry.scalars import JSON

from penguinmails_core import models
from penguinmails_core.inbound.schemes import InboundScheme
from penguinmails_core.kit import ids
from penguinmails_core.kit.clock import utcnow
from penguinmails_core.kit.ids import Prefix
from penguinmails_graphql.relay import Node
from penguinmails_graphql.scalars import DateTime

strawberry.enum(InboundScheme, description="How the sender proves itself.")


@strawberry.enum
class InboundSourceStatus(StrEnum):
    ENABLED = "enabled"
    DISABLED = "disabled"


@strawberry.enum(description="`FAILED`: an integration gave up. `REJECTED`: the sender was not proven.")
class InboundMessageStatus(StrEnum):
    PENDING = "pending"
    PROCESSED = "processed"
    FAILED = "failed"
    REJECTED = "rejected"


@strawberry.type(description="A secret that counts; the secret itself is not shown.")
class InboundSecretInfo:
    created_at: DateTime
    expires_at: DateTime | None = strawberry.field(description="Null for the current one.")


@strawberry.type(description="Where webhooks of somebody else come in, and how they are proven.")
class InboundSource(Node):
    name: str
    scheme: InboundScheme
    url: str = strawberry.field(description="Give it to the sender. Knowing it is not enough to be believed.")
    status: InboundSourceStatus
    settings: JSON = strawberry.field(description="Those of `HMAC`, `TOKEN` and `BASIC` that were set.")
    secrets: list[InboundSecretInfo] = strawberry.field(description="Those that count, the newest first.")
    workspace_id: strawberry.ID | None
    created_at: DateTime
    updated_at: DateTime

    @classmethod
    def of(cls, row: models.InboundSource, url: str) -> Self:
        return cls(
            id=strawberry.ID(ids.encode(Prefix.INBOUND_SOURCE, row.id)),
            name=row.name,
            scheme=InboundScheme(row.scheme),
            url=url,
            status=InboundSourceStatus(row.status),
            settings=JSON(row.settings),
            secrets=_secrets(row),
            workspace_id=strawberry.ID(ids.encode(Prefix.WORKSPACE, row.workspace_id)) if row.workspace_id else None,
            created_at=DateTime(row.created_at),
            updated_at=DateTime(row.updated_at),
        )


def _secrets(row: models.InboundSource) -> list[InboundSecretInfo]:
    found = []
    for entry in row.secrets:
        end = datetime.fromisoformat(entry["expires_at"]) if entry["expires_at"] else None
        if end is None or end > utcnow():
            made = datetime.fromisoformat(entry["created_at"])
            found.append(InboundSecretInfo(created_at=DateTime(made), expires_at=DateTime(end) if end else None))
    return found


@strawberry.type(description="What one integration made of a message.")
class InboundHandling:
    handler: str
    status: str = strawberry.field(description="`pending`, `done` or `failed`.")
    attempts: int
    error: str | None


@strawberry.type(description="A webhook of somebody else that came in. In lists, headers and body are null.")
class InboundMessage(Node):
    source_id: strawberry.ID
    scheme: InboundScheme
    status: InboundMessageStatus
    rejection: str | None
    event: str | None
    delivery_id: str | None
    size_bytes: int
    duplicates: int
    handlers: list[InboundHandling]
    next_attempt_at: DateTime | None
    received_at: DateTime
    processed_at: DateTime | None
    headers: JSON | None = strawberry.field(description="Credentials and signatures are masked.")
    body: str | None = strawberry.field(description="As it came, or base64 where that is no UTF-8.")
    body_encoding: str | None = strawberry.field(description="`utf-8` or `base64`.")

    @classmethod
    def of(cls, row: models.InboundMessage, *, whole: bool = False) -> Self:
        body, encoding = _shown(row.body) if whole else (None, None)
        return cls(
            id=strawberry.ID(ids.encode(Prefix.INBOUND_MESSAGE, row.id)),
            source_id=strawberry.ID(ids.encode(Prefix.INBOUND_SOURCE, row.source_id)),
            scheme=InboundScheme(row.scheme),
            status=InboundMessageStatus(row.status),
            rejection=row.rejection,
            event=row.event,
            delivery_id=row.delivery_id,
            size_bytes=row.size_bytes,
            duplicates=row.duplicates,
            handlers=[
                InboundHandling(handler=name, status=state["status"], attempts=state["attempts"], error=state["error"])
                for name, state in sorted(row.handlers.items())
            ],
            next_attempt_at=DateTime(row.due_at) if row.due_at else None,
            received_at=DateTime(row.received_at),
            processed_at=DateTime(row.processed_at) if row.processed_at else None,
            headers=JSON(row.headers) if whole else None,
            body=body,
            body_encoding=encoding,
        )


def _shown(body: bytes) -> tuple[str, str]:
    try:
        return body.decode(), "utf-8"
    except UnicodeDecodeError:
        return base64.b64encode(body).decode(), "base64"
