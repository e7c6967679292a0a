"""Where the bytes of a blob are: behind one protocol, so that the rest does not know.

PostgreSQL is the default: small bodies live in the row and ride in the statement that accepts a message. An
S3-compatible server takes over when content outgrows the database; objects carry random names, so nobody can guess or
probe them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from typing import Any, Protocol
from uuid import UUID

from penguinmails_core.config import ConfigError, ContentSettings
from penguinmails_core.errors import Unavailable

_PARALLEL = 16  # objects moved at once


class BlobStore(Protocol):
    """`name` is what the `store` column says. Keys are the blobs' random storage keys."""

    name: str

    async def put(self, objects: Mapping[UUID, bytes]) -> None:
        """Store all objects durably. Raises `Unavailable`."""
        ...

    async def get(self, keys: Sequence[UUID]) -> dict[UUID, bytes]:
        """The objects that exist; a missing one is left out. Raises `Unavailable`."""
        ...

    async def delete(self, keys: Sequence[UUID]) -> None:
        """Remove objects; those that are gone already do not matter."""
        ...

    async def keys(self) -> set[UUID]:
        """Every stored key, for the orphan check."""
        ...

    async def close(self) -> None: ...


class RowStore:
    """The bytes stay in the row (`content.blobs.data`), so there is nothing to move."""

    name = "postgresql"

    async def put(self, objects: Mapping[UUID, bytes]) -> None:
        raise AssertionError("rows carry their own data")

    async def get(self, keys: Sequence[UUID]) -> dict[UUID, bytes]:
        return {}

    async def delete(self, keys: Sequence[UUID]) -> None:
        return None

    async def keys(self) -> set[UUID]:
        return set()

    async def close(self) -> None:
        return None


class S3Store:
    """Objects ``blobs/<storage key>`` in one bucket of an S3-compatible server (aiobotocore)."""

    name = "s3"

    def __init__(self, client: Any, bucket: str, stack: AsyncExitStack) -> None:
        self._client = client
        self._bucket = bucket
        self._stack = stack
        self._gate = asyncio.Semaphore(_PARALLEL)

    @classmethod
    async def open(cls, settings: ContentSettings) -> S3Store:
        """Raises `ConfigError` when the optional dependency or the bucket is missing."""
        try:
            from aiobotocore.config import AioConfig
            from aiobotocore.session import get_session
            from botocore.exceptions import BotoCoreError, ClientError
        except ImportError:
            raise ConfigError("PENGUINMAILS_CONTENT_STORE=s3 needs: pip install 'penguinmails-server[s3]'") from None
        stack = AsyncExitStack()
        key, secret = settings.s3_access_key_id, settings.s3_secret_access_key
        client = await stack.enter_async_context(
            get_session().create_client(
                "s3",
                region_name=settings.s3_region,
                endpoint_url=settings.s3_endpoint,
                aws_access_key_id=key.get_secret_value() if key else None,
                aws_secret_access_key=secret.get_secret_value() if secret else None,
                config=AioConfig(connect_timeout=5, read_timeout=30, retries={"max_attempts": 3, "mode": "standard"}),
            )
        )
        try:
            await client.head_bucket(Bucket=settings.s3_bucket)
        except (BotoCoreError, ClientError, OSError) as error:
            await stack.aclose()
            raise ConfigError(
                f"the bucket {settings.s3_bucket} (PENGUINMAILS_CONTENT_S3_BUCKET) cannot be used: "
                f"{type(error).__name__}"
            ) from None
        return cls(client, settings.s3_bucket, stack)

    @staticmethod
    def object_name(key: UUID) -> str:
        return f"blobs/{key}"

    async def put(self, objects: Mapping[UUID, bytes]) -> None:
        async def put_one(key: UUID, data: bytes) -> None:
            await self._client.put_object(Bucket=self._bucket, Key=self.object_name(key), Body=data)

        await self._all([put_one(key, data) for key, data in objects.items()])

    async def get(self, keys: Sequence[UUID]) -> dict[UUID, bytes]:
        found: dict[UUID, bytes] = {}

        async def get_one(key: UUID) -> None:
            try:
                answer = await self._client.get_object(Bucket=self._bucket, Key=self.object_name(key))
            except self._client.exceptions.NoSuchKey:
                return
            async with answer["Body"] as body:
                found[key] = await body.read()

        await self._all([get_one(key) for key in keys])
        return found

    async def delete(self, keys: Sequence[UUID]) -> None:
        async def delete_one(key: UUID) -> None:
            await self._client.delete_object(Bucket=self._bucket, Key=self.object_name(key))

        await self._all([delete_one(key) for key in keys])

    async def keys(self) -> set[UUID]:
        found: set[UUID] = set()
        paginator = self._client.get_paginator("list_objects_v2")
        async for page in paginator.paginate(Bucket=self._bucket, Prefix="blobs/"):
            found.update(UUID(item["Key"].removeprefix("blobs/")) for item in page.get("Contents", ()))
        return found

    async def close(self) -> None:
        await self._stack.aclose()

    async def _all(self, calls: Sequence[Any]) -> None:
        from botocore.exceptions import BotoCoreError, ClientError

        async def gated(call: Any) -> None:
            async with self._gate:
                await call

        try:
            async with asyncio.TaskGroup() as group:
                for call in calls:
                    group.create_task(gated(call))
        except* (BotoCoreError, ClientError, OSError):
            raise Unavailable(
                "The store of message bodies is not reachable. Try again with the same Idempotency-Key.",
                headers={"Retry-After": "2"},
            ) from None


async def open_store(settings: ContentSettings) -> BlobStore:
    return await S3Store.open(settings) if settings.store == "s3" else RowStore()
