"""Reading and writing message content, wherever it is kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from penguinmails_core.config import ContentSettings
from penguinmails_core.content import repository
from penguinmails_core.content.codec import decode
from penguinmails_core.content.stores import BlobStore, RowStore, open_store
from penguinmails_core.emails.accept import MessageRows, content_arguments
from penguinmails_core.emails.accept_sql import content_statement
from penguinmails_core.errors import Unavailable
from penguinmails_core.kit.db import AWAY, Database, Pool, create_pool
from penguinmails_core.register import WORKER_ROLE

MessageKey = tuple[UUID, UUID]


@dataclass(frozen=True, slots=True)
class StoredAttachment:
    """`data` is None when it was not asked for or is lost."""

    id: UUID
    filename: str
    content_type: str
    disposition: str
    content_id: str | None
    size: int
    data: bytes | None


@dataclass(frozen=True, slots=True)
class MessageContent:
    """`missing` names the parts whose bytes are lost (an orphaned reference); such a message must not be sent."""

    text: str | None
    html: str | None
    headers: dict[str, str]
    attachments: tuple[StoredAttachment, ...]
    missing: tuple[str, ...] = ()


def _unavailable() -> Unavailable:
    return Unavailable("The content tier is not reachable; everything but bodies works.", headers={"Retry-After": "2"})


class ContentService:
    """Implements `ContentSink` for the acceptor and reads for everyone else."""

    def __init__(self, pool: Pool, store: BlobStore, *, own_server: bool) -> None:
        self.pool = pool
        self.blobs = store
        self._own_server = own_server
        self.rides_along = not own_server
        self._statement = content_statement() if own_server else ""

    @classmethod
    async def open(cls, database: Database, settings: ContentSettings) -> ContentService:
        """Shares the worker pool of `database` unless the tier has its own server."""
        store = await open_store(settings)
        url = settings.database_url.get_secret_value() if settings.database_url else None
        if url is None or url == database.dsn:
            return cls(database.worker, store, own_server=False)
        return cls(await create_pool(url, WORKER_ROLE, size=4, name="content"), store, own_server=True)

    async def close(self) -> None:
        await self.blobs.close()
        if self._own_server:
            await self.pool.close()

    async def ready(self) -> None:
        """Raises `Unavailable` when the tier does not answer."""
        try:
            await repository.reachable(self.pool)
        except AWAY:
            raise _unavailable() from None

    async def store(self, rows: Sequence[MessageRows]) -> None:
        """See `ContentSink.store`."""
        if not isinstance(self.blobs, RowStore):
            await self._move(rows)
        if self._own_server:
            try:
                await repository.insert_content(self.pool, self._statement, content_arguments((rows, 0)))
            except AWAY:
                raise _unavailable() from None

    async def _move(self, rows: Sequence[MessageRows]) -> None:
        objects: dict[UUID, bytes] = {}
        for message in rows:
            moved = []
            for organization, sha, key, _, encoding, size, stored_size, data in message.blobs:
                objects[key] = data
                moved.append((organization, sha, key, self.blobs.name, encoding, size, stored_size, None))
            message.blobs = moved
        await self.blobs.put(objects)

    async def load(
        self, organization_id: UUID, message_id: UUID, *, attachment_data: bool = False
    ) -> MessageContent | None:
        """One message's content, or None when its retention has passed. Raises `Unavailable`."""
        found = await self.load_many([(organization_id, message_id)], attachment_data=attachment_data)
        return found.get((organization_id, message_id))

    async def load_many(
        self, keys: Sequence[MessageKey], *, attachment_data: bool = True
    ) -> dict[MessageKey, MessageContent]:
        """Content of many messages in three round trips. Raises `Unavailable`."""
        if not keys:
            return {}
        organizations, messages = [key[0] for key in keys], [key[1] for key in keys]
        try:
            heads = await repository.load_content(self.pool, organizations, messages)
            files = await repository.load_attachments(self.pool, organizations, messages)
            wanted = {
                (row["organization_id"], row[column])
                for row in heads
                for column in ("text_sha256", "html_sha256")
                if row[column] is not None
            }
            if attachment_data:
                wanted |= {(row["organization_id"], row["sha256"]) for row in files}
            data = await self._load_blobs(list(wanted))
        except AWAY:
            raise _unavailable() from None
        by_message: dict[MessageKey, list[Any]] = {}
        for row in files:
            by_message.setdefault((row["organization_id"], row["message_id"]), []).append(row)
        found = {}
        for row in heads:
            key = (row["organization_id"], row["message_id"])
            found[key] = _assemble(row, by_message.get(key, []), data, attachment_data)
        return found

    async def _load_blobs(self, wanted: Sequence[tuple[UUID, bytes]]) -> dict[tuple[UUID, bytes], bytes]:
        if not wanted:
            return {}
        rows = await repository.load_blobs(self.pool, [key[0] for key in wanted], [key[1] for key in wanted])
        elsewhere = [row["storage_key"] for row in rows if row["data"] is None]
        fetched = await self.blobs.get(elsewhere) if elsewhere else {}
        found = {}
        for row in rows:
            stored = row["data"] if row["data"] is not None else fetched.get(row["storage_key"])
            if stored is not None:
                found[(row["organization_id"], row["sha256"])] = decode(row["encoding"], stored, row["size"])
        return found


def _assemble(
    head: Any, files: Sequence[Any], data: dict[tuple[UUID, bytes], bytes], with_data: bool
) -> MessageContent:
    organization = head["organization_id"]
    missing: list[str] = []

    def body(column: str, part: str) -> str | None:
        if head[column] is None:
            return None
        found = data.get((organization, head[column]))
        if found is None:
            missing.append(part)
            return None
        return found.decode()

    attachments = []
    for row in files:
        content = data.get((organization, row["sha256"])) if with_data else None
        if with_data and content is None:
            missing.append(row["filename"])
        attachments.append(
            StoredAttachment(
                row["id"],
                row["filename"],
                row["content_type"],
                row["disposition"],
                row["content_id"],
                row["size"],
                content,
            )
        )
    return MessageContent(
        body("text_sha256", "text"), body("html_sha256", "html"), head["headers"], tuple(attachments), tuple(missing)
    )
