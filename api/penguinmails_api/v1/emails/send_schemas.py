"""Bodies and answers of `POST /v1/emails` and `POST /v1/emails/batch`: the contract, and the validator of the hot path.

Shapes are checked here; what a message may say (addresses, headers, sizes) is checked by
`penguinmails_core.emails.draft`, which names every fault with a JSON Pointer.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from penguinmails_api.v1.limits import AtMost
from penguinmails_core.emails import draft_rules, options
from penguinmails_core.kit import addresses, headers
from penguinmails_core.templates.service import MAX_VERSIONS

MAX_BODY_CHARACTERS = 100_000_000  # more than any server can be configured to take
Address = Annotated[
    str,
    AtMost(maxLength=addresses.MAX_VALUE_CHARACTERS),
    Field(description="`name@example.com` or `Name <name@example.com>`; international domains and names are welcome."),
]
# One address may be given bare; most mail has one recipient.
Addresses = Annotated[
    Annotated[list[Address], AtMost(maxItems=draft_rules.MAX_RECIPIENTS)] | Address, Field(union_mode="left_to_right")
]
ReplyTo = Annotated[
    Annotated[list[Address], AtMost(maxItems=draft_rules.MAX_REPLY_TO)] | Address, Field(union_mode="left_to_right")
]
Text = Annotated[str, AtMost(maxLength=headers.MAX_TEXT_CHARACTERS)]
Body = Annotated[str, AtMost(maxLength=MAX_BODY_CHARACTERS)]
Tag = Annotated[str, AtMost(maxLength=draft_rules.MAX_TAG_CHARACTERS)]
MetadataValue = Annotated[str, AtMost(maxLength=draft_rules.MAX_METADATA_VALUE)]
HeaderValue = Annotated[str, AtMost(maxLength=headers.MAX_VALUE_CHARACTERS)]
Headers = Annotated[dict[str, HeaderValue], AtMost(maxProperties=headers.MAX_HEADERS)]
ListName = Annotated[str, AtMost(maxLength=options.MAX_LIST_CHARACTERS)]
Filename = Annotated[str, AtMost(maxLength=draft_rules.MAX_FILENAME_CHARACTERS)]


class EmailClass(StrEnum):
    TRANSACTIONAL = "transactional"
    CAMPAIGN = "campaign"


class Request(BaseModel):
    model_config = ConfigDict(extra="forbid", populate_by_name=False, use_enum_values=False)


class AttachmentCreate(Request):
    """A file. With `content_id` it is inline: HTML shows it by `<img src="cid:…">`."""

    filename: Filename = Field(
        description="File name without a path, at most 255 characters.", examples=["invoice.pdf"]
    )
    content: Body = Field(
        description="The bytes in base64 (RFC 4648 §4).",
        examples=["JVBERi0xLjQK"],
        json_schema_extra={"contentEncoding": "base64"},
    )
    content_type: Text | None = Field(
        None, description="Media type; guessed from the file name when left out.", examples=["application/pdf"]
    )
    content_id: Text | None = Field(None, description="Makes the attachment inline.", examples=["logo"])


class UnsubscribeCreate(Request):
    """The way out of a message: `List-Unsubscribe` with one click (RFC 8058), and a link for the body."""

    enabled: bool = Field(
        True, description="`false` leaves it out; refused for `campaign`, unless `headers` has an own List-Unsubscribe."
    )
    list: ListName | None = Field(
        None,
        description="The list that the message is of, shown to people: 1 to 64 of `a-z 0-9 . _ -`. Left out: all mail.",
        examples=["product-news"],
    )


class TrackingCreate(Request):
    """What is told about readers. Both are off unless asked for."""

    opens: bool = Field(False, description="Adds an image to `html` that nobody sees; `email.opened` tells of it.")
    clicks: bool = Field(
        False, description="Leads the links of `html` through this server; `email.clicked` tells who followed which."
    )


class EmailTemplate(Request):
    """Which template says what the message says, and with what values. Give `id` or `alias`."""

    id: Text | None = Field(None, examples=["tpl_01kaz6yzwhe1xrqm3c8s4q3m8r"])
    alias: Text | None = Field(None, description="Of the workspace that the key works in.", examples=["welcome"])
    version: Annotated[int, Field(strict=True, ge=1, le=MAX_VERSIONS)] | None = Field(
        None, description="One that was published at any time; the published one when left out."
    )
    variables: dict[str, Any] = Field(
        default_factory=dict,
        description="Values by name: any JSON, at most 256 KB. What is missing is refused before anything is stored.",
        examples=[{"first_name": "Ada"}],
    )


class EmailCreate(Request):
    """One message. Everything is checked before it is accepted; an accepted message is on disk."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "from": "Penguin <hello@acme.test>",
                    "to": ["ada@example.com"],
                    "subject": "Welcome aboard",
                    "text": "Hello Ada!",
                    "html": "<p>Hello Ada!</p>",
                    "tags": ["welcome"],
                    "metadata": {"user_id": "42"},
                }
            ]
        }
    )

    from_: Address = Field(alias="from", description="The sender; its domain must be verified.")
    to: Addresses = Field(description="Recipients shown in To. `to`, `cc` and `bcc` hold at most 50 addresses in all.")
    cc: Addresses = Field(default_factory=list, description="Recipients shown in Cc.")
    bcc: Addresses = Field(default_factory=list, description="Recipients that nobody else sees.")
    reply_to: ReplyTo = Field(default_factory=list, description="Where answers go, when not to `from`; at most 10.")
    subject: Text | None = Field(
        None, description="Subject, at most 998 characters. Required, unless there is a `template`."
    )
    html: Body | None = Field(None, description="HTML body. Give `html`, `text` or both.")
    text: Body | None = Field(None, description="Plain text body.")
    template: EmailTemplate | None = Field(
        None, description="In the place of `subject`, `html` and `text`: a template, filled in with values."
    )
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
    scheduled_at: Annotated[datetime, Field(strict=True)] | None = Field(
        None, description="When to send: RFC 3339 with an offset, at most 365 days ahead. Left out: now."
    )
    message_class: EmailClass = Field(
        EmailClass.TRANSACTIONAL,
        alias="class",
        description="`transactional` is delivered at least once, `campaign` at most once.",
    )
    unsubscribe: UnsubscribeCreate | None = Field(
        None,
        description="One-click unsubscribe. Left out: `campaign` has it, `transactional` does not. Each recipient gets "
        "an own copy, in which `{{unsubscribe_url}}` stands for their link.",
    )
    tracking: TrackingCreate | None = Field(
        None, description="Opens and clicks, each with a verdict about who it was. Left out: nothing is tracked."
    )
    mailbox_id: Annotated[str, AtMost(maxLength=40)] | None = Field(
        None,
        description="Send through this mailbox: `from` must be its address or an alias, its provider signs instead of "
        "us, and the message waits for its turn within the mailbox's caps, for up to 30 days.",
        examples=["mbx_01kaz6yzwhe1xrqm3c8s4q3m8r"],
    )


class EmailBatchCreate(Request):
    emails: list[EmailCreate] = Field(
        min_length=1, max_length=1000, description="1 to 1,000 messages; each as in `POST /v1/emails`."
    )


class EmailAcceptedStatus(StrEnum):
    QUEUED = "queued"
    SCHEDULED = "scheduled"


class Answer(BaseModel):
    model_config = ConfigDict(json_schema_serialization_defaults_required=True)


class EmailAccepted(Answer):
    """The message is stored and will be sent."""

    id: str = Field(examples=["msg_01kaz6yzwhe1xrqm3c8s4q3m8r"])
    status: EmailAcceptedStatus
    class_: EmailClass = Field(alias="class")
    created_at: datetime
    scheduled_at: datetime | None


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
