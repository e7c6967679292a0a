"""Ending background tasks for certain."""

from __future__ import annotations

import asyncio

_AGAIN_SECONDS = 0.5


async def end(*tasks: asyncio.Task[None] | None) -> None:
    """Cancel until all are done; what they raised is dropped.

    Once is not always enough: a library may turn the cancellation into an error of its own (redis does while it
    connects, `asyncio.wait_for` of Python 3.11 when its result came at the same moment), and a loop that is made to
    survive errors then goes on.
    """
    running = {task for task in tasks if task is not None}
    while running:
        for task in running:
            task.cancel()
        done, running = await asyncio.wait(running, timeout=_AGAIN_SECONDS)
        for task in done:
            if not task.cancelled():
                task.exception()
