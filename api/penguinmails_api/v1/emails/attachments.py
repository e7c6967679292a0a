"""`/v1/emails/{email_id}/attachments/{attachment_id}`: the bytes of one file."""

from typing import Annotated
from urllib.parse import quote
from uuid import UUID

from fastapi import APIRouter, Response

from penguinmails_api.routing import Context, operation
from penguinmails_api.v1.common import from_path, typeid
from penguinmails_api.v1.emails.content import load_content
from penguinmails_api.v1.emails.schemas import EmailIdInPath
from penguinmails_core.errors import NotFound
from penguinmails_core.kit.ids import Prefix
from penguinmails_core.scopes import Scope

AttachmentIdInPath = Annotated[UUID, from_path(Prefix.ATTACHMENT, "attachment"), typeid(Prefix.ATTACHMENT)]

router = APIRouter(prefix="/v1/emails", tags=["emails"])


class File(Response):
    """Always `application/octet-stream`: what a caller uploaded must never run in our origin."""

    media_type = "application/octet-stream"


@router.get(
    "/{email_id}/attachments/{attachment_id}",
    summary="Download an attachment",
    response_class=File,
    **operation("emails_attachment", scope=Scope.EMAILS_READ),
)
async def get_attachment(context: Context, email_id: EmailIdInPath, attachment_id: AttachmentIdInPath) -> Response:
    """The bytes as they were sent, whatever their type. `GET /v1/emails/{email_id}/content` lists the ids."""
    content = await load_content(context, email_id, attachment_data=True)
    for item in content.attachments:
        if item.id == attachment_id and item.data is not None:
            # RFC 6266 §4.3: the extended form carries any name, and quoting leaves nothing to escape from.
            disposition = f"attachment; filename*=UTF-8''{quote(item.filename, safe='')}"
            return File(item.data, headers={"Content-Disposition": disposition})
    raise NotFound("There is no such attachment.")
