"""Pages of lists, the newest first: one row more than was asked for is read, and tells whether there is more."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from sqlalchemy import Select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

Row = TypeVar("Row")
Key = TypeVar("Key")


async def newest_first(
    session: AsyncSession,
    query: Select[Row],
    key: InstrumentedAttribute[Key],
    limit: int,
    after: Key | None,
    before: Key | None,
) -> list[Row]:
    """Up to `limit` rows by `key`: those older than `after`, or the nearest newer than `before`."""
    if before is not None:
        return list(await session.scalars(query.where(key > before).order_by(key).limit(limit)))[::-1]
    if after is not None:
        query = query.where(key < after)
    return list(await session.scalars(query.order_by(key.desc()).limit(limit)))


def cut(found: Sequence[Row], limit: int, *, backwards: bool) -> tuple[list[Row], bool]:
    """The page of `limit` + 1 rows that were asked for, and whether there is more in the direction of travel."""
    return list(found[-limit:] if backwards else found[:limit]), len(found) > limit
