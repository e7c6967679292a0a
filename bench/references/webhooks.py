"""The references for `webhook_dispatch`: plain aiohttp over kept connections, and a dispatcher as tutorials have it."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import time
import uuid
from datetime import UTC, datetime

import aiohttp
from sqlalchemy import ForeignKey, Text, select
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.dialects.postgresql import UUID as PgUUID
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import DateTime

_BODY = json.dumps({"type": "email.delivered", "data": {"text": "x" * 700}}).encode()
_HEADERS = {
    "content-type": "application/json",
    "webhook-id": "evt_01k5w8m3xjf2r9v0q4tz7h6cdh",
    "webhook-timestamp": "1764000000",
    "webhook-signature": "v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4=",
}


async def plain(url: str, count: int, concurrency: int) -> float:
    """Requests a second of aiohttp with one fixed body: no database, no signature, no policy."""
    left = count

    async def one(session: aiohttp.ClientSession) -> None:
        nonlocal left
        while left > 0:
            left -= 1
            async with session.post(url, data=_BODY, headers=_HEADERS) as answer:
                await answer.read()

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=concurrency)) as session:
        started = time.perf_counter()
        await asyncio.gather(*(one(session) for _ in range(concurrency)))
        return count / (time.perf_counter() - started)


class Base(DeclarativeBase):
    type_annotation_map = {uuid.UUID: PgUUID(as_uuid=True), datetime: DateTime(timezone=True)}  # noqa: RUF012


class Delivery(Base):
    __tablename__ = "textbook_deliveries"
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    url: Mapped[str] = mapped_column(Text)
    payload: Mapped[dict[str, object]] = mapped_column(JSONB)
    status: Mapped[str] = mapped_column(Text, index=True, default="pending")


class Attempt(Base):
    __tablename__ = "textbook_attempts"
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    delivery_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("textbook_deliveries.id"))
    status_code: Mapped[int]
    at: Mapped[datetime] = mapped_column(default=lambda: datetime.now(UTC))


async def textbook(dsn: str, url: str, count: int, workers: int) -> float:
    """Deliveries a second of a dispatcher that claims one row, sends it signed, and writes one outcome, per commit."""
    engine = create_async_engine(dsn.replace("postgresql://", "postgresql+asyncpg://"), pool_size=workers)
    sessions = async_sessionmaker(engine, expire_on_commit=False)
    try:
        async with engine.begin() as connection:
            await connection.run_sync(Base.metadata.create_all)
        async with sessions() as session, session.begin():
            session.add_all(Delivery(url=url, payload=json.loads(_BODY)) for _ in range(count))
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=workers)) as http:
            started = time.perf_counter()
            await asyncio.gather(*(_work(sessions, http) for _ in range(workers)))
            return count / (time.perf_counter() - started)
    finally:
        async with engine.begin() as connection:
            await connection.run_sync(Base.metadata.drop_all)
        await engine.dispose()


async def _work(sessions: async_sessionmaker, http: aiohttp.ClientSession) -> None:  # type: ignore[type-arg]
    query = select(Delivery).where(Delivery.status == "pending").limit(1).with_for_update(skip_locked=True)
    while True:
        async with sessions() as session, session.begin():
            delivery = (await session.execute(query)).scalar_one_or_none()
            if delivery is None:
                return
            body = json.dumps(delivery.payload).encode()
            signature = hmac.new(b"secret", b"id.0." + body, hashlib.sha256).hexdigest()
            async with http.post(
                delivery.url, data=body, headers=_HEADERS | {"webhook-signature": signature}
            ) as answer:
                await answer.read()
            delivery.status = "delivered"
            session.add(Attempt(delivery_id=delivery.id, status_code=answer.status))
