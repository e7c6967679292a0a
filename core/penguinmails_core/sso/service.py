"""Connections of an organization to its identity providers: make, change, delete, prove domains, SCIM tokens.

Works in the caller's transaction. Who may change a connection decides who gets into the organization, so a test key
may only read, and roles that a connection hands out are never more than those of the one who says so.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any
from uuid import UUID

from sqlalchemy import func
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from penguinmails_core.audit import service as audit
from penguinmails_core.audit.actor import Resource
from penguinmails_core.errors import Conflict, Forbidden, LiveModeRequired, NotFound, Unavailable
from penguinmails_core.kit.clock import utcnow
from penguinmails_core.kit.crypto import SecretBox
from penguinmails_core.kit.ids import Prefix, new_uuid
from penguinmails_core.kit.pages import cut
from penguinmails_core.models import ScimToken, SsoConnection, SsoDomain
from penguinmails_core.principal import Principal
from penguinmails_core.sso import repository, rules
from penguinmails_core.sso.domains import new_token

TOKEN_PREFIX = "pm_scim_"  # noqa: S105  (a prefix)
MAX_TOKENS = 10
_FACTS = ("name", "status", "issuer", "client_id", "sso_url", "certificates", "enforced", "default_role", "group_roles")


@dataclass(frozen=True, slots=True)
class Connection:
    """A connection and its domains, by name."""

    row: SsoConnection
    domains: Sequence[SsoDomain]


def secret_context(connection_id: UUID) -> bytes:
    """What a sealed client secret is bound to."""
    return b"sso_connections:" + connection_id.bytes


def require_live(principal: Principal) -> None:
    """How people sign in concerns the whole organization. Raises `LiveModeRequired` for test keys, `Forbidden` for what
    is bound to one workspace."""
    if principal.workspace_id is not None:
        raise Forbidden("These credentials are bound to one workspace; how people sign in concerns all of them.")
    if principal.mode != "live":
        raise LiveModeRequired(
            "Sign-in is the same in live and test mode, so a test key only reads it. Use a live key."
        )


class SsoConnections:
    """All methods raise `NotFound` for what the caller may not see, and `Unprocessable` naming fields."""

    def __init__(self, box: SecretBox | None, *, allow_private: bool) -> None:
        self._box = box
        self._allow_private = allow_private

    async def create(
        self, session: AsyncSession, principal: Principal, protocol: str, given: Mapping[str, Any]
    ) -> Connection:
        """Raises `Conflict` at ten connections, `GrantExceeded`, `LiveModeRequired`."""
        require_live(principal)
        values = rules.check_fields(protocol, given, allow_private=self._allow_private)
        rules.check_complete(protocol, values)
        values.setdefault("default_role", "member")
        rules.check_roles(principal, _roles(values))
        if await repository.count_for_update(session, principal.organization_id) >= rules.MAX_CONNECTIONS:
            raise Conflict(
                f"An organization has at most {rules.MAX_CONNECTIONS} connections. Delete one first.",
                extra={"limit": rules.MAX_CONNECTIONS},
            )
        domains = values.pop("domains", [])
        row = SsoConnection(organization_id=principal.organization_id, id=new_uuid(), protocol=protocol)
        self._set(row, values)
        session.add(row)
        await session.flush()
        await session.refresh(row)
        await self._set_domains(session, row, domains)
        made = await self._with_domains(session, row)
        await _record(session, principal, row, "created", None, _facts(made))
        return made

    async def get(
        self, session: AsyncSession, principal: Principal, connection_id: UUID, *, lock: bool = False
    ) -> Connection:
        row = await repository.get(session, principal.organization_id, connection_id, lock=lock)
        if row is None:
            raise NotFound("There is no such connection.")
        return await self._with_domains(session, row)

    async def list_connections(
        self,
        session: AsyncSession,
        principal: Principal,
        *,
        limit: int,
        after: UUID | None = None,
        before: UUID | None = None,
    ) -> tuple[list[Connection], bool]:
        """A page, the newest first, and whether there is more in the direction of travel."""
        organization_id = principal.organization_id
        found = await repository.list_connections(session, organization_id, limit=limit + 1, after=after, before=before)
        rows, has_more = cut(found, limit, backwards=before is not None)
        domains = await repository.domains_of(session, organization_id, [row.id for row in rows])
        return [Connection(row, domains[row.id]) for row in rows], has_more

    async def update(
        self, session: AsyncSession, principal: Principal, connection_id: UUID, changes: Mapping[str, Any]
    ) -> Connection:
        """Domains that stay keep their proof. Raises `GrantExceeded`, `LiveModeRequired`."""
        require_live(principal)
        before = await self.get(session, principal, connection_id, lock=True)
        row, facts = before.row, _facts(before)
        values = rules.check_fields(row.protocol, changes, allow_private=self._allow_private)
        rules.check_complete(row.protocol, {name: getattr(row, name) for name in _FACTS} | values)
        rules.check_roles(principal, _roles(values))
        domains = values.pop("domains", None)
        if values.get("issuer", row.issuer) != row.issuer:
            await repository.forget_identities(session, row)  # subjects of one provider mean nothing at another
        self._set(row, values)
        row.updated_at = func.now()
        await session.flush()
        await session.refresh(row)
        if domains is not None:
            await self._set_domains(session, row, domains)
        after = await self._with_domains(session, row)
        if _facts(after) != facts or "client_secret" in values:
            await _record(session, principal, row, "updated", facts, _facts(after))
        return after

    async def delete(self, session: AsyncSession, principal: Principal, connection_id: UUID) -> None:
        """With its domains, SCIM tokens and what it provisioned; people stay members."""
        require_live(principal)
        found = await self.get(session, principal, connection_id, lock=True)
        await session.delete(found.row)
        await session.flush()
        await _record(session, principal, found.row, "deleted", _facts(found), None)

    async def record_proofs(
        self, session: AsyncSession, principal: Principal, connection_id: UUID, proven: Mapping[str, bool | None]
    ) -> Connection:
        """What DNS said of each domain: True proves it, False takes a proof away, None (no answer) changes nothing.
        Raises `Conflict` when another organization has proven one of them."""
        require_live(principal)
        found = await self.get(session, principal, connection_id, lock=True)
        before = _facts(found)
        for domain in found.domains:
            name = domain.name
            verdict = proven.get(name)
            if verdict is False:
                domain.verified_at = None
            elif verdict and domain.verified_at is None:
                domain.verified_at = utcnow()
            try:
                await session.flush()
            except IntegrityError:
                raise Conflict(f"{name} is proven by another connection. It has to give it up first.") from None
        after = await self._with_domains(session, found.row)
        if _facts(after) != before:
            await _record(session, principal, found.row, "verified", before, _facts(after))
        return after

    async def create_token(
        self,
        session: AsyncSession,
        principal: Principal,
        connection_id: UUID,
        name: str,
        expires_at: datetime | None = None,
    ) -> tuple[ScimToken, str]:
        """The token and its secret, not shown again. Raises `Conflict` at ten usable ones."""
        require_live(principal)
        found = await self.get(session, principal, connection_id, lock=True)
        rules.check_roles(principal, [found.row.default_role, *found.row.group_roles.values()])
        tokens = await repository.list_tokens(session, principal.organization_id, connection_id)
        if sum(token.revoked_at is None for token in tokens) >= MAX_TOKENS:
            raise Conflict(f"A connection has at most {MAX_TOKENS} tokens. Revoke one first.")
        secret = TOKEN_PREFIX + secrets.token_urlsafe(32)
        token = ScimToken(
            organization_id=principal.organization_id,
            id=new_uuid(),
            connection_id=connection_id,
            name=name,
            hash=sha256(secret.encode()).digest(),
            expires_at=expires_at,
        )
        session.add(token)
        await session.flush()
        await session.refresh(token)
        resource = Resource(Prefix.SCIM_TOKEN, token.id)
        after = {"name": name, "expires_at": expires_at, "connection": found.row.name}
        await audit.record(session, principal, "scim_token.created", resource, None, after)
        return token, secret

    async def list_tokens(self, session: AsyncSession, principal: Principal, connection_id: UUID) -> list[ScimToken]:
        await self.get(session, principal, connection_id)
        return await repository.list_tokens(session, principal.organization_id, connection_id)

    async def revoke_token(
        self, session: AsyncSession, principal: Principal, connection_id: UUID, token_id: UUID
    ) -> None:
        """Once revoked it stays so; revoking it again changes nothing."""
        require_live(principal)
        token = await repository.get_token(session, principal.organization_id, connection_id, token_id)
        if token is None:
            raise NotFound("There is no such token of this connection.")
        if token.revoked_at is None:
            token.revoked_at = utcnow()
            await session.flush()
            resource = Resource(Prefix.SCIM_TOKEN, token.id)
            await audit.record(session, principal, "scim_token.revoked", resource, {"name": token.name}, None)

    def _set(self, row: SsoConnection, values: Mapping[str, Any]) -> None:
        for name, value in values.items():
            if name == "client_secret":
                row.client_secret = self._seal(row.id, value) if value else None
            else:
                setattr(row, name, value)

    def _seal(self, connection_id: UUID, secret: str) -> bytes:
        if self._box is None:
            raise Unavailable("This server cannot seal secrets: its operator must set PENGUINMAILS_SECRET_KEYS.")
        return self._box.seal(secret.encode(), secret_context(connection_id))

    async def _set_domains(self, session: AsyncSession, row: SsoConnection, names: Sequence[str]) -> None:
        known = {d.name: d for d in (await repository.domains_of(session, row.organization_id, [row.id]))[row.id]}
        for name, domain in known.items():
            if name not in names:
                await session.delete(domain)
        session.add_all(
            SsoDomain(
                organization_id=row.organization_id,
                id=new_uuid(),
                connection_id=row.id,
                name=name,
                token=new_token(),
            )
            for name in names
            if name not in known
        )
        await session.flush()

    async def _with_domains(self, session: AsyncSession, row: SsoConnection) -> Connection:
        return Connection(row, (await repository.domains_of(session, row.organization_id, [row.id]))[row.id])


def _roles(values: Mapping[str, Any]) -> list[str]:
    return [*([values["default_role"]] if "default_role" in values else []), *values.get("group_roles", {}).values()]


def _facts(connection: Connection) -> dict[str, Any]:
    return audit.facts(connection.row, *_FACTS) | {
        "domains": [{"name": domain.name, "verified": domain.verified_at is not None} for domain in connection.domains]
    }


async def _record(
    session: AsyncSession,
    principal: Principal,
    row: SsoConnection,
    verb: str,
    before: Mapping[str, Any] | None,
    after: Mapping[str, Any] | None,
) -> None:
    resource = Resource(Prefix.SSO_CONNECTION, row.id)
    await audit.record(session, principal, f"sso_connection.{verb}", resource, before, after)
