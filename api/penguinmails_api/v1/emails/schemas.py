"""Messages as the API shows them, and what may be asked of them."""

from enum import StrEnum
from typing import Annotated, Any, Self
from uuid import UUID

from pydantic import AfterValidator, Field

from penguinmails_api.v1.common import (
    Moment,
    Page,
    RequestBody,
    Resource,
    Timestamp,
    from_path,
    typeid,
)
from penguinmails_api.v1.emails.send_schemas import EmailClass
from penguinmails_api.v1.events.schemas import Event
from penguinmails_api.v1.paging import OF_WORKSPACE, PageQuery, WorkspaceFilter, next_cursor
from penguinmails_core.content.service import MessageContent
from penguinmails_core.emails import service
from penguinmails_core.emails.payload import message_id
from penguinmails_core.emails.repository import EmailFilter
from penguinmails_core.emails.status import EmailStatus
from penguinmails_core.kit import addresses, ids
from penguinmails_core.kit.ids import Prefix
from penguinmails_core.models import EmailMessage, EmailRecipient, RecipientStatus
from penguinmails_webhooks.payloads import RecipientKind

EmailIdInPath = Annotated[UUID, from_path(Prefix.EMAIL, "email"), typeid(Prefix.EMAIL)]


class EmailStatusFilter(StrEnum):
    """Recipient statuses, and `scheduled` for those whose time has not come."""

    SCHEDULED = "scheduled"
    QUEUED = "queued"
    SENDING = "sending"
    DEFERRED = "deferred"
    SENT = "sent"
    DELIVERED = "delivered"
    BOUNCED = "bounced"
    FAILED = "failed"
    SUPPRESSED = "suppressed"
    CANCELLED = "cancelled"
    COMPLAINED = "complained"


def _mailbox(value: str) -> str:
    return addresses.parse_mailbox(value).address


Address = Annotated[str, Field(max_length=1024), AfterValidator(_mailbox)]


class EmailListQuery(PageQuery):
    status: list[EmailStatusFilter] = Field(
        [],
        max_length=20,
        description="With a recipient in this status; may be repeated. `failed` lists the dead letters.",
    )
    to: Address | None = Field(None, description="To this address, be it in To, Cc or Bcc.")
    from_: Address | None = Field(None, alias="from", description="From this address.")
    tag: str | None = Field(None, max_length=64, description="With this tag.")
    domain: str | None = Field(None, max_length=255, description="From this domain.")
    workspace_id: WorkspaceFilter = OF_WORKSPACE
    created_after: Moment | None = Field(None, description="Accepted at this time or later (RFC 3339).")
    created_before: Moment | None = Field(None, description="Accepted before this time (RFC 3339).")

    def to_filter(self) -> EmailFilter:
        return EmailFilter(
            statuses=self.status,
            to=self.to,
            from_address=self.from_,
            tag=self.tag,
            domain=self.domain.lower() if self.domain else None,
            created_after=self.created_after,
            created_before=self.created_before,
        )


class EmailUpdate(RequestBody):
    scheduled_at: Moment = Field(
        description="The new time to send, RFC 3339 with an offset, at most 365 days ahead. A time that has passed "
        "means now.",
        examples=["2026-12-24T18:00:00Z"],
    )


class Mailbox(Resource):
    address: str = Field(examples=["ada@example.com"])
    name: str | None = Field(examples=["Ada Lovelace"])


class RecipientReply(Resource):
    """What the receiving server said."""

    code: int | None = Field(description="SMTP status code.", examples=[250])
    enhanced_code: str | None = Field(description="Enhanced status code (RFC 3463).", examples=["2.0.0"])
    reply: str | None = Field(description="Its text, possibly shortened.", examples=["OK queued"])


class EmailRecipientDetail(Resource):
    id: Annotated[str, typeid(Prefix.RECIPIENT)]
    kind: RecipientKind
    address: str = Field(examples=["ada@example.com"])
    name: str | None
    status: RecipientStatus
    attempts: int = Field(description="Delivery attempts so far.")
    next_attempt_at: Timestamp | None = Field(description="When it is tried next; null when nothing is due.")
    last_reply: RecipientReply | None
    reason: str | None = Field(description="Why it failed, was suppressed or waits.", examples=["expired"])
    updated_at: Timestamp

    @classmethod
    def of(cls, row: EmailRecipient) -> Self:
        replied = row.code is not None or row.reply is not None
        reply = RecipientReply(code=row.code, enhanced_code=row.enhanced_code, reply=row.reply) if replied else None
        return cls(
            id=ids.encode(Prefix.RECIPIENT, row.id),
            kind=RecipientKind(row.kind),
            address=row.address,
            name=row.name,
            status=RecipientStatus(row.status),
            attempts=row.attempts,
            next_attempt_at=row.due_at,
            last_reply=reply,
            reason=row.reason,
            updated_at=row.updated_at,
        )


class Email(Resource):
    """A message and what became of it for each recipient."""

    id: Annotated[str, typeid(Prefix.EMAIL)]
    status: EmailStatus = Field(
        description="The status all recipients share; else the most urgent open one (sending, queued, deferred); "
        "else `partial`."
    )
    class_: EmailClass = Field(alias="class")
    workspace_id: Annotated[str, typeid(Prefix.WORKSPACE)]
    from_: Mailbox = Field(alias="from")
    reply_to: list[str]
    subject: str = Field(examples=["Welcome aboard"])
    recipients: list[EmailRecipientDetail]
    tags: list[str] = Field(examples=[["welcome"]])
    metadata: dict[str, str] = Field(examples=[{"user_id": "42"}])
    message_id: str = Field(description="The Message-ID header, without angle brackets.")
    size_bytes: int = Field(description="Bodies and decoded attachments.")
    scheduled_at: Timestamp | None
    expires_at: Timestamp = Field(description="Delivery is given up after this time.")
    created_at: Timestamp

    @classmethod
    def of(cls, email: service.Email) -> Self:
        row: EmailMessage = email.message
        email_id = ids.encode(Prefix.EMAIL, row.id)
        return cls(
            id=email_id,
            status=email.status,
            class_=EmailClass(row.message_class),
            workspace_id=ids.encode(Prefix.WORKSPACE, row.workspace_id),
            from_=Mailbox(address=row.from_address, name=row.from_name),
            reply_to=row.reply_to,
            subject=row.subject,
            recipients=[EmailRecipientDetail.of(recipient) for recipient in email.recipients],
            tags=row.tags,
            metadata=row.metadata_,
            message_id=message_id(email_id, row.from_domain),
            size_bytes=row.size_bytes,
            scheduled_at=row.scheduled_at,
            expires_at=row.expires_at,
            created_at=row.created_at,
        )


class EmailList(Page[Email]):
    """Messages, the newest first."""

    @classmethod
    def of(cls, emails: list[service.Email], has_more: bool, *, backwards: bool) -> Self:
        return cls(
            data=[Email.of(email) for email in emails],
            has_more=has_more,
            next_cursor=next_cursor([email.message.id for email in emails], has_more, backwards=backwards),
        )


class AttachmentDisposition(StrEnum):
    ATTACHMENT = "attachment"
    INLINE = "inline"


class EmailAttachment(Resource):
    id: Annotated[str, typeid(Prefix.ATTACHMENT)]
    filename: str = Field(examples=["invoice.pdf"])
    content_type: str = Field(examples=["application/pdf"])
    disposition: AttachmentDisposition
    content_id: str | None = Field(description="What HTML calls it: `cid:...`.")
    size: int = Field(description="Bytes, decoded.")


class EmailContent(Resource):
    """What was sent, as it was given. Kept 30 days for transactional and 90 days for campaign mail."""

    email_id: Annotated[str, typeid(Prefix.EMAIL)]
    text: str | None
    html: str | None
    headers: dict[str, str] = Field(description="Own headers of the message.")
    attachments: list[EmailAttachment]

    @classmethod
    def of(cls, email_id: UUID, content: MessageContent) -> Self:
        return cls(
            email_id=ids.encode(Prefix.EMAIL, email_id),
            text=content.text,
            html=content.html,
            headers=dict(content.headers),
            attachments=[
                EmailAttachment(
                    id=ids.encode(Prefix.ATTACHMENT, item.id),
                    filename=item.filename,
                    content_type=item.content_type,
                    disposition=AttachmentDisposition(item.disposition),
                    content_id=item.content_id,
                    size=item.size,
                )
                for item in content.attachments
            ],
        )


MAX_CANCEL = 100


class EmailCancelRequest(RequestBody):
    ids: list[Annotated[str, typeid(Prefix.EMAIL), Field(max_length=30)]] = Field(
        min_length=1, max_length=MAX_CANCEL, description=f"1 to {MAX_CANCEL} ids of emails."
    )


class EmailCancelResult(Resource):
    """What became of one email: `email` when it is cancelled now, `problem` when not."""

    index: int = Field(description="Place in the request, from 0.")
    status: int = Field(description="200 or the status the email alone would have got.", examples=[200])
    email: Email | None
    problem: dict[str, Any] | None = Field(description="A problem document (RFC 9457).")


class EmailCancelBatch(Resource):
    """Each email's own result, in the order of the request."""

    data: list[EmailCancelResult]
    cancelled: int
    failed: int


class EmailDetail(Email):
    """A message, and on request what belongs to it."""

    content: EmailContent | None = Field(None, description="What was sent; null without `expand=content`.")
    events: list[Event] | None = Field(None, description="What happened; null without `expand=events`.")
