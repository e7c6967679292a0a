"""SQL of the content tier. Always the `worker` role of the content server; every statement names the organization."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from penguinmails_core.kit.db import Pool

Row = tuple[Any, ...]


async def load_content(pool: Pool, organizations: Sequence[UUID], messages: Sequence[UUID]) -> list[Any]:
    return list(
        await pool.fetch(
            """
            select c.organization_id, c.message_id, c.text_sha256, c.html_sha256, c.headers
            from content.email_content c
            join unnest($1::uuid[], $2::uuid[]) w (organization_id, message_id) using (organization_id, message_id)
            """,
            organizations,
            messages,
        )
    )


async def load_attachments(pool: Pool, organizations: Sequence[UUID], messages: Sequence[UUID]) -> list[Any]:
    return list(
        await pool.fetch(
            """
            select a.organization_id, a.message_id, a.id, a.filename, a.content_type, a.disposition, a.content_id,
              a.sha256, a.size
            from content.attachments a
            join unnest($1::uuid[], $2::uuid[]) w (organization_id, message_id) using (organization_id, message_id)
            order by a.organization_id, a.message_id, a.position
            """,
            organizations,
            messages,
        )
    )


async def load_blobs(pool: Pool, organizations: Sequence[UUID], hashes: Sequence[bytes]) -> list[Any]:
    return list(
        await pool.fetch(
            """
            select b.organization_id, b.sha256, b.storage_key, b.store, b.encoding, b.size, b.data
            from content.blobs b
            join unnest($1::uuid[], $2::bytea[]) w (organization_id, sha256) using (organization_id, sha256)
            """,
            organizations,
            hashes,
        )
    )


async def reachable(pool: Pool) -> None:
    await pool.fetchval("select count(*) from content.blobs where false")


async def expire_content(pool: Pool, limit: int) -> list[Any]:
    """Forget bodies whose retention date has passed; their blobs become unreferenced."""
    return list(
        await pool.fetch(
            """
            with due as (
              select organization_id, message_id from content.email_content
              where retain_until < now() order by retain_until limit $1 for update skip locked
            ),
            gone as (
              delete from content.email_content c using due d
              where (c.organization_id, c.message_id) = (d.organization_id, d.message_id)
            )
            delete from content.attachments a using due d
            where (a.organization_id, a.message_id) = (d.organization_id, d.message_id)
            returning a.organization_id
            """,
            limit,
        )
    )


async def expired_count(pool: Pool) -> int:
    value: int = await pool.fetchval("select count(*) from content.email_content where retain_until < now()")
    return value


async def collect_blobs(pool: Pool, grace_seconds: float, limit: int) -> list[Any]:
    """Delete blobs that nothing references and nobody touched within the grace; returns (storage_key, store).

    `touched_at` is checked again under the row's lock, so a blob that an accept has just taken up again stays.
    """
    return list(
        await pool.fetch(
            """
            with candidates as (
              select b.organization_id, b.sha256 from content.blobs b
              where b.touched_at < now() - make_interval(secs => $1)
                and not exists (select from content.email_content c where c.organization_id = b.organization_id
                                and b.sha256 in (c.text_sha256, c.html_sha256))
                and not exists (select from content.attachments a where a.organization_id = b.organization_id
                                and a.sha256 = b.sha256)
              order by b.touched_at limit $2 for update of b skip locked
            )
            delete from content.blobs b using candidates d
            where (b.organization_id, b.sha256) = (d.organization_id, d.sha256)
              and b.touched_at < now() - make_interval(secs => $1)
            returning b.storage_key, b.store
            """,
            grace_seconds,
            limit,
        )
    )


async def missing_blobs(pool: Pool, limit: int) -> list[Any]:
    """References whose blob row is gone: bodies that can no longer be sent or shown."""
    return list(
        await pool.fetch(
            """
            select r.organization_id, r.sha256, r.refs from content.blob_references r
            where not exists (select from content.blobs b
                              where (b.organization_id, b.sha256) = (r.organization_id, r.sha256))
            order by r.organization_id, r.sha256 limit $1
            """,
            limit,
        )
    )


async def stored_keys(pool: Pool, store: str) -> set[UUID]:
    return {
        row["storage_key"] for row in await pool.fetch("select storage_key from content.blobs where store = $1", store)
    }


async def content_message_ids(pool: Pool, older_than: datetime, after: UUID, limit: int) -> list[Any]:
    """A page of (organization_id, message_id) in the content tier, for the check against the OLTP tier."""
    return list(
        await pool.fetch(
            """
            select organization_id, message_id from content.email_content
            where created_at < $1 and message_id > $2 order by message_id limit $3
            """,
            older_than,
            after,
            limit,
        )
    )


async def known_messages(pool: Pool, organizations: Sequence[UUID], messages: Sequence[UUID]) -> set[tuple[UUID, UUID]]:
    """Which of the given messages exist in the OLTP tier."""
    rows = await pool.fetch(
        """
        select m.organization_id, m.id from email_messages m
        join unnest($1::uuid[], $2::uuid[]) w (organization_id, id) using (organization_id, id)
        """,
        organizations,
        messages,
    )
    return {(row["organization_id"], row["id"]) for row in rows}


async def waiting_messages(pool: Pool, after: UUID, limit: int) -> list[Any]:
    """A page of messages that still have something to send, for the check against the content tier."""
    return list(
        await pool.fetch(
            """
            select distinct m.organization_id, m.id from email_messages m
            join email_recipients r on (r.organization_id, r.message_id) = (m.organization_id, m.id)
            where m.id > $1 and r.status in ('queued', 'deferred', 'sending')
            order by m.id limit $2
            """,
            after,
            limit,
        )
    )


async def delete_content(pool: Pool, organizations: Sequence[UUID], messages: Sequence[UUID]) -> None:
    await pool.execute(
        """
        with gone as (
          delete from content.attachments a using unnest($1::uuid[], $2::uuid[]) w (organization_id, message_id)
          where (a.organization_id, a.message_id) = (w.organization_id, w.message_id)
        )
        delete from content.email_content c using unnest($1::uuid[], $2::uuid[]) w (organization_id, message_id)
        where (c.organization_id, c.message_id) = (w.organization_id, w.message_id)
        """,
        organizations,
        messages,
    )


async def insert_content(pool: Pool, statement: str, arguments: Sequence[Sequence[Any]]) -> None:
    await pool.fetchval(statement, *arguments)
