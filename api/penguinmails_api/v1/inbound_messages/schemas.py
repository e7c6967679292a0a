"""Messages that came in, as the API shows them."""

import base64
from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated, Any, Self
from uuid import UUID

from pydantic import Field

from penguinmails_api.v1.common import Page, Resource, Timestamp, from_path, typeid
from penguinmails_api.v1.paging import PageQuery, next_cursor
from penguinmails_core import models
from penguinmails_core.inbound.schemes import InboundScheme
from penguinmails_core.kit import ids
from penguinmails_core.kit.ids import Prefix

MessageIdInPath = Annotated[UUID, from_path(Prefix.INBOUND_MESSAGE, "inbound message"), typeid(Prefix.INBOUND_MESSAGE)]


class InboundMessageStatus(StrEnum):
    """`pending`: a handler still has to do with it. `failed`: one gave up. `rejected`: the sender was not proven, and
    nobody was told."""

    PENDING = "pending"
    PROCESSED = "processed"
    FAILED = "failed"
    REJECTED = "rejected"


class InboundHandlingStatus(StrEnum):
    PENDING = "pending"
    DONE = "done"
    FAILED = "failed"


class InboundBodyEncoding(StrEnum):
    """`base64` for what is not UTF-8."""

    UTF8 = "utf-8"
    BASE64 = "base64"


class InboundMessageListQuery(PageQuery):
    source_id: Annotated[str, typeid(Prefix.INBOUND_SOURCE)] | None = Field(None, description="Of this source only.")
    status: list[InboundMessageStatus] = Field([], max_length=4, description="In this status; may be repeated.")


class InboundHandling(Resource):
    """What one integration made of a message."""

    handler: str = Field(examples=["hubspot_sync"])
    status: InboundHandlingStatus
    attempts: int
    error: str | None = Field(description="Why the last attempt failed.", examples=[None])


class _InboundMessage(Resource):
    id: Annotated[str, typeid(Prefix.INBOUND_MESSAGE)]
    source_id: Annotated[str, typeid(Prefix.INBOUND_SOURCE)]
    scheme: InboundScheme
    status: InboundMessageStatus
    rejection: str | None = Field(
        description="Of a rejected one, why: one word, a colon, a sentence.",
        examples=["signature_mismatch: no secret of this source fits: it is the webhook's secret"],
    )
    event: str | None = Field(description="What the sender calls it.", examples=["contact.propertyChange"])
    delivery_id: str | None = Field(description="The sender's own id of the delivery.", examples=["4f1c0e02"])
    size_bytes: int = Field(description="Of the body.", examples=[412])
    duplicates: int = Field(description="How often it came again; each was answered and dropped.", examples=[0])
    handlers: list[InboundHandling] = Field(description="Integrations that want it.")
    next_attempt_at: Timestamp | None = Field(description="When a failed handler is tried again.")
    received_at: Timestamp
    processed_at: Timestamp | None


def _columns(row: models.InboundMessage) -> dict[str, Any]:
    return {
        "id": ids.encode(Prefix.INBOUND_MESSAGE, row.id),
        "source_id": ids.encode(Prefix.INBOUND_SOURCE, row.source_id),
        "scheme": InboundScheme(row.scheme),
        "status": InboundMessageStatus(row.status),
        "rejection": row.rejection,
        "event": row.event,
        "delivery_id": row.delivery_id,
        "size_bytes": row.size_bytes,
        "duplicates": row.duplicates,
        "handlers": [
            InboundHandling(
                handler=name,
                status=InboundHandlingStatus(state["status"]),
                attempts=state["attempts"],
                error=state["error"],
            )
            for name, state in sorted(row.handlers.items())
        ],
        "next_attempt_at": row.due_at,
        "received_at": row.received_at,
        "processed_at": row.processed_at,
    }


class InboundMessage(_InboundMessage):
    """A webhook of somebody else that came in."""

    @classmethod
    def of(cls, row: models.InboundMessage) -> Self:
        return cls(**_columns(row))


class InboundMessageDetail(_InboundMessage):
    """A webhook of somebody else that came in, with headers and body."""

    headers: dict[str, str] = Field(
        description="With names in lower case; credentials and signatures are masked.",
        examples=[{"content-type": "application/json", "x-hub-signature-256": "***"}],
    )
    body: str = Field(
        description="As it came; of a rejected message only the first 4 KB.", examples=['{"action":"opened"}']
    )
    body_encoding: InboundBodyEncoding

    @classmethod
    def of(cls, row: models.InboundMessage) -> Self:
        body, encoding = shown(row.body)
        return cls(**_columns(row), headers=row.headers, body=body, body_encoding=InboundBodyEncoding(encoding))


def shown(body: bytes) -> tuple[str, str]:
    """(text, its encoding)"""
    try:
        return body.decode(), "utf-8"
    except UnicodeDecodeError:
        return base64.b64encode(body).decode(), "base64"


class InboundMessageList(Page[InboundMessage]):
    """Messages that came in, the newest first."""

    @classmethod
    def of(cls, rows: Sequence[models.InboundMessage], has_more: bool, *, backwards: bool) -> Self:
        return cls(
            data=[InboundMessage.of(row) for row in rows],
            has_more=has_more,
            next_cursor=next_cursor([row.id for row in rows], has_more, backwards=backwards),
        )
