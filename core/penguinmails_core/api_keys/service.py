"""Make, list and revoke API keys."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from penguinmails_core.api_keys import repository
from penguinmails_core.errors import FieldError, Forbidden, NotFound, Unprocessable
from penguinmails_core.kit.clock import utcnow
from penguinmails_core.kit.crypto import hash_api_key, new_api_key
from penguinmails_core.kit.db import Database
from penguinmails_core.kit.doorbell import KEYS, Doorbell
from penguinmails_core.kit.ids import new_uuid
from penguinmails_core.models import ApiKey
from penguinmails_core.principal import Principal
from penguinmails_core.scopes import ALL_SCOPES, expand

MAX_NAME = 100


async def create_key(
    database: Database,
    organization_id: UUID,
    *,
    mode: str,
    name: str,
    scopes: Sequence[str] = ALL_SCOPES,
    workspace_id: UUID | None = None,
    allowed_ips: Sequence[str] | None = None,
    expires_at: datetime | None = None,
    granted_by: Principal | None = None,
) -> tuple[ApiKey, str]:
    """A new key and its plain text, which is never available again.

    `granted_by` is the key that asks, if one does: it can grant at most its own scopes, mode and workspace.
    Raises `Unprocessable` naming the field, `Forbidden` when more is asked for than the grantor has, `NotFound` for a
    foreign workspace.
    """
    _check(mode, name, scopes, allowed_ips, expires_at)
    if granted_by is not None:
        _check_grant(granted_by, mode, scopes, workspace_id)
    plain = new_api_key(mode)
    key = ApiKey(
        organization_id=organization_id,
        id=new_uuid(),
        workspace_id=workspace_id,
        name=name,
        mode=mode,
        hash=hash_api_key(plain),
        hint=plain[:12] + "…" + plain[-4:],
        scopes=[str(scope) for scope in scopes],
        allowed_ips=list(allowed_ips) if allowed_ips else None,
        expires_at=expires_at,
    )
    async with database.tenant(organization_id) as session:
        if workspace_id and not await repository.workspace_exists(session, organization_id, workspace_id):
            raise NotFound("There is no such workspace.")
        session.add(key)
    return key, plain


async def revoke_key(database: Database, doorbell: Doorbell, organization_id: UUID, key_id: UUID) -> ApiKey:
    """Ends a key for good; caches hear of it at once. Raises `NotFound`."""
    async with database.tenant(organization_id) as session:
        key = await repository.get(session, organization_id, key_id)
        if key is None:
            raise NotFound("There is no such API key.")
        key.revoked_at = key.revoked_at or utcnow()
    doorbell.ring(KEYS)
    return key


async def list_keys(session: AsyncSession, organization_id: UUID) -> list[ApiKey]:
    return await repository.list_for_organization(session, organization_id)


def _check(
    mode: str,
    name: str,
    scopes: Sequence[str],
    allowed_ips: Iterable[str] | None,
    expires_at: datetime | None,
) -> None:
    errors = []
    if mode not in ("live", "test"):
        errors.append(FieldError("/mode", "invalid", "`mode` must be live or test."))
    if not 0 < len(name) <= MAX_NAME:
        errors.append(FieldError("/name", "invalid_length", f"`name` must have 1 to {MAX_NAME} characters."))
    if not scopes:
        errors.append(FieldError("/scopes", "required", "A key needs at least one scope."))
    known = ", ".join(ALL_SCOPES)
    errors += [
        FieldError(f"/scopes/{index}", "unknown_scope", f"There is no scope {scope!r}; there are {known}.")
        for index, scope in enumerate(scopes)
        if scope not in set(ALL_SCOPES)
    ]
    for index, network in enumerate(allowed_ips or ()):
        try:
            ipaddress.ip_network(network)
        except ValueError:
            detail = f"{network!r} is not an IP address or network such as 192.0.2.0/24."
            errors.append(FieldError(f"/allowed_ips/{index}", "invalid_network", detail))
    if expires_at is not None and expires_at <= utcnow():
        errors.append(FieldError("/expires_at", "in_the_past", "`expires_at` must be in the future."))
    if errors:
        raise Unprocessable("The key cannot be made like this.", errors=errors)


def _check_grant(grantor: Principal, mode: str, scopes: Sequence[str], workspace_id: UUID | None) -> None:
    excess = sorted(expand(scopes) - grantor.scopes)
    if excess:
        raise Forbidden("A key can grant only scopes that it has.", extra={"excess_scopes": excess})
    if mode != grantor.mode:
        raise Forbidden(f"A {grantor.mode} key cannot make a {mode} key.")
    if grantor.workspace_id is not None and workspace_id != grantor.workspace_id:
        raise Forbidden("A key bound to a workspace can make keys for that workspace only.")
