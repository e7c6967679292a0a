"""Tracked links: ``https://track.example.com/t/TOKEN`` and the image ``/o/TOKEN``.

A token holds ids only. Where a link leads is looked up here, so nobody can make one that leads elsewhere.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

from penguinmails_core.kit.crypto import SecretBox

CLICK_PATH, OPEN_PATH = "/t/", "/o/"
MAX_LINKS = 1000
_FORM = struct.Struct(">16s16sH")
_OPEN = 0xFFFF


@dataclass(frozen=True, slots=True)
class Target:
    """`link` is the place among the message's links, None for the image."""

    organization_id: UUID
    recipient_id: UUID
    link: int | None = None


class TrackingLinks:
    """`base` gives the origin of tracked links."""

    def __init__(self, box: SecretBox, base: Callable[[], str]) -> None:
        self._tokens = box.tokens("tracking")
        self._base = base

    def url(self, target: Target) -> str:
        link = _OPEN if target.link is None else target.link
        token = self._tokens.seal(_FORM.pack(target.organization_id.bytes, target.recipient_id.bytes, link))
        return self._base() + (OPEN_PATH if target.link is None else CLICK_PATH) + token

    def read(self, token: str) -> Target | None:
        """None for what is no link of ours."""
        content = self._tokens.open(token)
        if content is None or len(content) != _FORM.size:
            return None
        organization, recipient, link = _FORM.unpack(content)
        return Target(UUID(bytes=organization), UUID(bytes=recipient), None if link == _OPEN else link)
