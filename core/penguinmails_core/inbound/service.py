"""Inbound sources and messages for their owners: make, change, rotate, delete; look at what came; replay it.

Works in the caller's transaction, so that an Idempotency-Key is stored with the work. How senders prove themselves is
told by the webhook component (`Scheme`), which stands above this one.
"""

from __future__ import annotations

import base64
import hashlib
import secrets as random
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy import func
from sqlalchemy.ext.asyncio import AsyncSession

from penguinmails_core.audit import service as audit
from penguinmails_core.audit.actor import Resource
from penguinmails_core.errors import Conflict, FieldError, NotFound, Unprocessable
from penguinmails_core.inbound import repository
from penguinmails_core.inbound.records import InboundHandler, Scheme, SettingsError
from penguinmails_core.kit.clock import rfc3339, utcnow
from penguinmails_core.kit.crypto import SecretBox
from penguinmails_core.kit.ids import Prefix, new_uuid
from penguinmails_core.kit.pages import cut
from penguinmails_core.kit.texts import text_errors
from penguinmails_core.models import InboundMessage, InboundSource
from penguinmails_core.principal import Principal

Row = TypeVar("Row")

MAX_SOURCES = 100
MAX_NAME = 100
MAX_SECRETS = 5
MAX_OVERLAP = timedelta(days=30)
DEFAULT_OVERLAP = timedelta(hours=24)
PATH = "/inbound/"


def secret_context(source_id: UUID) -> bytes:
    """What sealed secrets of a source are bound to."""
    return f"inbound_sources:{source_id}".encode()


def token_hash(token: str) -> bytes:
    """Tokens hold 256 random bits, so a slow hash would add nothing."""
    return hashlib.sha256(token.encode()).digest()


class InboundSources:
    """All methods raise `NotFound` for what the caller may not see, and `Unprocessable` naming fields."""

    def __init__(
        self,
        box: SecretBox,
        schemes: Mapping[str, Scheme],
        handlers: Sequence[InboundHandler],
        base_url: Callable[[], str],
    ) -> None:
        self._box = box
        self._schemes = schemes
        self._handlers = handlers
        self._base_url = base_url

    def url_of(self, source: InboundSource) -> str:
        """What the sender is to call."""
        return self._base_url() + PATH + self._box.open(source.token, secret_context(source.id)).decode()

    async def create(
        self,
        session: AsyncSession,
        principal: Principal,
        *,
        name: str,
        scheme: str,
        secret: str | None = None,
        settings: Mapping[str, Any] | None = None,
    ) -> tuple[InboundSource, str | None]:
        """The source, and its secret when we made it (None when it was given). Raises `Conflict` at 100 sources."""
        found = self._scheme(scheme)
        errors = text_errors("/name", name, most=MAX_NAME)
        checked: dict[str, Any] = {}
        made: str | None = None
        try:
            checked = found.check_settings(settings or {})
            if secret is None:
                made = found.new_secret()
                if made is None:
                    raise SettingsError("secret", f"{found.title} makes the secret: copy it from there")
            else:
                found.check_secret(secret)
        except SettingsError as error:
            errors.append(_field_error(error))
        _refuse(errors)
        if await repository.count_for_update(session, principal.organization_id) >= MAX_SOURCES:
            raise Conflict(
                f"An organization has at most {MAX_SOURCES} inbound sources, test ones included. Delete one first.",
                extra={"limit": MAX_SOURCES},
            )
        source_id, token = new_uuid(), random.token_urlsafe(32)
        source = InboundSource(
            organization_id=principal.organization_id,
            id=source_id,
            workspace_id=principal.workspace_id,
            mode=principal.mode,
            name=name.strip(),
            scheme=scheme,
            settings=checked,
            token_hash=token_hash(token),
            token=self._box.seal(token.encode(), secret_context(source_id)),
            secrets=[self._entry(source_id, secret or made or "")],
        )
        session.add(source)
        await session.flush()
        await session.refresh(source)
        await _record(session, principal, "created", source, None, _facts(source))
        return source, made

    async def get(
        self, session: AsyncSession, principal: Principal, source_id: UUID, *, lock: bool = False
    ) -> InboundSource:
        source = await repository.get_source(session, principal, source_id, lock=lock)
        if source is None:
            raise NotFound("There is no such inbound source.")
        return source

    async def list_sources(
        self,
        session: AsyncSession,
        principal: Principal,
        *,
        limit: int,
        after: UUID | None = None,
        before: UUID | None = None,
    ) -> tuple[list[InboundSource], bool]:
        """A page, the newest first, and whether there is more in the direction of travel."""
        found = await repository.list_sources(session, principal, limit=limit + 1, after=after, before=before)
        return cut(found, limit, backwards=before is not None)

    async def update(
        self, session: AsyncSession, principal: Principal, source_id: UUID, changes: Mapping[str, Any]
    ) -> InboundSource:
        """`changes` holds only what is to be changed: name, settings, status (enabled, disabled)."""
        source = await self.get(session, principal, source_id, lock=True)
        before, values, errors = _facts(source), dict(changes), []
        if "name" in values:
            errors += text_errors("/name", values["name"], most=MAX_NAME)
            values["name"] = values["name"].strip()
        if "settings" in values:
            try:
                values["settings"] = self._scheme(source.scheme).check_settings(values["settings"] or {})
            except SettingsError as error:
                errors.append(_field_error(error))
        _refuse(errors)
        for name, value in values.items():
            setattr(source, name, str(value) if name == "status" else value)
        source.updated_at = func.now()
        await session.flush()
        await session.refresh(source)
        after = _facts(source)
        if after != before:
            await _record(session, principal, "updated", source, before, after)
        return source

    async def delete(self, session: AsyncSession, principal: Principal, source_id: UUID) -> None:
        """With every message that came in by it; its URL is unknown from then on."""
        source = await self.get(session, principal, source_id, lock=True)
        await repository.delete_source(session, source)
        await _record(session, principal, "deleted", source, _facts(source), None)

    async def rotate_secret(
        self,
        session: AsyncSession,
        principal: Principal,
        source_id: UUID,
        *,
        secret: str | None = None,
        overlap: timedelta = DEFAULT_OVERLAP,
    ) -> tuple[InboundSource, str | None]:
        """A new secret beside the ones before, which count for `overlap` more (or until their own end, if that is
        sooner). The secret is returned when we made it. At most five count at a time: the oldest goes."""
        source = await self.get(session, principal, source_id, lock=True)
        scheme = self._scheme(source.scheme)
        made: str | None = None
        try:
            if secret is None:
                made = scheme.new_secret()
                if made is None:
                    raise SettingsError("secret", f"{scheme.title} makes the secret: copy it from there")
            else:
                scheme.check_secret(secret)
        except SettingsError as error:
            _refuse([_field_error(error)])
        now = utcnow()
        end = rfc3339(now + overlap)
        kept = [
            entry | {"expires_at": min(end, entry["expires_at"] or end)}
            for entry in source.secrets
            if entry["expires_at"] is None or entry["expires_at"] > rfc3339(now)
        ]
        if not overlap:
            kept = []
        source.secrets = [self._entry(source.id, secret or made or ""), *kept][:MAX_SECRETS]
        source.updated_at = func.now()
        await session.flush()
        await session.refresh(source)
        await _record(session, principal, "secret_rotated", source, None, {"previous_secret_expires_at": end})
        return source, made

    async def get_message(
        self, session: AsyncSession, principal: Principal, message_id: UUID, *, lock: bool = False
    ) -> InboundMessage:
        message = await repository.get_message(session, principal, message_id, lock=lock)
        if message is None:
            raise NotFound("There is no such inbound message, or it is not kept any more.")
        return message

    async def list_messages(
        self,
        session: AsyncSession,
        principal: Principal,
        *,
        source_id: UUID | None = None,
        statuses: Sequence[str] = (),
        limit: int,
        after: UUID | None = None,
        before: UUID | None = None,
    ) -> tuple[list[InboundMessage], bool]:
        """A page, the newest first; bodies are not loaded. Raises `NotFound` for a source of somebody else's."""
        if source_id is not None:
            await self.get(session, principal, source_id)
        found = await repository.list_messages(
            session, principal, source_id, statuses, limit=limit + 1, after=after, before=before
        )
        return cut(found, limit, backwards=before is not None)

    async def replay(self, session: AsyncSession, principal: Principal, message_id: UUID) -> InboundMessage:
        """Every handler that wants it now gets it again, whatever became of it. Raises `Conflict` for a request that
        was rejected: it is not proven, and no handler may see it."""
        message = await self.get_message(session, principal, message_id, lock=True)
        if message.status == "rejected":
            raise Conflict("The request was rejected, so it is not known who sent it. It cannot be replayed.")
        message.handlers = wanted(self._handlers, message.scheme, message.event)
        message.status = "pending" if message.handlers else "processed"
        message.due_at = func.now() if message.handlers else None
        message.processed_at = None if message.handlers else func.now()
        message.attempts = min(message.attempts + 1, 32_000)  # what is under way now does not count any more
        await session.flush()
        await session.refresh(message)
        resource = Resource(Prefix.INBOUND_MESSAGE, message.id, message.workspace_id)
        await audit.record(session, principal, "inbound_message.replayed", resource, None, None)
        return message

    def _scheme(self, name: str) -> Scheme:
        scheme = self._schemes.get(name)
        if scheme is None:
            detail = f"`scheme` is one of {', '.join(self._schemes)}."
            raise Unprocessable(detail, errors=[FieldError("/scheme", "unknown_scheme", detail)])
        return scheme

    def _entry(self, source_id: UUID, secret: str) -> dict[str, Any]:
        sealed = self._box.seal(secret.encode(), secret_context(source_id))
        return {"sealed": base64.b64encode(sealed).decode(), "created_at": rfc3339(utcnow()), "expires_at": None}


def wanted(handlers: Sequence[InboundHandler], scheme: str, event: str | None) -> dict[str, Any]:
    """What the column `handlers` begins with."""
    names = [handler.name for handler in handlers if handler.wants(scheme, event)]
    return {name: {"status": "pending", "attempts": 0, "error": None} for name in names}


def _facts(source: InboundSource) -> dict[str, Any]:
    return audit.facts(source, "name", "scheme", "status", "settings", "mode")


async def _record(
    session: AsyncSession,
    principal: Principal,
    verb: str,
    source: InboundSource,
    before: Mapping[str, Any] | None,
    after: Mapping[str, Any] | None,
) -> None:
    resource = Resource(Prefix.INBOUND_SOURCE, source.id, source.workspace_id)
    await audit.record(session, principal, f"inbound_source.{verb}", resource, before, after)


def _field_error(error: SettingsError) -> FieldError:
    detail = error.detail[0].upper() + error.detail[1:] + "."
    return FieldError(f"/{error.field}", "invalid", detail)


def _refuse(errors: Sequence[FieldError]) -> None:
    if errors:
        detail = errors[0].detail if len(errors) == 1 else f"{len(errors)} fields need attention; see `errors`."
        raise Unprocessable(detail, errors=errors)
