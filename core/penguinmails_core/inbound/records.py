"""What passes between the receiver, the schemes that verify, and the handlers that are told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID


class Refused(Exception):
    """A request that is not proven to come from who it says.

    `code` is one word for programs: missing_header, malformed, unsupported, timestamp_too_old, timestamp_too_new,
    signature_mismatch, wrong_credentials or not_covered. `detail` is for the owner of the source, never for the sender.
    """

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail


class SettingsError(ValueError):
    """A secret or a setting that a scheme cannot use. `field` is the member of the request; the message never holds a
    secret."""

    def __init__(self, field: str, detail: str) -> None:
        super().__init__(detail)
        self.field = field
        self.detail = detail


@dataclass(frozen=True, slots=True)
class InboundRequest:
    """As received. `url` is the public one: senders sign what they call, not what a proxy makes of it. Names of
    `headers` are in lower case; `body` is before any parsing."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Verified:
    """What a proven request says about itself.

    `dedupe_key`: two requests with the same one are one message. `replay_key`: where the delivery id is outside of
    what is signed, what must not come twice whatever the id. `reply`: what the sender wants to be answered (media type,
    body), such as a challenge; `keep` False: it is answered and forgotten.
    """

    dedupe_key: str
    replay_key: str | None = None
    delivery_id: str | None = None
    event: str | None = None
    reply: tuple[str, bytes] | None = None
    keep: bool = True


class Scheme(Protocol):
    """How one kind of sender proves who it is."""

    @property
    def name(self) -> str: ...

    @property
    def title(self) -> str: ...

    def check_secret(self, secret: str) -> None:
        """Raises `SettingsError`."""

    def new_secret(self) -> str | None:
        """A fresh one; None where the sender chooses it."""

    def check_settings(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Those that the scheme knows. Raises `SettingsError`."""

    async def verify(
        self, request: InboundRequest, secrets: Sequence[str], *, settings: Mapping[str, Any], now: float
    ) -> Verified:
        """`now` in Unix seconds. Raises `Refused`."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where a message came in, as the receiver needs to know it. `secrets` are sealed, the newest first."""

    organization_id: UUID
    id: UUID
    workspace_id: UUID | None
    mode: str
    name: str
    scheme: str
    status: str
    settings: Mapping[str, Any]
    secrets: Sequence[bytes]


@dataclass(frozen=True, slots=True)
class ReceivedMessage:
    """A proven message on its way to a handler. `attempt` counts this handler's attempts from 1: the same message may
    come more than once (at least once), always with the same `id`."""

    organization_id: UUID
    workspace_id: UUID | None
    mode: str
    id: UUID
    source_id: UUID
    source_name: str
    scheme: str
    event: str | None
    delivery_id: str | None
    headers: Mapping[str, str]
    body: bytes
    received_at: datetime
    attempt: int


class Discard(Exception):
    """Raised by a handler: trying again is of no use; the message becomes a dead letter at once."""


class InboundHandler(Protocol):
    """An integration that wants messages. `handle` is called after the message was committed, outside of any
    transaction; what it raises is tried again (see `worker.WAITS`), but for `Discard`."""

    @property
    def name(self) -> str: ...

    def wants(self, scheme: str, event: str | None) -> bool: ...

    async def handle(self, message: ReceivedMessage) -> None: ...
