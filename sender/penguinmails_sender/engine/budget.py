"""How much mail may be in memory at once, counted in octets: four hundred messages may be 400 kB or 4 GB."""

from __future__ import annotations

import asyncio


class Budget:
    """`take` waits its turn until there is room; what is larger than the whole budget gets in alone."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._used = 0
        self._turn = asyncio.Lock()
        self._given = asyncio.Event()

    async def take(self, size: int) -> None:
        async with self._turn:
            while self._used and self._used + size > self._limit:
                self._given.clear()
                await self._given.wait()
            self._used += size

    def give(self, size: int) -> None:
        self._used -= size
        self._given.set()
