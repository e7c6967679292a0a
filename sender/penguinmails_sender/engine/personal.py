"""What differs from recipient to recipient of one message: the way out, tracked links, the image that tells of opens.

Messages that ask for any of it go to each recipient in a transaction of their own; all others keep sharing one.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from penguinmails_core.kit.addresses import canonical
from penguinmails_core.tracking.links import MAX_LINKS, Target, TrackingLinks
from penguinmails_core.unsubscribes.links import Subscriber, UnsubscribeLinks
from penguinmails_sender.message import OutgoingMessage
from penguinmails_sender.mime.links import MarkedHtml, mark, with_image

# Also as editors of HTML write it: with spaces, or with the braces encoded in an attribute.
_PLACE = re.compile(
    r"(?:\{\{|%7[Bb]%7[Bb])(?:\s|%20){0,20}(unsubscribe|preferences)_url(?:\s|%20){0,20}(?:\}\}|%7[Dd]%7[Dd])"
)


class Personalizer:
    """`one_click`: whether mail programs may be told to POST, which RFC 8058 §3.1 wants HTTPS for."""

    def __init__(self, unsubscribe: UnsubscribeLinks, tracking: TrackingLinks, *, one_click: bool) -> None:
        self._unsubscribe = unsubscribe
        self._tracking = tracking
        self._one_click = one_click

    @staticmethod
    def wanted(row: Any) -> bool:
        """Whether the message of a claimed row reads differently for each recipient."""
        return bool(row["options"])

    @staticmethod
    def mark(row: Any, html: str | None) -> MarkedHtml | None:
        """The links to follow, once for all recipients; None when none are."""
        if html is None or not row["options"].get("tracking", {}).get("clicks"):
            return None
        marked = mark(html, MAX_LINKS)
        return marked if marked.urls else None

    def apply(self, message: OutgoingMessage, row: Any, marked: MarkedHtml | None) -> OutgoingMessage:
        """The message as the recipient of `row` gets it: the same octets on every attempt. `marked` is of its HTML, and
        its links are kept already."""
        if message.html is not None:
            message = replace(message, html=self._tracked(message.html, row, marked))
        options = row["options"].get("unsubscribe")
        return message if options is None else self._leavable(message, row, options)

    def _tracked(self, html: str, row: Any, marked: MarkedHtml | None) -> str:
        url = self._urls(row)
        if marked is not None:
            html = marked.render(url)
        if row["options"].get("tracking", {}).get("opens"):
            html = with_image(html, url(None))
        return html

    def _urls(self, row: Any) -> Callable[[int | None], str]:
        return lambda place: self._tracking.url(Target(row["organization_id"], row["id"], place))

    def _leavable(self, message: OutgoingMessage, row: Any, options: dict[str, Any]) -> OutgoingMessage:
        subscriber = Subscriber(
            row["organization_id"],
            row["id"],
            canonical(row["address"]),
            options.get("list"),
            row["message_class"] == "campaign",
        )
        url = self._unsubscribe.url(subscriber)
        headers = [*message.headers, ("List-Unsubscribe", f"<{url}>")]
        if self._one_click:
            headers.append(("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"))
        return replace(
            message,
            headers=tuple(headers),
            text=self._filled_in(message.text, subscriber),
            html=self._filled_in(message.html, subscriber),
        )

    def _filled_in(self, body: str | None, subscriber: Subscriber) -> str | None:
        """A URL of ours has no character that HTML would read as more."""
        if body is None or ("unsubscribe_url" not in body and "preferences_url" not in body):
            return body
        urls = {
            "unsubscribe": self._unsubscribe.url(subscriber),
            "preferences": self._unsubscribe.preferences_url(subscriber),
        }
        return _PLACE.sub(lambda found: urls[found[1]], body)
