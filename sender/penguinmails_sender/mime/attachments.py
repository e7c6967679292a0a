"""Attachments and inline images as MIME parts (RFC 2046, RFC 2183, RFC 2392)."""

from __future__ import annotations

import re
from functools import lru_cache

from penguinmails_sender.message import Attachment
from penguinmails_sender.mime.bodies import base64_lines, canonical, is_safe_7bit
from penguinmails_sender.mime.errors import MimeError, refuse_controls
from penguinmails_sender.mime.headers import text_header
from penguinmails_sender.mime.parameters import parameter

Entity = tuple[bytes, list[bytes]]
"""A MIME part: its header lines (each with CRLF) and the chunks of its encoded body (no CRLF of its own at the end)."""

_WORD = r"[!#$%&'*+.^_`{|}~0-9A-Za-z-]+"
_CONTENT_TYPE = re.compile(rf'({_WORD})/({_WORD})(?: *; *{_WORD}=(?:{_WORD}|"(?:[ !#-\[\]-~]|\\[ -~])*"))*').fullmatch
_CONTENT_ID = re.compile(r"[!-;=?-~]{1,250}").fullmatch
_MAX_CONTENT_TYPE = 500


def attachment_entity(attachment: Attachment, field: str, inline: bool) -> Entity:
    """The part for one file. `inline` parts are shown inside the HTML. Raises MimeError naming `field.…`.

    An attached message (`message/rfc822`) must not be encoded (RFC 2046 §5.2.1): it stays as it is when it is plain
    7-bit text and becomes `application/octet-stream` when it is not.
    """
    content_type = _checked_type(attachment.content_type, f"{field}.content_type")
    if content_type.startswith("message/"):
        body = canonical(attachment.content)
        if content_type == "message/rfc822" and is_safe_7bit(body):
            encoding = "7bit"
        else:
            content_type, encoding, body = "application/octet-stream", "base64", base64_lines(attachment.content)
    else:
        encoding, body = "base64", base64_lines(attachment.content)
    lines = [
        text_header("Content-Type", content_type, f"{field}.content_type"),
        f"Content-Transfer-Encoding: {encoding}",
    ]
    if attachment.content_id is not None:
        lines.append(f"Content-ID: <{_checked_id(attachment.content_id, f'{field}.content_id')}>")
    disposition = "Content-Disposition: inline" if inline else "Content-Disposition: attachment"
    if attachment.filename:
        disposition += parameter("filename", attachment.filename, f"{field}.filename")
    lines.append(disposition + "\r\n")
    return "\r\n".join(lines).encode(), [body]


@lru_cache(maxsize=256)
def _checked_type(content_type: str, field: str) -> str:
    refuse_controls(content_type, field)
    match = _CONTENT_TYPE(content_type) if len(content_type) <= _MAX_CONTENT_TYPE else None
    if match is None:
        raise MimeError(field, "give a media type such as application/pdf, optionally with parameters")
    if match[1].lower() == "multipart":
        raise MimeError(field, "a multipart type cannot be attached; give its parts as attachments")
    return match[1].lower() + content_type[len(match[1]) :] if match[1].lower() == "message" else content_type


def _checked_id(content_id: str, field: str) -> str:
    refuse_controls(content_id, field)
    if _CONTENT_ID(content_id) is None:
        raise MimeError(field, "give 1 to 250 printable ASCII characters without spaces and angle brackets")
    return content_id
