"""What an SMTP server of ours hands on."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Received:
    """One message as it came. `raw` is what stood between DATA and the final dot, dots unstuffed, nothing added."""

    envelope_sender: str  # empty for the null sender <>
    recipients: tuple[str, ...]
    raw: bytes
    received_at: datetime
    remote: str  # "127.0.0.1:40312"
    helo: str
    tls: bool


OnMessage = Callable[[Received], str | Awaitable[str | None] | None]
"""Called on the event loop for each message; a text such as "451 4.3.0 Busy" is sent instead of 250. Of what has to be
awaited the client waits for the end."""
