"""The audit log: write an entry with the change itself, and read entries back.

    resource = Resource(Prefix.API_KEY, key.id, key.workspace_id)
    await audit.record(session, principal, "api_key.created", resource, after=audit.facts(key, "name", "scopes"))

The caller's principal is enough: request id, address and user agent come from the request that is being answered.
Call it last in the transaction: from then on other privileged changes of the organization wait for the commit.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from penguinmails_core.audit import repository
from penguinmails_core.audit.actor import MAX_LABEL, Actor, ActorKind, Resource
from penguinmails_core.audit.chain import hash_of
from penguinmails_core.audit.masking import differences, mask_text
from penguinmails_core.audit.repository import Filter
from penguinmails_core.errors import FieldError, NotFound, Unprocessable
from penguinmails_core.kit.clock import utcnow
from penguinmails_core.kit.db import Connection, Pool
from penguinmails_core.kit.ids import new_uuid
from penguinmails_core.kit.pages import cut
from penguinmails_core.models import AuditLog
from penguinmails_core.models.base import Base
from penguinmails_core.principal import Principal

_ACTION = re.compile(r"[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*")

Facts = Mapping[str, Any]


def facts(row: Base, *names: str) -> dict[str, Any]:
    """The named attributes of a row as they are now. Copies lists and mappings, so that a later change does not show
    in what was before."""
    return {name.rstrip("_"): _copy(getattr(row, name)) for name in names}


async def record(
    session: AsyncSession,
    actor: Actor | Principal,
    action: str,
    resource: Resource,
    before: Facts | None = None,
    after: Facts | None = None,
) -> UUID:
    """Write an entry in the session's transaction; returns its id.

    `action` is ``resource.past_participle``. Of an update, give `before` and `after`: only what differs is kept.
    Secrets are masked by their names and their look (`audit/masking.py`), so whole snapshots may be given.
    """
    connection = await repository.connection_of(session)
    return await record_on(connection, actor, action, resource, before, after)


async def record_on(
    connection: Connection,
    actor: Actor | Principal,
    action: str,
    resource: Resource,
    before: Facts | None = None,
    after: Facts | None = None,
) -> UUID:
    """As `record`, in the open transaction of a driver connection (`database.worker.acquire()`)."""
    if not _ACTION.fullmatch(action):
        raise ValueError(f"an action is resource.verb in lower case, not {action!r}")
    if isinstance(actor, Principal):
        actor = Actor.of(actor)
    was, became = differences(before, after)
    sequence, previous, label = await repository.lock_head(connection, actor.organization_id, actor.kind, actor.id)
    label = actor.label if actor.label is not None else label
    row: dict[str, Any] = {
        "organization_id": actor.organization_id,
        "id": new_uuid(),
        "sequence": sequence + 1,
        "at": utcnow(),
        "workspace_id": resource.workspace_id or actor.workspace_id,
        "mode": actor.mode,
        "actor_kind": str(actor.kind),
        "actor_id": actor.id,
        "actor_user_id": actor.user_id,
        "actor_label": _clean(label, MAX_LABEL),
        "action": action,
        "resource_type": resource.type,
        "resource_id": resource.id,
        "before": was,
        "after": became,
        "request_id": actor.request_id,
        "ip": actor.ip,
        "user_agent": _clean(actor.user_agent, None),
        "previous_hash": previous,
    }
    row["hash"] = hash_of(row, previous)
    await repository.append(connection, row)
    entry_id: UUID = row["id"]
    return entry_id


async def list_entries(
    session: AsyncSession,
    principal: Principal,
    wanted: Filter,
    *,
    limit: int,
    after: int | None = None,
    before: int | None = None,
) -> tuple[list[AuditLog], bool]:
    """A page, the newest first, and whether there is more in the direction of travel. The cursors are sequences."""
    found = await repository.list_entries(session, principal, wanted, limit=limit + 1, after=after, before=before)
    return cut(found, limit, backwards=before is not None)


async def get_entry(session: AsyncSession, principal: Principal, entry_id: UUID) -> AuditLog:
    """Raises `NotFound`."""
    entry = await repository.get(session, principal, entry_id)
    if entry is None:
        raise NotFound("There is no such entry in the audit log.")
    return entry


MAX_EXPORT = 100_000
EXPORT_PAGE = 500


@dataclass(frozen=True, slots=True)
class Export:
    """What an export holds: `total` entries up to `last`; what is written meanwhile is not part of it."""

    total: int
    last: int


async def begin_export(session: AsyncSession, principal: Principal, wanted: Filter) -> Export:
    """Raises `Unprocessable` for more than `MAX_EXPORT` entries."""
    total, last = await repository.extent(session, principal, wanted, MAX_EXPORT + 1)
    if total > MAX_EXPORT:
        detail = f"More than {MAX_EXPORT:,} entries match. Narrow `since` and `until` and export in parts."
        raise Unprocessable(detail, errors=[FieldError("since", "too_many", detail)])
    return Export(total, last)


async def export_page(
    session: AsyncSession, principal: Principal, wanted: Filter, export: Export, *, after: int
) -> list[AuditLog]:
    """The next entries after that sequence, the oldest first; none at the end."""
    return await repository.ascending(session, principal, wanted, after=after, last=export.last, limit=EXPORT_PAGE)


async def drop_old(pool: Pool, keep: timedelta, *, bite: int) -> int:
    """Retention: drop entries older than `keep`, as whole prefixes of each chain; returns how many went."""
    before, total = utcnow() - keep, 0
    for organization_id in await repository.organizations_with_entries_before(pool, before):
        while dropped := await repository.forget(pool, organization_id, before, bite):
            total += dropped
    return total


def _copy(value: Any) -> Any:
    if isinstance(value, dict):
        return dict(value)
    return list(value) if isinstance(value, list) else value


def _clean(text: str | None, most: int | None) -> str | None:
    """What a client says of itself may hold anything, secrets by mistake and half characters too."""
    if text is None:
        return None
    return mask_text(text).replace("\0", "\ufffd").encode("utf-8", "replace").decode()[:most]


__all__ = [
    "Actor",
    "ActorKind",
    "Export",
    "Facts",
    "Filter",
    "Resource",
    "begin_export",
    "drop_old",
    "export_page",
    "facts",
    "get_entry",
    "list_entries",
    "record",
    "record_on",
]
