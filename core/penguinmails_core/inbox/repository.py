"""SQL of what came back to mailboxes. Role `worker`, plain asyncpg."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from penguinmails_core.kit.db import Connection, Pool

_HOLD = """
with open as (
  select m.organization_id, m.id from mailboxes m
  where m.mode = 'live' and m.imap_host is not null and m.connection = 'connected'
    and not exists (select from mailbox_folders f where (f.organization_id, f.mailbox_id) = (m.organization_id, m.id)
      and f.name = $1 and f.lease_until > now())
  order by m.id limit $2
)
insert into mailbox_folders (organization_id, id, mailbox_id, name, worker, lease_until)
select organization_id, gen_random_uuid(), id, $1, $3, now() + $4::interval from open
on conflict (organization_id, mailbox_id, name) do update set worker = excluded.worker,
  lease_until = excluded.lease_until
  where mailbox_folders.lease_until is null or mailbox_folders.lease_until <= now()
returning organization_id, mailbox_id
"""


async def hold(pool: Pool, folder: str, most: int, worker: str, lease: timedelta) -> list[Any]:
    """Mailboxes whose folder nobody reads, now held by `worker`: (organization_id, mailbox_id)."""
    return list(await pool.fetch(_HOLD, folder, most, worker, lease))


async def keep(pool: Pool, organization_id: UUID, mailbox_id: UUID, folder: str, worker: str, lease: timedelta) -> bool:
    """Hold it for longer. False when it is another's, or the mailbox sends and reads no more."""
    status: str = await pool.execute(
        "update mailbox_folders f set lease_until = now() + $5::interval from mailboxes m "
        "where (f.organization_id, f.mailbox_id, f.name, f.worker) = ($1, $2, $3, $4) "
        "and (m.organization_id, m.id) = ($1, $2) and m.connection = 'connected'",
        organization_id,
        mailbox_id,
        folder,
        worker,
        lease,
    )
    return status.endswith(" 1")


async def release(pool: Pool, organization_id: UUID, mailbox_id: UUID, folder: str, worker: str, wait: float) -> None:
    """Free for others after `wait` seconds."""
    await pool.execute(
        "update mailbox_folders set lease_until = now() + make_interval(secs => $5) "
        "where (organization_id, mailbox_id, name, worker) = ($1, $2, $3, $4)",
        organization_id,
        mailbox_id,
        folder,
        worker,
        wait,
    )


async def cursor(pool: Pool, organization_id: UUID, mailbox_id: UUID, folder: str) -> Any:
    return await pool.fetchrow(
        "select uidvalidity, last_uid from mailbox_folders where (organization_id, mailbox_id, name) = ($1, $2, $3)",
        organization_id,
        mailbox_id,
        folder,
    )


async def move_cursor(
    connection: Connection | Pool, organization_id: UUID, mailbox_id: UUID, folder: str, uidvalidity: int, uid: int
) -> None:
    """Never back, unless the folder was made anew."""
    await connection.execute(
        "update mailbox_folders set updated_at = now(), "
        "last_uid = case when uidvalidity = $4 then greatest(last_uid, $5) else $5 end, uidvalidity = $4 "
        "where (organization_id, mailbox_id, name) = ($1, $2, $3)",
        organization_id,
        mailbox_id,
        folder,
        uidvalidity,
        uid,
    )


async def answered(
    connection: Connection, organization_id: UUID, mailbox_id: UUID, emails: Sequence[UUID], message_ids: Sequence[str]
) -> Any:
    """The message of ours that is answered: named itself (`emails`, the nearest first), or by a known answer."""
    return await connection.fetchrow(
        """
        select m.id, m.workspace_id, m.mode, m.message_class, m.from_address, m.from_domain, m.subject, m.tags,
          m.metadata
        from (
          select id, ord from unnest($3::uuid[]) with ordinality as named (id, ord)
          union all
          select t.email_id, 1000 from inbox_messages i
          join inbox_threads t on (t.organization_id, t.id) = (i.organization_id, i.thread_id)
          where (i.organization_id, i.mailbox_id) = ($1, $2) and i.message_id = any ($4::text[])
        ) found
        join email_messages m on m.organization_id = $1 and m.id = found.id and m.mode = 'live'
        order by ord limit 1
        """,
        organization_id,
        mailbox_id,
        emails,
        message_ids,
    )


async def recipient(connection: Connection, organization_id: UUID, email_id: UUID, address: str) -> Any:
    """Who was written to: the one who answers, else the first, for somebody else may answer in their place. Locked."""
    return await connection.fetchrow(
        "select id, kind, address, name, event_sequence from email_recipients "
        "where (organization_id, message_id) = ($1, $2) order by lower(address) = $3 desc, position limit 1 for update",
        organization_id,
        email_id,
        address,
    )


async def told(connection: Connection, organization_id: UUID, recipient_id: UUID) -> int:
    """The sequence of the recipient's next event."""
    found: int = await connection.fetchval(
        "update email_recipients set event_sequence = event_sequence + 1 where (organization_id, id) = ($1, $2) "
        "returning event_sequence",
        organization_id,
        recipient_id,
    )
    return found


async def find_thread(
    connection: Connection, organization_id: UUID, mailbox_id: UUID, email_id: UUID, recipient_address: str
) -> Any:
    return await connection.fetchrow(
        "select * from inbox_threads where (organization_id, mailbox_id, email_id, address) = ($1, $2, $3, $4) "
        "for update",
        organization_id,
        mailbox_id,
        email_id,
        recipient_address,
    )


async def add_thread(connection: Connection, values: Sequence[Any]) -> None:
    """organization_id, id, workspace_id, mode, mailbox_id, email_id, address, subject, interest, last_message_at."""
    await connection.execute(
        "insert into inbox_threads (organization_id, id, workspace_id, mode, mailbox_id, email_id, address, subject, "
        "interest, last_message_at, messages, event_sequence) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 0, 1)",
        *values,
    )


async def touch_thread(
    connection: Connection, organization_id: UUID, thread_id: UUID, interest: str | None, at: datetime
) -> None:
    await connection.execute(
        "update inbox_threads set messages = messages + 1, interest = coalesce($3, interest), updated_at = now(), "
        "last_message_at = greatest(last_message_at, $4) where (organization_id, id) = ($1, $2)",
        organization_id,
        thread_id,
        interest,
        at,
    )


async def known(connection: Connection, organization_id: UUID, mailbox_id: UUID, message_id: str) -> bool:
    """Whether it came before; others who ask for the same mailbox wait for this transaction."""
    await connection.execute("select pg_advisory_xact_lock(hashtextextended('inbox ' || $1::text, 0))", str(mailbox_id))
    return (
        await connection.fetchval(
            "select true from inbox_messages where (organization_id, mailbox_id, message_id) = ($1, $2, $3)",
            organization_id,
            mailbox_id,
            message_id,
        )
        is True
    )


async def add_message(connection: Connection, values: Sequence[Any]) -> None:
    """organization_id, id, thread_id, mailbox_id, message_id, from_address, from_name, subject, text, reply,
    reply_class, confidence, rule, automatic, returns_at, received_at."""
    await connection.execute(
        "insert into inbox_messages (organization_id, id, thread_id, mailbox_id, message_id, from_address, from_name, "
        "subject, text, reply, reply_class, confidence, rule, automatic, returns_at, received_at) "
        "values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)",
        *values,
    )
