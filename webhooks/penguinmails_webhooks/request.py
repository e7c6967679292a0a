"""What an endpoint wants of its requests beside the plain event: opened once for each state of its settings."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

import orjson

from penguinmails_core.kit.clock import utcnow
from penguinmails_core.kit.crypto import SecretBox
from penguinmails_core.kit.http import ClientCertificate
from penguinmails_core.webhook_endpoints.service import (
    client_key_context,
    destination_context,
    headers_context,
    secret_context,
)

K = TypeVar("K")
V = TypeVar("V")

_KEPT = 4096


@dataclass(frozen=True, slots=True)
class RequestSettings:
    """`pin`: the newest schema version that it knows. `older`: old secrets with the time until which they sign."""

    thin: bool = False
    pin: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    older: tuple[tuple[datetime, str], ...] = field(default=(), repr=False)
    certificate: ClientCertificate | None = field(default=None, repr=False)
    destination: str = "http"
    destination_settings: Mapping[str, Any] = field(default_factory=dict)
    destination_secret: str | None = field(default=None, repr=False)

    def old_secrets(self) -> list[str]:
        """Those that still sign."""
        now = utcnow() if self.older else None
        return [text for expires_at, text in self.older if now is not None and expires_at > now]


PLAIN = RequestSettings()
"""Of an endpoint that asked for nothing of the kind: the usual case."""


class Opener:
    """Opens secrets and settings, and keeps what it opened: by their sealed form, so a change is seen at once."""

    def __init__(self, box: SecretBox) -> None:
        self._box = box
        self._secrets: dict[bytes, str] = {}
        self._settings: dict[tuple[UUID, str], RequestSettings] = {}

    def secret(self, endpoint_id: UUID, sealed: bytes) -> str:
        """Raises `CryptoError`."""
        return _kept(self._secrets, sealed, lambda: self._box.open(sealed, secret_context(endpoint_id)).decode())

    def settings(self, endpoint_id: UUID, given: str | None) -> RequestSettings:
        """`given`: what the claim says of them, JSON, or None for nothing. Raises `CryptoError`."""
        if given is None:
            return PLAIN
        return _kept(self._settings, (endpoint_id, given), lambda: self._open(endpoint_id, orjson.loads(given)))

    def _open(self, endpoint_id: UUID, given: dict[str, Any]) -> RequestSettings:
        headers = dict(given["headers"])
        if given["secret_headers"] is not None:
            sealed = base64.b64decode(given["secret_headers"])
            headers |= orjson.loads(self._box.open(sealed, headers_context(endpoint_id)))
        certificate = None
        if given["client_key"] is not None:
            key = self._box.open(base64.b64decode(given["client_key"]), client_key_context(endpoint_id))
            certificate = ClientCertificate(given["client_certificate"], key.decode())
        older = tuple(
            (
                datetime.fromisoformat(entry["expires_at"]),
                self._box.open(base64.b64decode(entry["sealed"]), secret_context(endpoint_id)).decode(),
            )
            for entry in given["older_secrets"]
        )
        secret = None
        if given["destination_secret"] is not None:
            sealed = base64.b64decode(given["destination_secret"])
            secret = self._box.open(sealed, destination_context(endpoint_id)).decode()
        return RequestSettings(
            given["payload"] == "thin",
            given["schema_version"],
            headers,
            older,
            certificate,
            given["destination"],
            given["destination_settings"],
            secret,
        )


def _kept(kept: dict[K, V], key: K, make: Callable[[], V]) -> V:
    found = kept.get(key)
    if found is None:
        if len(kept) >= _KEPT:
            kept.clear()
        found = kept[key] = make()
    return found
