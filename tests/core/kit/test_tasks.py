"""Tasks end, even those that swallow a cancellation."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from redis.asyncio import Redis

from penguinmails_core.embedded import EmbeddedStack
from penguinmails_core.kit.doorbell import Doorbell
from penguinmails_core.kit.tasks import end


async def test_ends_a_task_that_swallows_cancellations() -> None:
    swallowed = 0

    async def stubborn() -> None:
        nonlocal swallowed
        while swallowed < 2:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                swallowed += 1
        await asyncio.sleep(60)

    task = asyncio.create_task(stubborn())
    await asyncio.sleep(0)
    await end(task)
    assert task.cancelled()
    assert swallowed == 2


async def test_takes_what_is_absent_done_or_failed() -> None:
    async def fails() -> None:
        raise RuntimeError

    async def returns() -> None:
        return None

    failed, returned = asyncio.create_task(fails()), asyncio.create_task(returns())
    with suppress(RuntimeError):
        await failed
    await end(None, failed, returned)
    await end()


async def test_a_doorbell_stops_at_any_moment(stack: EmbeddedStack) -> None:
    """Also while it connects, when redis turns the cancellation into an error."""
    for turns in range(12):
        redis = Redis.from_url(stack.redis_url)
        bell = Doorbell(redis)
        await bell.start()
        for _ in range(turns):
            await asyncio.sleep(0)
        done, _ = await asyncio.wait([asyncio.create_task(bell.stop())], timeout=10)
        assert done
        await redis.aclose()
