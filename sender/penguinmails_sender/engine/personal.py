"""What differs from recipient to recipient of one message: the way out, for now.

Messages that ask for it go to each recipient in a transaction of their own; all others keep sharing one.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from penguinmails_core.kit.addresses import canonical
from penguinmails_core.unsubscribes.links import Subscriber, UnsubscribeLinks
from penguinmails_sender.message import OutgoingMessage

# Also as editors of HTML write it: with spaces, or with the braces encoded in an attribute.
_UNSUBSCRIBE_URL = re.compile(r"(?:\{\{|%7[Bb]%7[Bb])(?:\s|%20)*unsubscribe_url(?:\s|%20)*(?:\}\}|%7[Dd]%7[Dd])")


class Personalizer:
    """`one_click`: whether mail programs may be told to POST, which RFC 8058 §3.1 wants HTTPS for."""

    def __init__(self, unsubscribe: UnsubscribeLinks, *, one_click: bool) -> None:
        self._unsubscribe = unsubscribe
        self._one_click = one_click

    @staticmethod
    def wanted(row: Any) -> bool:
        """Whether the message of a claimed row reads differently for each recipient."""
        return "unsubscribe" in row["options"]

    def apply(self, message: OutgoingMessage, row: Any) -> OutgoingMessage:
        """The message as the recipient of `row` gets it: the same octets on every attempt."""
        options = row["options"].get("unsubscribe")
        if options is None:
            return message
        url = self._unsubscribe.url(
            Subscriber(row["organization_id"], row["id"], canonical(row["address"]), options.get("list"))
        )
        headers = [*message.headers, ("List-Unsubscribe", f"<{url}>")]
        if self._one_click:
            headers.append(("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"))
        return replace(
            message,
            headers=tuple(headers),
            text=_with_url(message.text, url),
            html=_with_url(message.html, url),
        )


def _with_url(body: str | None, url: str) -> str | None:
    """A URL of ours has no character that HTML or a regular expression's replacement would read as more."""
    return _UNSUBSCRIBE_URL.sub(url, body) if body is not None and "unsubscribe_url" in body else body
