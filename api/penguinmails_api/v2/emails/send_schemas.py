"""Body and answer of `POST /v2/emails`, and how the body reads for the rules of a message (`EmailInput`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

from pydantic import ConfigDict, Field

from penguinmails_api.v1.common import typeid
from penguinmails_api.v1.emails.send_schemas import (
    Answer,
    AttachmentCreate,
    Body,
    EmailAcceptedStatus,
    EmailClass,
    Headers,
    MetadataValue,
    Request,
    Tag,
    Text,
    TrackingCreate,
    UnsubscribeCreate,
)
from penguinmails_api.v1.limits import AtMost
from penguinmails_core.emails import draft_rules
from penguinmails_core.kit import addresses
from penguinmails_core.kit.ids import Prefix
from penguinmails_webhooks.payloads import RecipientKind

BareAddress = Annotated[
    str,
    AtMost(maxLength=addresses.MAX_VALUE_CHARACTERS),
    Field(description="Without a display name.", examples=["ada@example.com"]),
]
Name = Annotated[
    Annotated[str, AtMost(maxLength=addresses.MAX_NAME_CHARACTERS)] | None,
    Field(description="The display name.", examples=["Ada Lovelace"]),
]


class MailboxCreate(Request):
    """An address and the name to show."""

    address: BareAddress
    name: Name = None

    def as_text(self) -> str:
        """As the rules read it. A name is quoted, so that nothing in it can be taken for an address."""
        if self.name is None:
            return self.address
        name = self.name.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{name}" <{self.address}>'


class RecipientCreate(MailboxCreate):
    """Somebody who gets the message."""

    kind: RecipientKind = Field(
        RecipientKind.TO, description="`to` and `cc` are shown to everybody, `bcc` to nobody else."
    )


class ContentCreate(Request):
    """What the message says."""

    html: Body | None = Field(None, description="HTML body. Give `html`, `text` or both.")
    text: Body | None = Field(None, description="Plain text body.")


class EmailCreate(Request):
    """One message. Everything is checked before it is accepted; an accepted message is on disk."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "from": {"address": "hello@acme.test", "name": "Penguin"},
                    "recipients": [
                        {"address": "ada@example.com", "name": "Ada Lovelace"},
                        {"address": "archive@acme.test", "kind": "bcc"},
                    ],
                    "subject": "Welcome aboard",
                    "content": {"text": "Hello Ada!", "html": "<p>Hello Ada!</p>"},
                    "tags": ["welcome"],
                    "metadata": {"user_id": "42"},
                }
            ]
        }
    )

    from_: MailboxCreate = Field(alias="from", description="The sender; its domain must be verified.")
    recipients: Annotated[list[RecipientCreate], AtMost(maxItems=draft_rules.MAX_RECIPIENTS)] = Field(
        description="At least one of kind `to`; at most 50 in all."
    )
    reply_to: Annotated[list[MailboxCreate], AtMost(maxItems=draft_rules.MAX_REPLY_TO)] = Field(
        default_factory=list, description="Where answers go, when not to `from`; at most 10."
    )
    subject: Text = Field(description="Subject, at most 998 characters.")
    content: ContentCreate
    headers: Headers = Field(
        default_factory=dict, description="Own headers, at most 50; those the sender writes itself are refused."
    )
    attachments: Annotated[list[AttachmentCreate], AtMost(maxItems=draft_rules.MAX_ATTACHMENTS)] = Field(
        default_factory=list, description="Files, at most 100; 10 MB with the bodies."
    )
    tags: Annotated[list[Tag], AtMost(maxItems=draft_rules.MAX_TAGS)] = Field(
        default_factory=list, description="At most 10 labels of at most 64 characters, to filter by."
    )
    metadata: Annotated[dict[str, MetadataValue], AtMost(maxProperties=draft_rules.MAX_METADATA)] = Field(
        default_factory=dict, description="At most 50 entries; come back in every answer and webhook about the message."
    )
    send_at: Annotated[datetime, Field(strict=True)] | None = Field(
        None, description="When to send: RFC 3339 with an offset, at most 365 days ahead. Left out: now."
    )
    message_class: EmailClass = Field(
        EmailClass.TRANSACTIONAL,
        alias="class",
        description="`transactional` is delivered at least once, `campaign` at most once.",
    )
    unsubscribe: UnsubscribeCreate | None = Field(
        None, description="One-click unsubscribe (RFC 8058). Left out: `campaign` has it, `transactional` does not."
    )
    tracking: TrackingCreate | None = Field(None, description="Opens and clicks. Left out: nothing is tracked.")


class EmailAccepted(Answer):
    """The message is stored and will be sent."""

    id: Annotated[str, typeid(Prefix.EMAIL)]
    status: EmailAcceptedStatus
    class_: EmailClass = Field(alias="class")
    send_at: datetime | None
    created_at: datetime


class EmailBatchCreate(Request):
    emails: list[EmailCreate] = Field(
        min_length=1, max_length=1000, description="1 to 1,000 messages; each as in `POST /v2/emails`."
    )


class EmailBatchAccepted(Answer):
    """All messages were accepted, in the order of the request."""

    data: list[EmailAccepted]


class EmailBatchResult(Answer):
    """What became of one message: `email` when it was accepted, `problem` when not."""

    index: int = Field(description="Place of the message in the request, from 0.")
    status: int = Field(description="202 or the status the message alone would have got.", examples=[202])
    email: EmailAccepted | None
    problem: dict[str, Any] | None = Field(description="A problem document (RFC 9457).")


class EmailBatchPartial(Answer):
    """Each message's own result, in the order of the request."""

    data: list[EmailBatchResult]
    accepted: int
    failed: int


@dataclass(frozen=True, slots=True)
class AsInput:
    """The body as `EmailInput`. `places` leads from a kind and a place in it to the place in `recipients`."""

    from_: str
    to: Sequence[str]
    cc: Sequence[str]
    bcc: Sequence[str]
    reply_to: Sequence[str]
    subject: str
    text: str | None
    html: str | None
    headers: Mapping[str, str]
    attachments: Sequence[AttachmentCreate]
    tags: Sequence[str]
    metadata: Mapping[str, str]
    scheduled_at: datetime | None
    message_class: str
    unsubscribe: UnsubscribeCreate | None
    tracking: TrackingCreate | None
    places: Mapping[str, Sequence[int]]

    @classmethod
    def of(cls, email: EmailCreate) -> AsInput:
        places: dict[str, list[int]] = {"to": [], "cc": [], "bcc": []}
        for index, recipient in enumerate(email.recipients):
            places[recipient.kind].append(index)
        texts = {kind: [email.recipients[index].as_text() for index in found] for kind, found in places.items()}
        return cls(
            from_=email.from_.as_text(),
            to=texts["to"],
            cc=texts["cc"],
            bcc=texts["bcc"],
            reply_to=[mailbox.as_text() for mailbox in email.reply_to],
            subject=email.subject,
            text=email.content.text,
            html=email.content.html,
            headers=email.headers,
            attachments=email.attachments,
            tags=email.tags,
            metadata=email.metadata,
            scheduled_at=email.send_at,
            message_class=email.message_class,
            unsubscribe=email.unsubscribe,
            tracking=email.tracking,
            places=places,
        )
