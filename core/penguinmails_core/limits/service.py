"""Which limits an organization has, and who may change them: the operator of the installation."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from penguinmails_core.audit import service as audit
from penguinmails_core.audit.actor import Actor, Resource
from penguinmails_core.errors import LimitReached, NotFound
from penguinmails_core.kit.clock import rfc3339, utcnow
from penguinmails_core.kit.db import Connection, Database
from penguinmails_core.kit.ids import Prefix, new_uuid
from penguinmails_core.limits import repository
from penguinmails_core.limits.catalogue import (
    DEFAULT_PLAN,
    NAMES,
    SELF_HOSTED,
    Limit,
    OrganizationLimits,
    Override,
    Throttle,
)


class LimitError(ValueError):
    """A plan, limit or value that does not exist; the message says which do."""


def build(organization_id: UUID, row: Mapping[str, Any] | None) -> OrganizationLimits:
    """From a row of `repository.load`. Without one (no such plan) there are no limits."""
    if row is None:
        return OrganizationLimits(organization_id, SELF_HOSTED, "Self-hosted", {})
    plan, overrides = row["plan"], {}
    for found in row["overrides"]:
        name = Limit(found["name"])
        ends = found["ends_at"]
        overrides[name] = Override(
            UUID(found["id"]),
            name,
            found["value"],
            found["reason"],
            found["created_by"],
            datetime.fromisoformat(ends) if ends else None,
        )
    values = {limit: overrides[limit].value if limit in overrides else plan[limit] for limit in Limit}
    reputation, throttle = row["reputation"], None
    if reputation is not None and plan["reputation_throttle"]:
        throttle = Throttle(float(reputation["factor"]), reputation["reason"], int(reputation["reference_per_day"]))
    return OrganizationLimits(organization_id, plan["code"], plan["name"], values, overrides, throttle)


async def limits_of(
    session: AsyncSession, organization_id: UUID, default_plan: str = SELF_HOSTED
) -> OrganizationLimits:
    """The limits in force now, read in the tenant's own transaction."""
    return build(organization_id, await repository.load_in(session, organization_id, default_plan))


async def require_room(session: AsyncSession, organization_id: UUID, limit: Limit) -> None:
    """Before one more of what an organization may have only so many of: domains, mailboxes, users or
    workspaces. Of two who ask for the last place at the same moment, the second waits here for the first one's commit.
    Raises `LimitReached`."""
    limits = await limits_of(session, organization_id, session.info.get(DEFAULT_PLAN, SELF_HOSTED))
    if limits.of(limit) is not None:
        await repository.wait_in_line(session, organization_id, limit)
        _check_room(limits, limit, await repository.count(session, organization_id, limit))


async def require_room_on(connection: Connection, organization_id: UUID, limit: Limit, default_plan: str) -> None:
    """As `require_room`, in a transaction of the worker's."""
    limits = build(organization_id, await repository.load(connection, organization_id, default_plan))
    if limits.of(limit) is not None:
        await repository.wait_in_line_on(connection, organization_id, limit)
        _check_room(limits, limit, await repository.count_on(connection, organization_id, limit))


def _check_room(limits: OrganizationLimits, limit: Limit, have: int) -> None:
    allowed = limits.of(limit)
    if allowed is None or have < allowed:
        return
    name = NAMES[limit]
    what = name if allowed == 1 else name + ("es" if name.endswith("x") else "s")
    source = "An exception for this organization" if limit in limits.overrides else f"The plan {limits.plan_name}"
    raise LimitReached(
        f"{source} allows {allowed} {what} ({limit}), and there are {have}. Remove one that is not needed, or ask who "
        "runs this server for a larger plan or an exception.",
        extra={"limit_name": str(limit), "limit": allowed, "used": have, "plan": limits.plan},
    )


async def set_plan(database: Database, actor: Actor, plan: str) -> str | None:
    """Put the actor's organization on a plan; returns the one before. Raises `LimitError`, `NotFound`."""
    organization_id = actor.organization_id
    async with database.worker.acquire() as connection, connection.transaction():
        codes = await repository.plan_codes(connection)
        if plan not in codes:
            raise LimitError(f"there is no plan {plan}; there are {', '.join(codes)}")
        await _must_exist(connection, organization_id)
        before = await repository.set_plan(connection, organization_id, plan, actor.label or str(actor.kind))
        await _record(connection, actor, "organization.plan_set", {"plan": before}, {"plan": plan})
    return before


async def override(
    database: Database, actor: Actor, name: str, value: int | None, *, reason: str, ends_at: datetime | None = None
) -> UUID:
    """Give the actor's organization another value of one limit (None: no limit), until `ends_at` if given; it replaces
    an earlier override of that limit. Raises `LimitError`, `NotFound`."""
    limit = known(name)
    if value is not None and value < 0:
        raise LimitError("a limit is a number of at least 0, or none")
    if not reason.strip():
        raise LimitError("say why: the reason is shown to whoever wonders later")
    if ends_at is not None and ends_at <= utcnow():
        raise LimitError("the end must be in the future")
    override_id, organization_id = new_uuid(), actor.organization_id
    by = actor.label or str(actor.kind)
    async with database.worker.acquire() as connection, connection.transaction():
        await _must_exist(connection, organization_id)
        await repository.end_overrides(connection, organization_id, limit)
        await repository.add_override(connection, organization_id, override_id, limit, value, reason, by, ends_at)
        after = {"limit": str(limit), "value": value, "reason": reason, "ends_at": ends_at and rfc3339(ends_at)}
        await _record(connection, actor, "organization.limit_overridden", None, after)
    return override_id


async def end_override(database: Database, actor: Actor, name: str) -> bool:
    """Back to what the plan says; False when there was no override. Raises `LimitError`."""
    limit = known(name)
    async with database.worker.acquire() as connection, connection.transaction():
        ended = await repository.end_overrides(connection, actor.organization_id, limit) > 0
        if ended:
            await _record(connection, actor, "organization.limit_override_ended", {"limit": str(limit)}, None)
    return ended


async def _must_exist(connection: Connection, organization_id: UUID) -> None:
    if not await repository.organization_exists(connection, organization_id):
        raise NotFound("There is no such organization.")


async def _record(
    connection: Connection, actor: Actor, action: str, before: dict[str, Any] | None, after: dict[str, Any] | None
) -> None:
    resource = Resource(Prefix.ORGANIZATION, actor.organization_id)
    await audit.record_on(connection, actor, action, resource, before, after)


def known(name: str) -> Limit:
    try:
        return Limit(name)
    except ValueError:
        raise LimitError(f"there is no limit {name}; there are {', '.join(Limit)}") from None
