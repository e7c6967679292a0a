"""The links by which people leave: ``https://mail.example.com/u/TOKEN``.

A token holds all that is needed to act on it (who sent, to whom, which list), encrypted. So it needs no row, and works
as long as the key is kept, long after the message is gone; 15 U.S.C. 7704(a)(3)(A)(ii) asks for 30 days.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

from penguinmails_core.kit.crypto import SecretBox
from penguinmails_core.kit.tokens import TokenBox

PATH, PREFERENCES_PATH = "/u/", "/p/"
EVERYTHING = ("organization", "")
CAMPAIGNS = ("category", "campaign")


@dataclass(frozen=True, slots=True)
class Subscriber:
    """Whom a link is for. `address` is canonical; `list` is the list that the message was of, None for none; `campaign`
    tells its class."""

    organization_id: UUID
    recipient_id: UUID
    address: str
    list: str | None = None
    campaign: bool = True

    @property
    def scope(self) -> tuple[str, str]:
        """What is left: the list, else all mail of that class. Who leaves a newsletter still gets their receipts."""
        if self.list is not None:
            return "list", self.list
        return CAMPAIGNS if self.campaign else EVERYTHING


_CAMPAIGN = 0x80  # beside the length of the list's name, which is at most 64


class UnsubscribeLinks:
    """`base` gives the public origin of this server, such as ``https://mail.example.com``."""

    def __init__(self, box: SecretBox, base: Callable[[], str]) -> None:
        self._tokens: TokenBox = box.tokens("unsubscribe")
        self._base = base

    def url(self, subscriber: Subscriber) -> str:
        return self._base() + PATH + self.token(subscriber)

    def preferences_url(self, subscriber: Subscriber) -> str:
        return self._base() + PREFERENCES_PATH + self.token(subscriber)

    def token(self, subscriber: Subscriber) -> str:
        name = (subscriber.list or "").encode()
        ids = subscriber.organization_id.bytes + subscriber.recipient_id.bytes
        head = len(name) | (_CAMPAIGN if subscriber.campaign else 0)
        return self._tokens.seal(ids + bytes((head,)) + name + subscriber.address.encode())

    def read(self, token: str) -> Subscriber | None:
        """None for what is no link of ours."""
        content = self._tokens.open(token)
        if content is None:
            return None
        end = 33 + (content[32] & ~_CAMPAIGN)
        return Subscriber(
            UUID(bytes=content[:16]),
            UUID(bytes=content[16:32]),
            content[end:].decode(),
            content[33:end].decode() or None,
            bool(content[32] & _CAMPAIGN),
        )
