"""What may be said of a message to send."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

import strawberry
from strawberry.scalars import JSON

from penguinmails_graphql.scalars import DateTime, string_map


@strawberry.enum(description="`TRANSACTIONAL` is delivered at least once, `CAMPAIGN` at most once.")
class EmailClass(StrEnum):
    TRANSACTIONAL = "transactional"
    CAMPAIGN = "campaign"


@strawberry.input(description="A file. With `contentId` it is inline: HTML shows it by `cid:`.")
class AttachmentInput:
    filename: str
    content: str = strawberry.field(description="The bytes in base64 (RFC 4648 §4).")
    content_type: str | None = None
    content_id: str | None = None


@strawberry.input(description="The way out of a message: one-click unsubscribe (RFC 8058).")
class UnsubscribeInput:
    enabled: bool = strawberry.field(default=True, description="`false` leaves it out; refused for campaign mail.")
    list: str | None = strawberry.field(
        default=None, description="The list that the message is of: at most 64 of `a-z 0-9 . _ -`."
    )


@strawberry.input(description="What is told about readers. Both are off unless asked for.")
class TrackingInput:
    opens: bool = strawberry.field(default=False, description="`email.opened`, by an image that nobody sees.")
    clicks: bool = strawberry.field(default=False, description="`email.clicked`: links lead through this server.")


@strawberry.input(description="A template in the place of subject, HTML and text. Give `id` or `alias`.")
class EmailTemplateInput:
    id: str | None = None
    alias: str | None = strawberry.field(default=None, description="Of the workspace that the key works in.")
    version: int | None = strawberry.field(default=None, description="Left out: the published one.")
    variables: JSON | None = strawberry.field(default=None, description="Values by name.")


@strawberry.input(description="One message, for at most 50 recipients.")
class SendEmailInput:
    from_: str = strawberry.field(name="from", description="The sender; its domain must be verified.")
    to: list[str]
    cc: list[str] | None = None
    bcc: list[str] | None = None
    reply_to: list[str] | None = None
    subject: str | None = strawberry.field(default=None, description="Required, unless there is a `template`.")
    html: str | None = strawberry.field(default=None, description="Give `html`, `text` or both.")
    text: str | None = None
    template: EmailTemplateInput | None = None
    headers: JSON | None = strawberry.field(default=None, description="Own headers: an object of strings.")
    attachments: list[AttachmentInput] | None = None
    tags: list[str] | None = None
    metadata: JSON | None = strawberry.field(default=None, description="An object of strings.")
    scheduled_at: DateTime | None = None
    message_class: EmailClass = strawberry.field(name="class", default=EmailClass.TRANSACTIONAL)
    unsubscribe: UnsubscribeInput | None = strawberry.field(
        default=None, description="Left out: campaign mail has it, transactional mail does not."
    )
    tracking: TrackingInput | None = strawberry.field(default=None, description="Left out: nothing is tracked.")
    mailbox_id: strawberry.ID | None = strawberry.field(
        default=None, description="Send through this mailbox; `from` must be its address or an alias."
    )

    def to_message(self) -> Message:
        return Message(
            from_=self.from_,
            to=self.to,
            cc=self.cc or [],
            bcc=self.bcc or [],
            reply_to=self.reply_to or [],
            subject=self.subject,
            html=self.html,
            text=self.text,
            headers=string_map(self.headers, "headers"),
            attachments=self.attachments or [],
            tags=self.tags or [],
            metadata=string_map(self.metadata, "metadata"),
            scheduled_at=self.scheduled_at,
            message_class=str(self.message_class),
            unsubscribe=self.unsubscribe,
            tracking=self.tracking,
        )


@dataclass(frozen=True, slots=True)
class Message:
    """A `penguinmails_core.emails.draft_input.EmailInput`."""

    from_: str
    to: Sequence[str]
    cc: Sequence[str]
    bcc: Sequence[str]
    reply_to: Sequence[str]
    subject: str | None
    html: str | None
    text: str | None
    headers: Mapping[str, str]
    attachments: Sequence[AttachmentInput]
    tags: Sequence[str]
    metadata: Mapping[str, str]
    scheduled_at: datetime | None
    message_class: str
    unsubscribe: UnsubscribeInput | None
    tracking: TrackingInput | None
