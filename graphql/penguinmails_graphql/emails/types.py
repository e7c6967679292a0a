"""Messages, their recipients and content."""

from __future__ import annotations

from typing import Annotated, Self
from uuid import UUID

import strawberry
from strawberry.scalars import JSON

from penguinmails_core.content.service import MessageContent
from penguinmails_core.emails import service
from penguinmails_core.emails.payload import message_id
from penguinmails_core.emails.status import EmailStatus
from penguinmails_core.errors import NotFound
from penguinmails_core.kit import ids
from penguinmails_core.kit.ids import Prefix
from penguinmails_core.models import EmailRecipient as RecipientRow
from penguinmails_core.models import RecipientStatus
from penguinmails_core.scopes import Scope
from penguinmails_graphql.context import Info, caller_of
from penguinmails_graphql.emails.loaders import content_loader, events_loader
from penguinmails_graphql.events.types import Event
from penguinmails_graphql.relay import Node, size_of
from penguinmails_graphql.scalars import DateTime
from penguinmails_graphql.workspaces.loaders import workspace_of
from penguinmails_graphql.workspaces.types import Workspace

strawberry.enum(EmailStatus, description="Derived from the recipients; `PARTIAL` when they differ and none is open.")
strawberry.enum(RecipientStatus)


@strawberry.type(description="An address with a name.")
class Mailbox:
    address: str
    name: str | None


@strawberry.type(description="What the receiving server said.")
class SmtpReply:
    code: int | None
    enhanced_code: str | None = strawberry.field(description="RFC 3463.")
    reply: str | None


@strawberry.type(description="One recipient of a message and what became of it.")
class EmailRecipient(Node):
    kind: str = strawberry.field(description="`to`, `cc` or `bcc`.")
    address: str
    name: str | None
    status: RecipientStatus
    attempts: int
    next_attempt_at: DateTime | None
    last_reply: SmtpReply | None
    reason: str | None
    updated_at: DateTime

    @classmethod
    def of(cls, row: RecipientRow) -> Self:
        replied = row.code is not None or row.reply is not None
        return cls(
            id=strawberry.ID(ids.encode(Prefix.RECIPIENT, row.id)),
            kind=row.kind,
            address=row.address,
            name=row.name,
            status=RecipientStatus(row.status),
            attempts=row.attempts,
            next_attempt_at=DateTime(row.due_at) if row.due_at else None,
            last_reply=SmtpReply(code=row.code, enhanced_code=row.enhanced_code, reply=row.reply) if replied else None,
            reason=row.reason,
            updated_at=DateTime(row.updated_at),
        )


@strawberry.type
class Attachment(Node):
    filename: str
    content_type: str
    disposition: str = strawberry.field(description="`attachment` or `inline`.")
    content_id: str | None
    size: int = strawberry.field(description="Bytes, decoded.")


@strawberry.type(description="What was sent, as it was given.")
class EmailContent:
    text: str | None
    html: str | None
    headers: JSON
    attachments: list[Attachment]

    @classmethod
    def of(cls, content: MessageContent) -> Self:
        return cls(
            text=content.text,
            html=content.html,
            headers=JSON(dict(content.headers)),
            attachments=[
                Attachment(
                    id=strawberry.ID(ids.encode(Prefix.ATTACHMENT, item.id)),
                    filename=item.filename,
                    content_type=item.content_type,
                    disposition=item.disposition,
                    content_id=item.content_id,
                    size=item.size,
                )
                for item in content.attachments
            ],
        )


@strawberry.type(description="A message and what became of it for each recipient.")
class Email(Node):
    status: EmailStatus
    message_class: str = strawberry.field(name="class", description="`transactional` or `campaign`.")
    workspace_id: strawberry.ID
    from_: Mailbox = strawberry.field(name="from")
    reply_to: list[str]
    subject: str
    recipients: list[EmailRecipient]
    tags: list[str]
    metadata: JSON
    message_id: str = strawberry.field(description="The Message-ID header, without angle brackets.")
    size_bytes: int
    scheduled_at: DateTime | None
    expires_at: DateTime
    created_at: DateTime
    uuid: strawberry.Private[UUID]
    workspace_uuid: strawberry.Private[UUID]
    recipient_ids: strawberry.Private[tuple[UUID, ...]]

    @strawberry.field(description="Bodies and attachments; null once they are no longer kept.")
    async def content(self, info: Info) -> EmailContent | None:
        caller_of(info, Scope.EMAILS_READ)
        content = await content_loader(info.context).load(self.uuid)
        return EmailContent.of(content) if content is not None else None

    @strawberry.field(description="What happened to its recipients, the oldest first, up to `first`.")
    async def events(
        self, info: Info, first: Annotated[int | None, strawberry.argument(description="1 to 100.")] = 50
    ) -> list[Event]:
        caller_of(info, Scope.EMAILS_READ)
        found = await events_loader(info.context, size_of(first)).load(self.recipient_ids)
        return [Event.of(row) for row in found]

    @strawberry.field(description="Needs `workspaces:read`; null when the caller may not see it.")
    async def workspace(self, info: Info) -> Workspace | None:
        return await workspace_of(info, self.workspace_uuid)

    @classmethod
    def of(cls, email: service.Email) -> Self:
        row = email.message
        email_id = ids.encode(Prefix.EMAIL, row.id)
        return cls(
            id=strawberry.ID(email_id),
            status=email.status,
            message_class=row.message_class,
            workspace_id=strawberry.ID(ids.encode(Prefix.WORKSPACE, row.workspace_id)),
            from_=Mailbox(address=row.from_address, name=row.from_name),
            reply_to=row.reply_to,
            subject=row.subject,
            recipients=[EmailRecipient.of(recipient) for recipient in email.recipients],
            tags=row.tags,
            metadata=JSON(row.metadata_),
            message_id=message_id(email_id, row.from_domain),
            size_bytes=row.size_bytes,
            scheduled_at=DateTime(row.scheduled_at) if row.scheduled_at else None,
            expires_at=DateTime(row.expires_at),
            created_at=DateTime(row.created_at),
            uuid=row.id,
            workspace_uuid=row.workspace_id,
            recipient_ids=tuple(recipient.id for recipient in email.recipients),
        )


def no_email() -> NotFound:
    return NotFound("There is no such email.")
