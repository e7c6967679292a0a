"""HTML mail made ready for the sandboxed frame: inline images point at our attachments, nothing reaches the network.

Scripts, forms, remote images and frames are stopped by the response's Content-Security-Policy, not by rewriting.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import unescape
from urllib.parse import unquote

from penguinmails_sender.inbox.message_view import Attachment

# Scripts stay off (sandbox), no fetch leaves the machine; styles are the mail's own.
HTML_POLICY = (
    "sandbox; default-src 'none'; img-src 'self' data:; style-src 'unsafe-inline'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'self'"
)
_CID = re.compile(r"cid:([^\s\"'<>)]+)", re.IGNORECASE)
# A policy stops the request, not always the connection: <link rel=preconnect> is not covered at all, and Chromium opens
# a socket for a nested frame before it refuses the frame. Either would tell a host that the mail was read.
_CONNECTING = re.compile(r"<(?=(?:link|i?frame|frameset|fencedframe|portal|object|embed)[\s/>])", re.IGNORECASE)
# A link that wants a new window does nothing, since the sandbox allows none; without this it would try to load its
# target into the frame. At the end, so that a doctype stays first.
_INERT_LINKS = '<base target="_blank">'


def frame_html(html: str, attachments: Sequence[Attachment], base: str) -> str:
    """`html` with ``cid:`` references (RFC 2392) turned into ``{base}/attachments/{index}`` where the part exists, and
    elements that would open a connection renamed (``<x-iframe``)."""
    indexes = {part.content_id: part.index for part in attachments if part.content_id}

    def replace(match: re.Match[str]) -> str:
        index = indexes.get(unquote(unescape(match[1])))
        return match[0] if index is None else f"{base}/attachments/{index}"

    return _CONNECTING.sub("<x-", _CID.sub(replace, html)) + _INERT_LINKS
