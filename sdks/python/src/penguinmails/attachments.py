"""Files for `client.emails.send(attachments=[...])`."""

from __future__ import annotations

import base64
import mimetypes
import os
import pathlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from penguinmails._generated.inputs import AttachmentCreateInput

__all__ = ["Attachment"]


class Attachment:
    """Makes attachments from files or bytes. With `content_id` it is inline: HTML shows it by `<img src="cid:…">`."""

    @staticmethod
    def from_path(
        path: str | os.PathLike[str],
        *,
        filename: str | None = None,
        content_type: str | None = None,
        content_id: str | None = None,
    ) -> AttachmentCreateInput:
        """A file on disk; its name and media type are taken from the path when left out. Raises `OSError`."""
        file = pathlib.Path(path)
        return Attachment.from_bytes(
            file.read_bytes(), filename=filename or file.name, content_type=content_type, content_id=content_id
        )

    @staticmethod
    def from_bytes(
        data: bytes,
        *,
        filename: str,
        content_type: str | None = None,
        content_id: str | None = None,
    ) -> AttachmentCreateInput:
        """Bytes in memory; the media type is guessed from `filename` when left out."""
        made: AttachmentCreateInput = {"filename": filename, "content": base64.b64encode(data).decode()}
        kind = content_type or mimetypes.guess_type(filename)[0]
        if kind is not None:
            made["content_type"] = kind
        if content_id is not None:
            made["content_id"] = content_id
        return made
