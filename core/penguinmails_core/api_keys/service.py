"""Make, change, rotate, derive and revoke API keys.

Works in the caller's transaction, so that an Idempotency-Key is stored with the work; whoever calls rings the doorbell
`KEYS` after the commit, so that caches forget. The rule above all others: nobody hands out more than they have. What a
caller has is read from the database under a lock, not from the request's cached credential.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from penguinmails_core.api_keys import authority, repository, rules, tell
from penguinmails_core.api_keys.authority import status_of
from penguinmails_core.api_keys.grants import effective, grant_of
from penguinmails_core.audit.actor import Actor
from penguinmails_core.audit.service import Facts
from penguinmails_core.errors import (
    Conflict,
    FieldError,
    NotFound,
    Unprocessable,
)
from penguinmails_core.events.types import EventType
from penguinmails_core.kit.clock import utcnow
from penguinmails_core.kit.crypto import hash_api_key, new_api_key
from penguinmails_core.kit.db import Database
from penguinmails_core.kit.doorbell import KEYS, Doorbell
from penguinmails_core.kit.ids import new_uuid
from penguinmails_core.kit.pages import cut
from penguinmails_core.models import ApiKey, ApiKeySecret
from penguinmails_core.principal import Principal
from penguinmails_core.scopes import ALL_SCOPES

MAX_KEYS = 1000  # active ones of an organization
MAX_OLD_SECRETS = 10  # that still work, of one key
DEFAULT_OVERLAP = timedelta(hours=24)
MAX_OVERLAP = timedelta(days=7)
DEFAULT_DERIVED_LIFE = timedelta(hours=1)
MAX_DERIVED_LIFE = timedelta(days=30)
LIMITS = ("allowed_ips", "allowed_mailboxes", "allowed_domains", "max_sends_per_day", "expires_at")


async def create(session: AsyncSession, principal: Principal, values: Mapping[str, Any]) -> tuple[ApiKey, str]:
    """A new key and its secret, which is never available again.

    `values`: name and scopes; mode, workspace_id and limits that are left out are the caller's own. Raises
    `Unprocessable` naming fields, `GrantExceeded`, `NotFound` for a foreign workspace, `Conflict` at 1,000 keys.
    """
    authority.refuse_apps(principal)
    await repository.lock(session, principal.organization_id)
    own, capped = await authority.own(session, principal)
    wanted = {"mode": own.mode or principal.mode, "workspace_id": own.workspace_id} | authority.limits(own)
    wanted |= rules.check(values)
    grant = grant_of(SimpleNamespace(**wanted))
    authority.check_excess(grant.excess(own))
    authority.check_budget(own, capped, grant, ())
    await _check_workspace(session, principal.organization_id, wanted["workspace_id"])
    return await _add(session, principal, wanted)


async def derive(
    session: AsyncSession, principal: Principal, parent_id: UUID, values: Mapping[str, Any]
) -> tuple[ApiKey, str]:
    """A child of a key: within its parent's scopes, limits and lifetime, and ended with it.

    `values`: name and scopes; limits that are left out are the parent's, `expires_at` an hour from now. Raises as
    `create`, and `Conflict` when the parent has ended or the line is five keys long.
    """
    authority.refuse_apps(principal)
    await repository.lock(session, principal.organization_id)
    parent = await _active(session, principal, parent_id)
    parents = await repository.line_of(session, principal.organization_id, parent.id)
    if len(parents) >= repository.MAX_DEPTH:
        raise Conflict(f"This key is the {len(parents)}th of its line; nothing can be derived from it.")
    own, capped = await authority.own(session, principal)
    bounds = effective(parents).intersect(own)
    now = utcnow()
    first_end = now + DEFAULT_DERIVED_LIFE
    wanted = {"mode": parent.mode, "workspace_id": parent.workspace_id} | authority.limits(bounds)
    wanted["expires_at"] = min(first_end, bounds.expires_at or first_end)
    wanted |= rules.check(values)
    _check_derived_end(wanted["expires_at"], now)
    grant = grant_of(SimpleNamespace(**wanted))
    authority.check_excess(grant.excess(bounds))
    authority.check_budget(own, capped, grant, parents)
    return await _add(session, principal, wanted, parent)


async def get(session: AsyncSession, principal: Principal, key_id: UUID, *, lock: bool = False) -> ApiKey:
    """Raises `NotFound` for what the caller may not see."""
    key = await repository.get_visible(session, principal, key_id, lock=lock)
    if key is None:
        raise NotFound("There is no such API key.")
    return key


async def list_keys(
    session: AsyncSession,
    principal: Principal,
    *,
    mode: str | None = None,
    status: str | None = None,
    limit: int,
    after: UUID | None = None,
    before: UUID | None = None,
) -> tuple[list[ApiKey], bool]:
    """A page, the newest first, and whether there is more in the direction of travel. `status`: active, expired or
    revoked."""
    found = await repository.list_visible(
        session, principal, mode=mode, status=status, limit=limit + 1, after=after, before=before
    )
    return cut(found, limit, backwards=before is not None)


async def update(session: AsyncSession, principal: Principal, key_id: UUID, changes: Mapping[str, Any]) -> ApiKey:
    """`changes` holds only what is to be changed: name, scopes, limits (None lifts one).

    Narrowing and renaming are always possible. A change that widens anything is possible only when the key as a whole
    then lies within what the caller has, and within its ancestors. Raises as `create`, and `Conflict` for a key that
    has ended. Children never outlive their parent, so an earlier end moves theirs too.
    """
    await repository.lock(session, principal.organization_id)
    key = await _active(session, principal, key_id)
    cleaned = rules.check(changes)
    if key.parent_id is not None and "expires_at" in cleaned:
        _check_derived_end(cleaned["expires_at"], utcnow())
    before = grant_of(key)
    after = grant_of(SimpleNamespace(**{name: getattr(key, name) for name in _GRANTED} | cleaned))
    if after.excess(before):
        authority.refuse_apps(principal)
        own, capped = await authority.own(session, principal)
        ancestors = (await repository.line_of(session, key.organization_id, key.id))[1:]
        bounds = own.intersect(effective(ancestors)) if ancestors else own
        authority.check_excess(after.excess(bounds))
        authority.check_budget(own, capped, after, (key, *ancestors))
    was = tell.facts(key)
    for name, value in cleaned.items():
        setattr(key, name, value)
    if "expires_at" in cleaned:
        key.expiry_noticed_at = None
        await _shorten_children(session, key)
    await session.flush()
    await session.refresh(key)
    if was != tell.facts(key):
        await tell.record(session, principal, "updated", key, was, tell.facts(key))
    return key


async def rotate(
    session: AsyncSession,
    principal: Principal,
    key_id: UUID,
    overlap: timedelta = DEFAULT_OVERLAP,
    *,
    actor: Actor | None = None,
) -> tuple[ApiKey, str]:
    """A new secret, never available again. Earlier ones work until `overlap` has passed, and not a moment with zero.

    A key can rotate itself, and others only when it could have made them: otherwise it would come by more than it has.
    Raises `GrantExceeded`, `Unprocessable` for an overlap out of range, `Conflict` for a key that has ended or when
    ten earlier secrets still work.
    """
    if not timedelta(0) <= overlap <= MAX_OVERLAP:
        detail = f"`overlap_seconds` must be 0 to {int(MAX_OVERLAP.total_seconds())} (7 days)."
        raise Unprocessable(detail, errors=[FieldError("/overlap_seconds", "out_of_range", detail)])
    await repository.lock(session, principal.organization_id)
    key = await _active(session, principal, key_id)
    if principal.api_key_id != key.id:
        authority.refuse_apps(principal)
        own, capped = await authority.own(session, principal)
        chain = await repository.line_of(session, key.organization_id, key.id)
        grant = effective(chain)
        authority.check_excess(grant.excess(own))
        authority.check_budget(own, capped, grant, chain)
    now, was = utcnow(), tell.facts(key)
    old = None
    if overlap:
        old = ApiKeySecret(
            organization_id=key.organization_id,
            id=new_uuid(),
            api_key_id=key.id,
            hash=key.hash,
            expires_at=now + overlap,
        )
    if await repository.retire_secret(session, key, old, now + overlap) > MAX_OLD_SECRETS:
        raise Conflict(
            f"{MAX_OLD_SECRETS} earlier secrets of this key still work. Rotate with `overlap_seconds` 0 to end them.",
            extra={"limit": MAX_OLD_SECRETS},
        )
    secret = _new_secret(key)
    key.rotated_at = now
    key.previous_secret_expires_at = now + overlap if overlap else None
    await tell.event(session, key, EventType.API_KEY_ROTATED, {"previous_secret_expires_at": old and now + overlap})
    await session.refresh(key)
    await tell.record(session, actor or principal, "rotated", key, was, tell.facts(key))
    return key, secret


async def revoke(session: AsyncSession, principal: Principal, key_id: UUID, *, actor: Actor | None = None) -> ApiKey:
    """Ends a key and all that was derived from it, for good. Revoking a key twice changes nothing."""
    await repository.lock(session, principal.organization_id)
    key = await get(session, principal, key_id, lock=True)
    await revoke_all(session, actor or principal, [key], "manual")
    return key


async def revoke_keys_of_user(
    session: AsyncSession, organization_id: UUID, user_id: UUID, *, actor: Actor | Principal | None = None
) -> int:
    """Ends every key that a person made, and what was derived from them: they are no longer a member. `actor` is who
    removed them. Returns how many keys ended. The caller rings `KEYS` after the commit."""
    await repository.lock(session, organization_id)
    keys = await repository.keys_of_user(session, organization_id, user_id)
    return await revoke_all(session, actor or Actor.system(organization_id, "members"), keys, "member_removed")


# ---------------------------------------------------------------- for the operator of the machine


async def create_key(
    database: Database,
    organization_id: UUID,
    *,
    mode: str,
    name: str,
    scopes: Sequence[str] = ALL_SCOPES,
    workspace_id: UUID | None = None,
    announce: bool = False,
    **limits: Any,
) -> tuple[ApiKey, str]:
    """As `create`, without a caller whose rights would bound it; `limits` are those of `LIMITS`. `announce` writes
    `api_key.created`: the first keys come with their organization, and nobody is there yet to be told.

    Raises `Unprocessable` naming the field, `NotFound` for a foreign workspace.
    """
    wanted = rules.check({"mode": mode, "name": name, "scopes": scopes} | limits)
    wanted = dict.fromkeys(LIMITS) | wanted | {"workspace_id": workspace_id}
    async with database.tenant(organization_id) as session:
        await _check_workspace(session, organization_id, workspace_id)
        return await _add(session, None, wanted, organization_id=organization_id, announce=announce)


async def rotate_key(
    database: Database, doorbell: Doorbell, organization_id: UUID, key_id: UUID, overlap: timedelta = DEFAULT_OVERLAP
) -> tuple[ApiKey, str]:
    """As `rotate`; caches hear of it at once."""
    async with database.tenant(organization_id) as session:
        operator = Actor.operator(organization_id)
        key = await _operator(session, organization_id, key_id)
        made = await rotate(session, key, key_id, overlap, actor=operator)
    doorbell.ring(KEYS)
    return made


async def revoke_key(database: Database, doorbell: Doorbell, organization_id: UUID, key_id: UUID) -> ApiKey:
    """As `revoke`; caches hear of it at once. Raises `NotFound`."""
    async with database.tenant(organization_id) as session:
        operator = Actor.operator(organization_id)
        key = await revoke(session, await _operator(session, organization_id, key_id), key_id, actor=operator)
    doorbell.ring(KEYS)
    return key


async def _operator(session: AsyncSession, organization_id: UUID, key_id: UUID) -> Principal:
    """The operator of the machine may do with a key what the key itself may."""
    key = await repository.get(session, organization_id, key_id)
    if key is None:
        raise NotFound("There is no such API key.")
    return Principal(key.id, organization_id, None, organization_id, key.mode, frozenset(ALL_SCOPES))


# ---------------------------------------------------------------- rules

_GRANTED = ("mode", "workspace_id", "scopes", *LIMITS)


def _check_derived_end(end: datetime | None, now: datetime) -> None:
    if end is None or end > now + MAX_DERIVED_LIFE:
        detail = f"A derived key ends within {MAX_DERIVED_LIFE.days} days. Give an earlier `expires_at`."
        raise Unprocessable(detail, errors=[FieldError("/expires_at", "too_far_ahead", detail)])


async def _check_workspace(session: AsyncSession, organization_id: UUID, workspace_id: UUID | None) -> None:
    if workspace_id is not None and not await repository.workspace_exists(session, organization_id, workspace_id):
        raise NotFound("There is no such workspace.")


async def _active(session: AsyncSession, principal: Principal, key_id: UUID) -> ApiKey:
    """Locked. Raises `Conflict` when it has ended."""
    key = await get(session, principal, key_id, lock=True)
    status = status_of(key)
    if status != "active":
        raise Conflict(f"This API key is {status}. Make a new one.", extra={"current_status": status})
    return key


def _new_secret(key: ApiKey) -> str:
    secret = new_api_key(key.mode)
    key.hash = hash_api_key(secret)
    key.hint = secret[:12] + "…" + secret[-4:]
    return secret


async def _add(
    session: AsyncSession,
    creator: Principal | None,
    wanted: Mapping[str, Any],
    parent: ApiKey | None = None,
    *,
    organization_id: UUID | None = None,
    announce: bool = True,
) -> tuple[ApiKey, str]:
    owner = creator.organization_id if creator else organization_id
    assert owner is not None
    if creator is not None and await repository.count_active(session, owner) >= MAX_KEYS:
        raise Conflict(
            f"An organization has at most {MAX_KEYS} active keys. Revoke some first.", extra={"limit": MAX_KEYS}
        )
    key = ApiKey(organization_id=owner, id=new_uuid(), parent_id=parent.id if parent else None, **wanted)
    if creator is not None:
        key.created_by_key_id = creator.api_key_id
        key.created_by_user_id = creator.user_id
        if creator.api_key_id is not None:  # the person behind the key that asks: their keys end with their membership
            maker = await repository.get(session, owner, creator.api_key_id)
            key.created_by_user_id = maker.created_by_user_id if maker else None
    secret = _new_secret(key)
    key.event_sequence = 0
    session.add(key)
    await session.flush()
    if announce:
        await tell.event(session, key, EventType.API_KEY_CREATED, {})
    await session.refresh(key)
    if announce:
        await tell.record(session, creator or Actor.operator(owner), "created", key, None, tell.facts(key))
    return key, secret


async def _shorten_children(session: AsyncSession, parent: ApiKey) -> None:
    end = parent.expires_at
    if end is None:
        return
    for child in await repository.descendants_of(session, parent.organization_id, [parent.id]):
        if child.expires_at is None or child.expires_at > end:
            child.expires_at = end


async def revoke_all(session: AsyncSession, actor: Actor | Principal, keys: Sequence[ApiKey], reason: str) -> int:
    """Ends these keys and what was derived from them, under the lock of keys; returns how many ended."""
    now: datetime = utcnow()
    ended: list[tuple[ApiKey, Facts]] = []
    ids = {key.id for key in keys}
    children = await repository.descendants_of(session, keys[0].organization_id, sorted(ids)) if keys else []
    for key in (*keys, *(child for child in children if child.id not in ids)):
        if key.revoked_at is None:
            ended.append((key, tell.facts(key)))
            key.revoked_at = now
            why = reason if key.id in ids else "parent_revoked"
            await tell.event(session, key, EventType.API_KEY_REVOKED, {"reason": why})
    await session.flush()
    for key in keys:
        await session.refresh(key, ["updated_at"])
    for key, was in ended:
        await tell.record(session, actor, "revoked", key, was, tell.facts(key))
    return len(ended)


__all__ = [
    "LIMITS",
    "create",
    "create_key",
    "derive",
    "get",
    "list_keys",
    "revoke",
    "revoke_all",
    "revoke_key",
    "revoke_keys_of_user",
    "rotate",
    "rotate_key",
    "status_of",
    "update",
]
