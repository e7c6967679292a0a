"""The building blocks of event data: what every `email.*` event says, and the parts that some of them add."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

TypeId = "^{}_[0-7][0-9a-hjkmnp-tv-z]{{25}}$"  # TypeID specification 0.3: Crockford base32, 128 bits
EmailId = Annotated[str, Field(pattern=TypeId.format("msg"), description="The message, as returned when it was sent")]
RecipientId = Annotated[str, Field(pattern=TypeId.format("rcp"), description="This recipient of the message")]
EndpointId = Annotated[str, Field(pattern=TypeId.format("whe"), description="The webhook endpoint")]
SuppressionId = Annotated[str, Field(pattern=TypeId.format("sup"), description="The suppression")]
DomainId = Annotated[str, Field(pattern=TypeId.format("dom"), description="The domain")]
ApiKeyId = Annotated[str, Field(pattern=TypeId.format("key"), description="The API key")]
MailboxId = Annotated[str, Field(pattern=TypeId.format("mbx"), description="The mailbox")]
ContactId = Annotated[str, Field(pattern=TypeId.format("ctc"), description="The contact")]
CampaignId = Annotated[str, Field(pattern=TypeId.format("cmp"), description="The campaign")]
ThreadId = Annotated[str, Field(pattern=TypeId.format("thr"), description="The conversation")]
ImportId = Annotated[str, Field(pattern=TypeId.format("imp"), description="The import")]
DeliveryId = Annotated[str, Field(pattern=TypeId.format("whd"), description="The delivery")]
InboundSourceId = Annotated[str, Field(pattern=TypeId.format("ins"), description="Where it came in")]
InboundMessageId = Annotated[str, Field(pattern=TypeId.format("inm"), description="The message")]
EventId = Annotated[str, Field(pattern=TypeId.format("evt"))]
OrganizationId = Annotated[str, Field(pattern=TypeId.format("org"))]
WorkspaceId = Annotated[str, Field(pattern=TypeId.format("ws"))]
Timestamp = Annotated[
    str,
    Field(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$", json_schema_extra={"format": "date-time"}),
]


class Part(BaseModel):
    """Fields are added to events over time and never changed, so unknown ones are to be passed over."""

    model_config = ConfigDict(extra="ignore", frozen=True, populate_by_name=True, serialize_by_alias=True)


class RecipientKind(StrEnum):
    TO = "to"
    CC = "cc"
    BCC = "bcc"


class MessageClass(StrEnum):
    TRANSACTIONAL = "transactional"
    CAMPAIGN = "campaign"


class EventMode(StrEnum):
    LIVE = "live"
    TEST = "test"


class Actor(StrEnum):
    """`proxy`: a mail service that loads images for its users. `scanner`: a security product that follows links."""

    HUMAN = "human"
    PROXY = "proxy"
    SCANNER = "scanner"
    UNKNOWN = "unknown"


class ReplyClass(StrEnum):
    """What an answer says. More may be added."""

    INTERESTED = "interested"
    MEETING_REQUESTED = "meeting_requested"
    NOT_NOW = "not_now"
    NOT_INTERESTED = "not_interested"
    WRONG_PERSON = "wrong_person"
    OUT_OF_OFFICE = "out_of_office"
    UNSUBSCRIBE = "unsubscribe"
    OTHER = "other"


class EventRecipient(Part):
    """Whom the event is about."""

    address: str = Field(description="The address, as the message was accepted for it")
    name: str | None = Field(None, description="The display name")
    kind: RecipientKind = Field(description="Which header named the recipient")


class SmtpReply(Part):
    """What the receiving server said."""

    code: int | None = Field(None, ge=200, le=599, description="Reply code (RFC 5321 §4.2); null when none came")
    enhanced_code: str | None = Field(None, description="Enhanced status code (RFC 3463), such as 5.1.1")
    reply: str | None = Field(None, description="The text of the reply, possibly shortened")
    remote_host: str | None = Field(None, description="The server that was spoken to")
    tls_version: str | None = Field(None, description="Such as `TLSv1.3`; null for plain text")
    tls_source: str | None = Field(
        None,
        description="Who asked for the TLS policy: `setting`, `lane`, or the recipient's domain by `mta-sts`, "
        "`mta-sts-testing` or `dane`",
    )


class EmailEventData(Part):
    """One recipient's view of a message; the same in every `email.*` event."""

    email_id: EmailId
    recipient_id: RecipientId
    recipient: EventRecipient
    from_: str = Field(alias="from", description="The sender's address")
    subject: str
    class_: MessageClass = Field(alias="class")
    tags: list[str] = Field(description="As given when the message was sent")
    metadata: dict[str, str] = Field(description="As given when the message was sent")
    message_id: str = Field(description="Message-ID header (RFC 5322 §3.6.4), without angle brackets")


class EventEvidence(Part):
    """What the mail system saw."""

    email_id: EmailId | None = None
    recipient_id: RecipientId | None = None
    code: int | None = Field(None, description="SMTP status code")
    enhanced_code: str | None = Field(None, description="Enhanced status code (RFC 3463), such as 5.1.1")
    reply: str | None = Field(None, description="The server's words")
    remote_host: str | None = Field(None, description="The server that said it")
    observed_at: Timestamp | None = None


class SuppressionEventData(Part):
    """The same in every `suppression.*` event."""

    suppression_id: SuppressionId
    address: str = Field(description="In the form that addresses are compared in")
    reason: str = Field(description="`hard_bounce`, `complaint`, `unsubscribe` or `manual`; more may be added")
    note: str | None = Field(None, description="For people")
    evidence: EventEvidence | None = Field(None, description="Null for one that was added by hand")
    expires_at: Timestamp | None = Field(None, description="When it ends by itself; null: never")
    scope: str = Field(
        "organization",
        description="What is not sent: all of the `organization`, a `category` of mail, or a `list`; more may be added",
    )
    scope_value: str | None = Field(None, description="Which category (`campaign`) or list; null for all mail")


class DomainEventData(Part):
    """The same in every `domain.*` event."""

    domain_id: DomainId
    name: str = Field(description="In A-labels")
    status: str = Field(description="`pending`, `verified` or `failed`; more may be added")


class DriftedRecord(Part):
    """A DNS record that differs from what it should be."""

    type: str = Field(description="Such as `TXT` or `CNAME`")
    name: str = Field(description="In A-labels")
    expected: str
    found: list[str] = Field(description="What is there instead; empty: nothing")
