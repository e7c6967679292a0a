"""Mailboxes for their owners: connect, change, test, pause, delete. Works in the caller's transaction.

Nothing here calls a mail server: who does (`Prober`) is asked before the transaction begins, and what was found is
given to `create`, `update` and `record_checks`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import func
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from penguinmails_core.errors import Conflict, FieldError, MailboxUnreachable, NotFound, Unprocessable
from penguinmails_core.events.types import EventType
from penguinmails_core.kit.clock import rfc3339, utcnow
from penguinmails_core.kit.crypto import SecretBox
from penguinmails_core.kit.ids import new_uuid
from penguinmails_core.kit.pages import cut
from penguinmails_core.limits.catalogue import Limit
from penguinmails_core.limits.service import require_room
from penguinmails_core.mailboxes import repository, rules, tell
from penguinmails_core.mailboxes.records import PROVIDERS, Check, Connection, MailServer
from penguinmails_core.models import Mailbox
from penguinmails_core.principal import Principal

_PLAIN = ("display_name", "signature_html", "signature_text", "daily_cap", "hourly_cap")
_PACE = ("min_gap_seconds", "gap_jitter_seconds")
_SERVERS = ("smtp", "imap", "oauth")


def secret_context(mailbox_id: UUID, what: str) -> bytes:
    """What a sealed secret is bound to. `what`: smtp, imap, refresh or access."""
    return f"mailboxes:{mailbox_id}:{what}".encode()


class Mailboxes:
    """All methods raise `NotFound` for what the caller may not see, and `Unprocessable` naming fields."""

    def __init__(self, box: SecretBox, *, allow_private: bool) -> None:
        self._box = box
        self._allow_private = allow_private

    def connection_of_new(self, asked: Mapping[str, Any]) -> Connection:
        """How to sign in to a mailbox that is not there yet. Raises `Unprocessable` for what can never work."""
        errors: list[FieldError] = []
        address = rules.read_address("/address", asked["address"], errors)
        rules.refuse(errors)
        assert address is not None
        return self._connection(asked, address.address, None)

    async def create(
        self,
        session: AsyncSession,
        principal: Principal,
        asked: Mapping[str, Any],
        checks: Sequence[Check] | None = None,
    ) -> Mailbox:
        """`asked` are the fields of the request; `checks` what came of signing in, None when nobody tried. Raises
        `MailboxUnreachable` when that did not work, `Conflict` for an address that is there, `LimitReached`."""
        errors = rules.text_field_errors(asked) + rules.cap_errors(asked["daily_cap"], asked["hourly_cap"])
        address = rules.read_address("/address", asked["address"], errors)
        aliases = rules.read_aliases(asked.get("aliases") or (), address.canonical if address else None, errors)
        rules.refuse(errors)
        assert address is not None
        if principal.constraints is not None:
            principal.constraints.check_sender(address, "/address")
        connection = self._connection(asked, address.address, None)
        require_working(checks)
        workspace_id = await _workspace(session, principal, asked.get("workspace_id"))
        await require_room(session, principal.organization_id, Limit.MAX_EMAIL_ACCOUNTS)
        row = Mailbox(
            organization_id=principal.organization_id,
            id=new_uuid(),
            workspace_id=workspace_id,
            mode=principal.mode,
            address=address.address,
            address_key=address.canonical,
            aliases=aliases,
            **{name: asked[name] for name in (*_PLAIN, *_PACE)},
        )
        self._keep(row, connection)
        session.add(row)
        try:
            await session.flush()
        except IntegrityError:
            raise Conflict(f"{address.address} has been added to this organization already.") from None
        await session.refresh(row)
        await tell.event(session, row, EventType.MAILBOX_CREATED)
        if checks is not None:
            await self._apply(session, row, checks)
        await tell.record(session, principal, "created", row, None, tell.facts(row))
        return row

    async def get(
        self, session: AsyncSession, principal: Principal, mailbox_id: UUID, *, lock: bool = False
    ) -> Mailbox:
        row = await repository.get(session, principal, mailbox_id, lock=lock)
        if row is None:
            raise NotFound("There is no such mailbox.")
        return row

    async def list_mailboxes(
        self,
        session: AsyncSession,
        principal: Principal,
        *,
        statuses: Sequence[str] = (),
        address: str | None = None,
        limit: int,
        after: UUID | None = None,
        before: UUID | None = None,
    ) -> tuple[list[Mailbox], bool]:
        """A page, the newest first, and whether there is more in the direction of travel. `address`: canonical."""
        found = await repository.list_mailboxes(
            session, principal, statuses=statuses, address=address, limit=limit + 1, after=after, before=before
        )
        return cut(found, limit, backwards=before is not None)

    def connection_of(self, row: Mailbox, changes: Mapping[str, Any] | None = None) -> Connection | None:
        """How to sign in, with its secrets; with `changes`, how it will be after them, None when they change nothing
        about that."""
        if changes is not None and not any(name in changes for name in _SERVERS):
            return None
        return self._connection(changes or {}, row.address, row)

    async def update(
        self,
        session: AsyncSession,
        principal: Principal,
        mailbox_id: UUID,
        changes: Mapping[str, Any],
        checks: Sequence[Check] | None = None,
    ) -> Mailbox:
        """`changes` holds only what is to be changed. New servers or secrets that nobody tried (`checks` None) leave
        the mailbox disconnected until a test."""
        row = await self.get(session, principal, mailbox_id, lock=True)
        before = tell.facts(row)
        values = dict(changes)
        errors = rules.text_field_errors(values) + rules.cap_errors(
            values.get("daily_cap", row.daily_cap), values.get("hourly_cap", row.hourly_cap)
        )
        if "aliases" in values:
            row.aliases = rules.read_aliases(values["aliases"], row.address_key, errors)
        rules.refuse(errors)
        connection = self.connection_of(row, values)
        require_working(checks)
        for name in (*_PLAIN, *_PACE):
            if name in values:
                setattr(row, name, values[name])
        row.updated_at = func.now()
        if connection is not None:
            self._keep(row, connection)
        await session.flush()
        await session.refresh(row)
        if connection is not None:
            await self._apply(session, row, checks or [Check("smtp", "untested", *_UNTESTED)])
        await tell.record(session, principal, "updated", row, before, tell.facts(row))
        return row

    async def record_checks(
        self, session: AsyncSession, principal: Principal, mailbox_id: UUID, checks: Sequence[Check]
    ) -> Mailbox:
        """Keep what came of a test, and tell when the mailbox is connected or disconnected by it."""
        row = await self.get(session, principal, mailbox_id, lock=True)
        await self._apply(session, row, checks)
        return row

    async def pause(self, session: AsyncSession, principal: Principal, mailbox_id: UUID) -> Mailbox:
        """Nothing is sent from it until it is resumed. Pausing again changes nothing."""
        row = await self.get(session, principal, mailbox_id, lock=True)
        if row.paused_at is None:
            before = tell.facts(row)
            row.paused_at, row.pause_reason, row.updated_at = func.now(), "manual", func.now()
            await session.flush()
            await session.refresh(row)
            await tell.event(session, row, EventType.MAILBOX_PAUSED, reason="manual", until=None)
            await tell.record(session, principal, "paused", row, before, tell.facts(row))
        return row

    async def resume(self, session: AsyncSession, principal: Principal, mailbox_id: UUID) -> Mailbox:
        """What waited goes on within caps and gaps, not all at once. Resuming again changes nothing."""
        row = await self.get(session, principal, mailbox_id, lock=True)
        if row.paused_at is not None:
            before = tell.facts(row)
            row.paused_at, row.pause_reason, row.updated_at = None, None, func.now()
            await session.flush()
            await session.refresh(row)
            await tell.event(session, row, EventType.MAILBOX_RESUMED)
            await tell.record(session, principal, "resumed", row, before, tell.facts(row))
        return row

    async def delete(self, session: AsyncSession, principal: Principal, mailbox_id: UUID) -> None:
        """With its secrets. Nothing is changed at the provider."""
        row = await self.get(session, principal, mailbox_id, lock=True)
        before = tell.facts(row)
        await tell.event(session, row, EventType.MAILBOX_DELETED)
        await repository.delete_mailbox(session, row)
        await tell.record(session, principal, "deleted", row, before, None)

    async def _apply(self, session: AsyncSession, row: Mailbox, checks: Sequence[Check]) -> None:
        failed = next((check for check in checks if not check.ok), None)
        was, row.connection = row.connection, "connected" if failed is None else "disconnected"
        first = row.checked_at is None
        row.checked_at = func.now()
        row.last_error = None
        if failed is not None:
            row.last_error = {
                "protocol": failed.protocol,
                "code": failed.code,
                "detail": failed.detail,
                "fix": failed.fix,
                "at": rfc3339(utcnow()),
            }
        if was != row.connection:
            row.updated_at = func.now()
        await session.flush()
        await session.refresh(row)
        if failed is None and was != "connected":
            await tell.event(session, row, EventType.MAILBOX_CONNECTED)
        elif failed is not None and (was == "connected" or first):
            await tell.event(session, row, EventType.MAILBOX_DISCONNECTED, reason=failed.code)

    def _connection(self, asked: Mapping[str, Any], address: str, row: Mailbox | None) -> Connection:
        """Of what is asked, over what is stored. Raises `Unprocessable`."""
        if asked.get("oauth") is not None:
            provider = PROVIDERS[asked["oauth"]["provider"]]
            smtp, imap = (MailServer(*where, address) for where in (provider.smtp, provider.imap))
            return Connection(smtp, imap, asked["oauth"]["provider"], asked["oauth"]["refresh_token"])
        stored = self._stored(row) if row is not None else None
        if stored is not None and stored.provider is not None and asked.get("smtp") is None:
            if asked.get("imap") is not None:
                detail = "A mailbox that signs in by OAuth has the servers of its provider."
                rules.refuse([FieldError("/imap", "not_allowed", detail)])
            return stored
        if asked.get("smtp") is None and stored is None:
            detail = "Give `smtp` (with a password), or `oauth`."
            rules.refuse([FieldError("/smtp", "required", detail)])
        errors: list[FieldError] = []
        kept = stored if stored is not None and stored.provider is None else None
        smtp_server = kept.smtp if kept else None
        if asked.get("smtp") is not None:
            smtp_server = self._server("/smtp", asked["smtp"], address, smtp_server, errors)
        imap_server = kept.imap if kept else None
        if "imap" in asked:
            given = asked["imap"]
            if given is not None:
                spare = smtp_server if given.get("host") else None
                given = given | {"password": given.get("password") or _same_user(given, spare, address)}
            imap_server = self._server("/imap", given, address, imap_server, errors) if given else None
        rules.refuse(errors)
        assert smtp_server is not None
        return Connection(smtp_server, imap_server)

    def _server(
        self,
        pointer: str,
        given: Mapping[str, Any],
        address: str,
        stored: MailServer | None,
        errors: list[FieldError],
    ) -> MailServer | None:
        """A stored password goes only where it went before: whoever could lead it elsewhere would learn it."""
        given = dict(given) | {"username": given.get("username") or address}
        found = rules.server_errors(pointer, given, allow_private=self._allow_private)
        password = given.get("password")
        if password is None and stored is not None and _place(stored) == tuple(given[name] for name in _PLACE):
            password = stored.password
        if password is None:
            found.append(FieldError(f"{pointer}/password", "required", "Give the password for this server."))
        errors += found
        return None if found else MailServer(**{name: given[name] for name in _PLACE}, password=password)

    def _keep(self, row: Mailbox, connection: Connection) -> None:
        def seal(secret: str | None, what: str) -> bytes | None:
            return self._box.seal(secret.encode(), secret_context(row.id, what)) if secret is not None else None

        row.auth, row.oauth_provider = "oauth" if connection.provider else "password", connection.provider
        row.oauth_refresh_token = seal(connection.refresh_token, "refresh")
        row.oauth_access_token = row.oauth_expires_at = None
        smtp, imap = connection.smtp, connection.imap
        row.smtp_host, row.smtp_port, row.smtp_tls = smtp.host, smtp.port, smtp.tls
        row.smtp_username, row.smtp_password = smtp.username, seal(smtp.password, "smtp")
        row.imap_host = imap.host if imap else None
        row.imap_port = imap.port if imap else None
        row.imap_tls = imap.tls if imap else None
        row.imap_username = imap.username if imap else None
        row.imap_password = seal(imap.password, "imap") if imap else None

    def _stored(self, row: Mailbox) -> Connection:
        def opened(sealed: bytes | None, what: str) -> str | None:
            return self._box.open(sealed, secret_context(row.id, what)).decode() if sealed is not None else None

        smtp = MailServer(
            row.smtp_host, row.smtp_port, row.smtp_tls, row.smtp_username, opened(row.smtp_password, "smtp")
        )
        imap = None
        if row.imap_host is not None:
            secret = opened(row.imap_password, "imap")
            imap = MailServer(
                row.imap_host, row.imap_port or 993, row.imap_tls or "implicit", row.imap_username or "", secret
            )
        return Connection(smtp, imap, row.oauth_provider, opened(row.oauth_refresh_token, "refresh"))


_PLACE = ("host", "port", "tls", "username")
_UNTESTED = ("The servers were changed and not tried.", "Test the mailbox.")


def _place(server: MailServer) -> tuple[object, ...]:
    return tuple(getattr(server, name) for name in _PLACE)


def _same_user(given: Mapping[str, Any], smtp: MailServer | None, address: str) -> str | None:
    """Most people have one password for both; it is not taken to the servers of another domain."""
    if smtp is None or (given.get("username") or address) != smtp.username:
        return None
    mine, other = smtp.host.lower().split("."), str(given["host"]).lower().split(".")
    return smtp.password if mine[-2:] == other[-2:] else None


def require_working(checks: Sequence[Check] | None) -> None:
    """Raises `MailboxUnreachable` unless everything that was tried works."""
    failed = [check for check in checks or () if not check.ok]
    if failed:
        errors = [FieldError(f"/{c.protocol}", c.code or "", f"{c.detail} {c.fix}".strip()) for c in failed]
        raise MailboxUnreachable(errors[0].detail, errors=errors)


async def _workspace(session: AsyncSession, principal: Principal, wanted: UUID | None) -> UUID:
    if wanted is None or wanted == principal.target_workspace_id:
        return principal.target_workspace_id
    foreign = principal.workspace_id is not None
    if foreign or not await repository.workspace_exists(session, principal.organization_id, wanted):
        detail = "`workspace_id` names no workspace that these credentials may use."
        raise Unprocessable(detail, errors=[FieldError("/workspace_id", "not_found", detail)])
    return wanted
