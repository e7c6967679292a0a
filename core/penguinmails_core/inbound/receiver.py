"""The way in: find the source, prove the sender, keep the message, answer.

A message is answered after its commit and not after its handling: senders wait for seconds only, and repeat what was
not answered. What is not proven changes nothing and reaches no handler.
"""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import func
from sqlalchemy.exc import IntegrityError

from penguinmails_core.errors import NotFound
from penguinmails_core.events import repository as events
from penguinmails_core.events.types import EventType
from penguinmails_core.inbound import repository
from penguinmails_core.inbound.records import InboundHandler, InboundRequest, Refused, Scheme, Source, Verified
from penguinmails_core.inbound.service import secret_context, token_hash, wanted
from penguinmails_core.kit.crypto import SecretBox
from penguinmails_core.kit.db import Database
from penguinmails_core.kit.ids import Prefix, encode, new_uuid

log = logging.getLogger(__name__)

MASKED = "***"
_SECRET_HEADER = re.compile(r"authorization|cookie|signature|secret|token|password|api-?key", re.IGNORECASE)
_TOKEN = re.compile(r"[A-Za-z0-9_-]{43}\Z")
_MAX_HEADERS, _MAX_HEADER, _MAX_LABEL = 64, 1024, 255
_REJECTED_BODY = 4096  # octets that are kept of a body that is not proven
_SECRETS_KEPT = 4096


@dataclass(frozen=True, slots=True)
class Receipt:
    """`message_id` is None for what is answered and forgotten. `waits`: a handler wants it."""

    message_id: UUID | None
    duplicate: bool
    waits: bool
    reply: tuple[str, bytes] | None


class Receiver:
    """One for a process."""

    def __init__(
        self, database: Database, box: SecretBox, schemes: Mapping[str, Scheme], handlers: Sequence[InboundHandler]
    ) -> None:
        self._database = database
        self._box = box
        self._schemes = schemes
        self._handlers = handlers
        self._opened: dict[bytes, str] = {}

    async def find(self, token: str) -> Source | None:
        """The enabled source with that token; a text that cannot be one costs no look-up."""
        if not _TOKEN.match(token):
            return None
        source = await repository.find_source(self._database.ingest, token_hash(token))
        return source if source is not None and source.status == "enabled" else None

    async def receive(self, source: Source, request: InboundRequest, now: float) -> Receipt:
        """Proves and keeps the request; `now` in Unix seconds. Raises `Refused`."""
        scheme = self._schemes.get(source.scheme)
        if scheme is None:
            raise Refused("unsupported", f"this server does not know the scheme {source.scheme} any more")
        secrets = [self._open(sealed, source.id) for sealed in source.secrets]
        verified = await scheme.verify(request, secrets, settings=source.settings, now=now)
        if not verified.keep:
            return Receipt(None, False, False, verified.reply)
        return await self._keep(source, request, verified)

    async def _keep(self, source: Source, request: InboundRequest, verified: Verified) -> Receipt:
        handlers = wanted(self._handlers, source.scheme, verified.event)
        dedupe = _hashed(verified.dedupe_key)
        replay = _hashed(verified.replay_key) if verified.replay_key is not None else None
        values = _columns(source, request, request.body) | {
            "status": "pending" if handlers else "processed",
            "dedupe_key": dedupe,
            "replay_key": replay,
            "delivery_id": _label(verified.delivery_id),
            "event": _label(verified.event),
            "handlers": handlers,
            "due_at": func.now() if handlers else None,
            "processed_at": None if handlers else func.now(),
        }
        try:
            async with self._database.tenant(source.organization_id) as session:
                if not await repository.add_message(session, values):
                    message_id = await repository.count_duplicate(session, source, dedupe, replay)
                    return Receipt(message_id, True, False, verified.reply)
                events.add(
                    session,
                    organization_id=source.organization_id,
                    workspace_id=source.workspace_id,
                    mode=source.mode,
                    event=EventType.INBOUND_RECEIVED,
                    resource_id=values["id"],
                    sequence=1,
                    payload=message_data(source.id, source.name, values),
                )
        except IntegrityError:  # deleted since it was looked up
            raise NotFound("Nothing is received at this URL.") from None
        return Receipt(values["id"], False, bool(handlers), verified.reply)

    async def keep_rejected(self, source: Source, request: InboundRequest, refused: Refused) -> None:
        """So that the owner sees what is wrong; the caller bounds how many. Only the beginning of the body is kept."""
        values = _columns(source, request, request.body[:_REJECTED_BODY])
        values |= {"status": "rejected", "rejection": str(refused)[:500], "dedupe_key": values["id"].bytes}
        with suppress(IntegrityError):  # deleted since it was looked up
            async with self._database.tenant(source.organization_id) as session:
                await repository.add_message(session, values)

    def _open(self, sealed: bytes, source_id: UUID) -> str:
        secret = self._opened.get(sealed)
        if secret is None:
            if len(self._opened) >= _SECRETS_KEPT:
                self._opened.clear()
            secret = self._opened[sealed] = self._box.open(sealed, secret_context(source_id)).decode()
        return secret


def message_data(source_id: UUID, source_name: str, row: Mapping[str, Any]) -> dict[str, Any]:
    """What events say about a message; its body is fetched with its id."""
    return {
        "message_id": encode(Prefix.INBOUND_MESSAGE, row["id"]),
        "source_id": encode(Prefix.INBOUND_SOURCE, source_id),
        "source_name": source_name,
        "scheme": row["scheme"],
        "source_event": row["event"],
        "delivery_id": row["delivery_id"],
        "size_bytes": row["size_bytes"],
    }


def _columns(source: Source, request: InboundRequest, body: bytes) -> dict[str, Any]:
    return {
        "organization_id": source.organization_id,
        "id": new_uuid(),
        "source_id": source.id,
        "workspace_id": source.workspace_id,
        "mode": source.mode,
        "scheme": source.scheme,
        "headers": masked_headers(request.headers),
        "body": body,
        "size_bytes": len(request.body),
    }


def masked_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """What may be kept: credentials and signatures are masked, long ones cut, and of very many the rest dropped."""
    kept = list(headers.items())[:_MAX_HEADERS]
    return {
        _clean(name)[:100]: MASKED if _SECRET_HEADER.search(name) else _clean(value)[:_MAX_HEADER]
        for name, value in kept
    }


def _hashed(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()


def _label(text: str | None) -> str | None:
    return _clean(text)[:_MAX_LABEL] if text is not None else None


def _clean(text: str) -> str:
    """What a text column can hold."""
    return text.replace("\0", "\ufffd").encode("utf-8", "replace").decode()
