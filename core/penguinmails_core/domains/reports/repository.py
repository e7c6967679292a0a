"""SQL of reports about domains."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.dialects.postgresql import insert as postgres_insert
from sqlalchemy.ext.asyncio import AsyncSession

from penguinmails_core.domains.reports.ladder import Totals
from penguinmails_core.domains.reports.reading import Report
from penguinmails_core.kit.db import Pool
from penguinmails_core.kit.ids import new_uuid
from penguinmails_core.models import DomainReport

_ROWS = """
  from domain_reports r cross join lateral jsonb_to_recordset(r.rows)
    as x(source_ip text, count bigint, dkim boolean, spf boolean, disposition text)
  where r.organization_id = :organization_id and r.domain_id = :domain_id and r.kind = 'dmarc' and r.ends_at >= :since
"""


async def insert(session: AsyncSession, organization_id: UUID, domain_id: UUID, report: Report) -> bool:
    """False when the report was there."""
    made = await session.execute(
        postgres_insert(DomainReport)
        .values(
            organization_id=organization_id,
            id=new_uuid(),
            domain_id=domain_id,
            kind=report.kind,
            reporter=report.reporter,
            report_id=report.report_id,
            begins_at=report.begins_at,
            ends_at=report.ends_at,
            rows=report.rows,
        )
        .on_conflict_do_nothing()
        .returning(DomainReport.id)
    )
    return made.first() is not None


async def sources(
    session: AsyncSession, organization_id: UUID, domain_id: UUID, since: datetime, limit: int = 100
) -> Sequence[Any]:
    """The largest first."""
    found = await session.execute(
        text(
            f"""
            select x.source_ip, sum(x.count)::bigint as messages,
              coalesce(sum(x.count) filter (where x.dkim or x.spf), 0)::bigint as aligned,
              coalesce(sum(x.count) filter (where x.dkim), 0)::bigint as dkim_aligned,
              coalesce(sum(x.count) filter (where x.spf), 0)::bigint as spf_aligned,
              coalesce(sum(x.count) filter (where x.disposition = 'quarantine'), 0)::bigint as quarantined,
              coalesce(sum(x.count) filter (where x.disposition = 'reject'), 0)::bigint as rejected,
              array_agg(distinct r.reporter order by r.reporter) as reporters
            {_ROWS} group by x.source_ip order by messages desc, x.source_ip limit :limit
            """
        ),
        {"organization_id": organization_id, "domain_id": domain_id, "since": since, "limit": limit},
    )
    return found.all()


async def totals(session: AsyncSession, organization_id: UUID, domain_id: UUID, since: datetime) -> Totals:
    row = (
        await session.execute(
            text(
                f"""
                select coalesce(sum(x.count), 0)::bigint as messages,
                  coalesce(sum(x.count) filter (where x.dkim or x.spf), 0)::bigint as aligned,
                  count(distinct (r.begins_at at time zone 'utc')::date) as days
                {_ROWS}
                """
            ),
            {"organization_id": organization_id, "domain_id": domain_id, "since": since},
        )
    ).one()
    return Totals(row.messages, row.aligned, row.days)


async def forget(pool: Pool, keep: timedelta, limit: int) -> int:
    """Deletes old ones; returns how many."""
    gone = await pool.fetch(
        """
        delete from domain_reports where (organization_id, id) in
          (select organization_id, id from domain_reports where created_at < now() - $1::interval limit $2)
        returning 1
        """,
        keep,
        limit,
    )
    return len(gone)
