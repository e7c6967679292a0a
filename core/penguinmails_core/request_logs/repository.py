"""SQL of the request log: written in bulk as the system, read by tenants."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, Integer, cast, select
from sqlalchemy.ext.asyncio import AsyncSession

from penguinmails_core.kit.db import Pool
from penguinmails_core.models import RequestLog
from penguinmails_core.principal import Principal


class Row(NamedTuple):
    """In the order of the insert."""

    organization_id: UUID
    id: UUID
    at: datetime
    workspace_id: UUID | None
    mode: str
    method: str
    route: str
    status: int
    error_code: str | None
    duration_us: int
    credential_kind: str
    credential_id: UUID
    user_id: UUID | None
    app_id: UUID | None
    ip: str | None


# One array for each column: COPY does not work on tables with row-level security. A batch whose commit nobody
# confirmed is sent again, hence the conflict rule.
_INSERT = """
insert into request_logs (organization_id, id, at, workspace_id, mode, method, route, status, error_code, duration_us,
  credential_kind, credential_id, user_id, app_id, ip)
select * from unnest($1::uuid[], $2::uuid[], $3::timestamptz[], $4::uuid[], $5::text[], $6::text[], $7::text[],
  $8::smallint[], $9::text[], $10::int[], $11::text[], $12::uuid[], $13::uuid[], $14::uuid[], $15::text[])
on conflict do nothing
"""


@dataclass(frozen=True, slots=True)
class Filter:
    """`classes` are first digits of statuses. `since` is included, `until` is not."""

    statuses: Sequence[int] = ()
    classes: Sequence[int] = ()
    methods: Sequence[str] = ()
    route: str | None = None
    credential_id: UUID | None = None
    error_code: str | None = None
    since: datetime | None = None
    until: datetime | None = None


async def insert(pool: Pool, rows: Sequence[Row]) -> None:
    await pool.execute(_INSERT, *map(list, zip(*rows, strict=True)))


async def list_logs(
    session: AsyncSession,
    principal: Principal,
    wanted: Filter,
    *,
    limit: int,
    after: UUID | None = None,
    before: UUID | None = None,
) -> list[RequestLog]:
    """Up to `limit`, the newest first: those older than `after`, or the nearest newer than `before`."""
    query = select(RequestLog).where(*_visible(principal), *_wanted(wanted))
    if before is not None:
        query = query.where(RequestLog.at >= time_of(before), RequestLog.id > before)
        return list(await session.scalars(query.order_by(RequestLog.at, RequestLog.id).limit(limit)))[::-1]
    if after is not None:
        query = query.where(RequestLog.at <= time_of(after), RequestLog.id < after)
    return list(await session.scalars(query.order_by(RequestLog.at.desc(), RequestLog.id.desc()).limit(limit)))


async def get(session: AsyncSession, principal: Principal, request_id: UUID) -> RequestLog | None:
    return await session.scalar(
        select(RequestLog).where(
            *_visible(principal), RequestLog.id == request_id, RequestLog.at == time_of(request_id)
        )
    )


def time_of(request_id: UUID) -> datetime:
    """The time inside a UUIDv7, to the millisecond."""
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=request_id.int >> 80)


def _visible(principal: Principal) -> list[ColumnElement[bool]]:
    """Own organization and mode; own workspace when bound to one."""
    conditions = [RequestLog.organization_id == principal.organization_id, RequestLog.mode == principal.mode]
    if principal.workspace_id is not None:
        conditions.append(RequestLog.workspace_id == principal.workspace_id)
    return conditions


def _wanted(wanted: Filter) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if wanted.statuses:
        conditions.append(RequestLog.status.in_(wanted.statuses))
    if wanted.classes:
        conditions.append(cast(RequestLog.status / 100, Integer).in_(wanted.classes))
    if wanted.methods:
        conditions.append(RequestLog.method.in_(wanted.methods))
    equal: tuple[tuple[Any, Any], ...] = (
        (RequestLog.route, wanted.route),
        (RequestLog.credential_id, wanted.credential_id),
        (RequestLog.error_code, wanted.error_code),
    )
    conditions += [column == value for column, value in equal if value is not None]
    if wanted.since is not None:
        conditions.append(RequestLog.at >= wanted.since)
    if wanted.until is not None:
        conditions.append(RequestLog.at < wanted.until)
    return conditions


# ---------------------------------------------------------------------- partitions


async def ensure_partitions(pool: Pool, days: int) -> int:
    made: int = await pool.fetchval("select ensure_request_log_partitions($1)", days)
    return made


async def drop_partitions(pool: Pool, keep: timedelta) -> int:
    """Drop the days that are too old, and such rows in the default partition; returns how many days went."""
    dropped: int = await pool.fetchval("select drop_request_log_partitions($1)", keep)
    await pool.execute(
        "delete from request_logs where tableoid = 'request_logs_default'::regclass and at < now() - $1::interval", keep
    )
    return dropped
