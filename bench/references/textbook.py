"""The reference for `accept`: the endpoint as tutorials write it. FastAPI, slowapi, SQLAlchemy ORM, one insert.

`POST /emails` only stores the message: no key, no idempotency, no recipients, no content tier, no event. With
`TEXTBOOK_FULL=1` it does what ours does, still in textbook style (for information, not for the floor).
"""

import hashlib
import os
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Header, HTTPException, Request
from pydantic import BaseModel
from slowapi import Limiter
from slowapi.util import get_remote_address
from sqlalchemy import ForeignKey, LargeBinary, Text, select
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.dialects.postgresql import UUID as PgUUID
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import DateTime

DATABASE_URL = os.environ["TEXTBOOK_DATABASE_URL"]
REDIS_URL = os.environ["TEXTBOOK_REDIS_URL"]
FULL = os.environ.get("TEXTBOOK_FULL") == "1"

engine = create_async_engine(DATABASE_URL, pool_size=16, max_overflow=0)
sessions = async_sessionmaker(engine, expire_on_commit=False)
limiter = Limiter(key_func=get_remote_address, storage_uri=REDIS_URL)


class Base(DeclarativeBase):
    type_annotation_map = {uuid.UUID: PgUUID(as_uuid=True), datetime: DateTime(timezone=True)}  # noqa: RUF012


def now() -> datetime:
    return datetime.now(UTC)


class Message(Base):
    __tablename__ = "textbook_messages"
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    sender: Mapped[str] = mapped_column(Text)
    recipients: Mapped[list[str]] = mapped_column(JSONB)
    subject: Mapped[str] = mapped_column(Text)
    text: Mapped[str | None] = mapped_column(Text)
    html: Mapped[str | None] = mapped_column(Text)
    tags: Mapped[list[str]] = mapped_column(JSONB)
    meta: Mapped[dict[str, Any]] = mapped_column(JSONB)
    created_at: Mapped[datetime] = mapped_column(default=now)


class Recipient(Base):
    __tablename__ = "textbook_recipients"
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    message_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("textbook_messages.id"))
    address: Mapped[str] = mapped_column(Text)
    status: Mapped[str] = mapped_column(Text, default="queued")


class Blob(Base):
    __tablename__ = "textbook_blobs"
    sha256: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    data: Mapped[bytes] = mapped_column(LargeBinary)


class Event(Base):
    __tablename__ = "textbook_events"
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    type: Mapped[str] = mapped_column(Text)
    resource_id: Mapped[uuid.UUID]
    payload: Mapped[dict[str, Any]] = mapped_column(JSONB)
    created_at: Mapped[datetime] = mapped_column(default=now)


class Outbox(Base):
    """What a worker would take the message from."""

    __tablename__ = "textbook_outbox"
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    message_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("textbook_messages.id"))
    due_at: Mapped[datetime] = mapped_column(default=now)


class Key(Base):
    __tablename__ = "textbook_keys"
    hash: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    name: Mapped[str] = mapped_column(Text)


class Idempotency(Base):
    __tablename__ = "textbook_idempotency"
    key: Mapped[str] = mapped_column(Text, primary_key=True)
    fingerprint: Mapped[bytes] = mapped_column(LargeBinary)
    response: Mapped[dict[str, Any]] = mapped_column(JSONB)
    created_at: Mapped[datetime] = mapped_column(default=now)


class EmailIn(BaseModel):
    from_: str
    to: list[str]
    subject: str
    text: str | None = None
    html: str | None = None
    tags: list[str] = []
    metadata: dict[str, str] = {}

    model_config = {"alias_generator": lambda name: name.rstrip("_")}


class EmailOut(BaseModel):
    id: uuid.UUID
    status: str
    created_at: datetime


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    async with sessions() as session, session.begin():
        await session.merge(Key(hash=hashlib.sha256(b"Bearer x").digest(), name="bench"))
    yield
    await engine.dispose()


app = FastAPI(lifespan=lifespan)
app.state.limiter = limiter


async def get_session() -> AsyncIterator[AsyncSession]:
    async with sessions() as session:
        yield session


Session = Annotated[AsyncSession, Depends(get_session)]


@app.post("/emails", status_code=202)
@limiter.limit("100000000/minute")
async def send(request: Request, body: EmailIn, session: Session) -> EmailOut:
    message = Message(
        sender=body.from_,
        recipients=body.to,
        subject=body.subject,
        text=body.text,
        html=body.html,
        tags=body.tags,
        meta=body.metadata,
    )
    session.add(message)
    await session.commit()
    return EmailOut(id=message.id, status="queued", created_at=message.created_at)


@app.post("/full", status_code=202)
@limiter.limit("100000000/minute")
async def send_full(
    request: Request,
    body: EmailIn,
    session: Session,
    authorization: Annotated[str, Header()],
    idempotency_key: Annotated[str, Header()],
) -> EmailOut:
    known = await _known(session, authorization, idempotency_key, mark := await _mark(request))
    if known is not None:
        return EmailOut(**known.response)
    answer = (await _store(session, [body]))[0]
    session.add(Idempotency(key=idempotency_key, fingerprint=mark, response=answer.model_dump(mode="json")))
    await session.commit()
    return answer


async def _mark(request: Request) -> bytes:
    return hashlib.sha256(await request.body()).digest()


async def _known(session: AsyncSession, authorization: str, idempotency_key: str, mark: bytes) -> Idempotency | None:
    key = hashlib.sha256(authorization.encode()).digest()
    if await session.get(Key, key) is None:
        raise HTTPException(401, "no such key")
    known = (
        await session.execute(
            select(Idempotency).where(
                Idempotency.key == idempotency_key, Idempotency.created_at > now() - timedelta(hours=24)
            )
        )
    ).scalar_one_or_none()
    if known is not None and known.fingerprint != mark:
        raise HTTPException(422, "key reused")
    return known


async def _store(session: AsyncSession, items: list[EmailIn]) -> list[EmailOut]:
    """The rows that ours writes too: messages, their bodies once each, recipients, events."""
    messages = [
        Message(id=uuid.uuid4(), sender=one.from_, recipients=[], subject=one.subject, tags=one.tags, meta=one.metadata)
        for one in items
    ]
    session.add_all(messages)
    await session.flush()
    parts = {
        hashlib.sha256(part.encode()).digest(): part
        for one in items
        for part in (one.text, one.html)
        if part is not None
    }
    stored = set(await session.scalars(select(Blob.sha256).where(Blob.sha256.in_(parts))))
    session.add_all(Blob(sha256=digest, data=part.encode()) for digest, part in parts.items() if digest not in stored)
    for message, one in zip(messages, items, strict=True):
        for address in one.to:
            payload = {"to": address, "subject": one.subject}
            session.add(Recipient(message_id=message.id, address=address))
            session.add(Event(type="email.queued", resource_id=message.id, payload=payload))
    return [EmailOut(id=message.id, status="queued", created_at=message.created_at) for message in messages]


def _messages(body: list[EmailIn]) -> list[Message]:
    return [
        Message(
            id=uuid.uuid4(),
            sender=item.from_,
            recipients=item.to,
            subject=item.subject,
            text=item.text,
            html=item.html,
            tags=item.tags,
            meta=item.metadata,
        )
        for item in body
    ]


@app.post("/batch", status_code=202)
async def send_batch(body: list[EmailIn], session: Session) -> list[EmailOut]:
    """The reference for `batch100`: ORM `add_all` of each message and its place in the queue."""
    messages = _messages(body)
    session.add_all([*messages, *(Outbox(message_id=message.id) for message in messages)])
    await session.commit()
    return [EmailOut(id=message.id, status="queued", created_at=message.created_at) for message in messages]


@app.post("/batch-insert-only", status_code=202)
async def send_batch_insert_only(body: list[EmailIn], session: Session) -> list[EmailOut]:
    """For information: the messages alone, which nothing would ever send."""
    messages = _messages(body)
    session.add_all(messages)
    await session.commit()
    return [EmailOut(id=message.id, status="queued", created_at=message.created_at) for message in messages]


@app.post("/full-batch", status_code=202)
async def send_full_batch(
    request: Request,
    body: list[EmailIn],
    session: Session,
    authorization: Annotated[str, Header()],
    idempotency_key: Annotated[str, Header()],
) -> list[EmailOut]:
    """For information: what ours does with a batch, in textbook style."""
    known = await _known(session, authorization, idempotency_key, mark := await _mark(request))
    if known is not None:
        return [EmailOut(**answer) for answer in known.response["data"]]
    answers = await _store(session, body)
    response = {"data": [answer.model_dump(mode="json") for answer in answers]}
    session.add(Idempotency(key=idempotency_key, fingerprint=mark, response=response))
    await session.commit()
    return answers
