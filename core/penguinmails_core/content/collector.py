"""Keeping the content tier clean: retention, unreferenced blobs, and orphans in both directions.

Content and OLTP share no foreign key and may be on two servers, so a crash between two writes can leave one side
without the other. The collector runs in the worker and behind `penguinmails doctor`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from penguinmails_core.content import repository
from penguinmails_core.content.service import ContentService
from penguinmails_core.kit.clock import utcnow
from penguinmails_core.kit.db import Database

GRACE = timedelta(hours=24)
_PAGE = 1000
_FIRST = UUID(int=0)


@dataclass(frozen=True, slots=True)
class Orphans:
    """What one side has and the other lacks.

    content_without_message   removed by `collect`: the accept they belonged to never committed
    message_without_content   waiting messages that cannot be sent; reported, never removed
    reference_without_blob    bodies whose bytes are gone
    object_without_blob       objects in the object store that no row names; removed by `collect`
    """

    content_without_message: int = 0
    message_without_content: int = 0
    reference_without_blob: int = 0
    object_without_blob: int = 0


@dataclass(frozen=True, slots=True)
class Collected:
    expired: int
    blobs: int
    orphans: Orphans


async def find_orphans(
    database: Database, content: ContentService, *, grace: timedelta = GRACE, remove: bool = False
) -> Orphans:
    """Check both directions. With `remove`, content that no message will ever own is deleted."""
    stale = await _content_without_message(database, content, grace, remove)
    waiting = await _message_without_content(database, content)
    broken = len(await repository.missing_blobs(content.pool, _PAGE))
    named = await repository.stored_keys(content.pool, content.blobs.name)
    extra = await content.blobs.keys() - named
    if remove and extra:
        # Between an upload and its row lies one accept; what has no row after a second look never gets one.
        extra -= await repository.stored_keys(content.pool, content.blobs.name)
        await content.blobs.delete(sorted(extra))
    return Orphans(stale, waiting, broken, len(extra))


async def collect(database: Database, content: ContentService, *, grace: timedelta = GRACE) -> Collected:
    """One round: forget expired content, drop orphaned content, delete blobs that nothing uses."""
    expired = await repository.expired_count(content.pool)
    while await repository.expired_count(content.pool):
        await repository.expire_content(content.pool, _PAGE)
    orphans = await find_orphans(database, content, grace=grace, remove=True)
    blobs = 0
    while gone := await repository.collect_blobs(content.pool, grace.total_seconds(), _PAGE):
        blobs += len(gone)
        await content.blobs.delete([row["storage_key"] for row in gone if row["store"] == content.blobs.name])
    return Collected(expired, blobs, orphans)


async def _content_without_message(database: Database, content: ContentService, grace: timedelta, remove: bool) -> int:
    count, after = 0, _FIRST
    older_than = utcnow() - grace
    while page := await repository.content_message_ids(content.pool, older_than, after, _PAGE):
        keys = [(row["organization_id"], row["message_id"]) for row in page]
        known = await repository.known_messages(database.worker, [k[0] for k in keys], [k[1] for k in keys])
        orphaned = [key for key in keys if key not in known]
        if remove and orphaned:
            await repository.delete_content(content.pool, [k[0] for k in orphaned], [k[1] for k in orphaned])
        count += len(orphaned)
        after = page[-1]["message_id"]
    return count


async def _message_without_content(database: Database, content: ContentService) -> int:
    count, after = 0, _FIRST
    while page := await repository.waiting_messages(database.worker, after, _PAGE):
        keys = [(row["organization_id"], row["id"]) for row in page]
        found = await repository.load_content(content.pool, [k[0] for k in keys], [k[1] for k in keys])
        count += len(keys) - len(found)
        after = page[-1]["id"]
    return count
