"""Reads what was sent from the content tier, after checking that the caller may see the message."""

from uuid import UUID

from penguinmails_api.context import RequestContext
from penguinmails_core.content.service import MessageContent
from penguinmails_core.emails import service
from penguinmails_core.errors import NotFound


async def load_content(context: RequestContext, email_id: UUID, *, attachment_data: bool = False) -> MessageContent:
    """The `MessageContent` of a message. Raises `NotFound` or, without a content tier, `Unavailable`."""
    caller, services = context.caller, context.services
    # The transaction ends before the content tier is asked: it may be another server, and slow.
    async with services.database.tenant(caller.organization_id) as session:
        await service.get_email(session, caller, email_id)
    content = await services.content.load(caller.organization_id, email_id, attachment_data=attachment_data)
    if content is None:
        raise NotFound("The content of this email is no longer kept.")
    return content
