"""Messages as version 2 shows them: recipients are objects, and what became of each is in `delivery`."""

from typing import Annotated, Self

from pydantic import Field

from penguinmails_api.v1.common import Moment, Page, Resource, Timestamp, typeid
from penguinmails_api.v1.emails.schemas import Address, EmailStatusFilter, RecipientReply
from penguinmails_api.v1.emails.send_schemas import EmailClass
from penguinmails_api.v1.paging import OF_WORKSPACE, PageQuery, WorkspaceFilter, next_cursor
from penguinmails_core.emails import service
from penguinmails_core.emails.payload import message_id
from penguinmails_core.emails.repository import EmailFilter
from penguinmails_core.emails.status import EmailStatus
from penguinmails_core.kit import addresses, ids
from penguinmails_core.kit.ids import Prefix
from penguinmails_core.models import EmailRecipient as Row
from penguinmails_core.models import RecipientStatus
from penguinmails_webhooks.payloads import RecipientKind


class EmailListQuery(PageQuery):
    status: list[EmailStatusFilter] = Field(
        [], max_length=20, description="With a recipient in this status; may be repeated."
    )
    recipient: Address | None = Field(None, description="To this address, of any kind.")
    from_: Address | None = Field(None, alias="from", description="From this address.")
    workspace_id: WorkspaceFilter = OF_WORKSPACE
    tag: str | None = Field(None, max_length=64, description="With this tag.")
    created_after: Moment | None = Field(None, description="Accepted at this time or later (RFC 3339).")
    created_before: Moment | None = Field(None, description="Accepted before this time (RFC 3339).")

    def to_filter(self) -> EmailFilter:
        return EmailFilter(
            statuses=self.status,
            to=self.recipient,
            from_address=self.from_,
            tag=self.tag,
            created_after=self.created_after,
            created_before=self.created_before,
        )


class Mailbox(Resource):
    """An address and the name to show."""

    address: str = Field(examples=["hello@acme.test"])
    name: str | None = Field(examples=["Penguin"])

    @classmethod
    def of(cls, text: str) -> Self:
        mailbox = addresses.parse_mailbox(text)
        return cls(address=mailbox.address, name=mailbox.name)


class Delivery(Resource):
    """What became of the message for one recipient."""

    status: RecipientStatus
    attempts: int = Field(description="Delivery attempts so far.")
    next_attempt_at: Timestamp | None = Field(description="When it is tried next; null when nothing is due.")
    last_reply: RecipientReply | None
    reason: str | None = Field(description="Why it failed, was suppressed or waits.", examples=["expired"])
    updated_at: Timestamp


class EmailRecipient(Resource):
    """Somebody who gets the message."""

    id: Annotated[str, typeid(Prefix.RECIPIENT)]
    address: str = Field(examples=["ada@example.com"])
    name: str | None = Field(examples=["Ada Lovelace"])
    kind: RecipientKind
    delivery: Delivery

    @classmethod
    def of(cls, row: Row) -> Self:
        replied = row.code is not None or row.reply is not None
        reply = RecipientReply(code=row.code, enhanced_code=row.enhanced_code, reply=row.reply) if replied else None
        return cls(
            id=ids.encode(Prefix.RECIPIENT, row.id),
            address=row.address,
            name=row.name,
            kind=RecipientKind(row.kind),
            delivery=Delivery(
                status=RecipientStatus(row.status),
                attempts=row.attempts,
                next_attempt_at=row.due_at,
                last_reply=reply,
                reason=row.reason,
                updated_at=row.updated_at,
            ),
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
    recipients: list[EmailRecipient]
    reply_to: list[Mailbox]
    subject: str = Field(examples=["Welcome aboard"])
    tags: list[str] = Field(examples=[["welcome"]])
    metadata: dict[str, str] = Field(examples=[{"user_id": "42"}])
    message_id: str = Field(description="The Message-ID header, without angle brackets.")
    size_bytes: int = Field(description="Bodies and decoded attachments.")
    send_at: Timestamp | None = Field(description="When it was asked to be sent; null: at once.")
    expires_at: Timestamp = Field(description="Delivery is given up after this time.")
    created_at: Timestamp

    @classmethod
    def of(cls, email: service.Email) -> Self:
        row = email.message
        email_id = ids.encode(Prefix.EMAIL, row.id)
        return cls(
            id=email_id,
            status=email.status,
            class_=EmailClass(row.message_class),
            workspace_id=ids.encode(Prefix.WORKSPACE, row.workspace_id),
            from_=Mailbox(address=row.from_address, name=row.from_name),
            recipients=[EmailRecipient.of(recipient) for recipient in email.recipients],
            reply_to=[Mailbox.of(text) for text in row.reply_to],
            subject=row.subject,
            tags=row.tags,
            metadata=row.metadata_,
            message_id=message_id(email_id, row.from_domain),
            size_bytes=row.size_bytes,
            send_at=row.scheduled_at,
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
