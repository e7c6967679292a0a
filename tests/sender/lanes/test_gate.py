from __future__ import annotations

import asyncio

import pytest

from penguinmails_sender.lanes.gate import Gate


async def test_no_more_than_allowed_and_a_smaller_number_counts_at_once() -> None:
    most, inside, seen = 3, 0, []
    gate = Gate(lambda: most)
    release = asyncio.Semaphore(0)

    async def one() -> None:
        nonlocal inside
        async with gate.entered():
            inside += 1
            seen.append(inside)
            await release.acquire()
            inside -= 1

    tasks = [asyncio.create_task(one()) for _ in range(8)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert inside == 3
    most = 1
    for _ in range(8):
        release.release()
        for _ in range(5):
            await asyncio.sleep(0)
    await asyncio.gather(*tasks)
    assert seen[:3] == [1, 2, 3]
    assert max(seen[4:]) == 1


async def test_a_turn_that_is_cancelled_goes_to_the_next() -> None:
    gate = Gate(lambda: 1)
    first = gate.entered()
    await first.__aenter__()
    order: list[str] = []

    async def wait(name: str) -> None:
        async with gate.entered():
            order.append(name)

    gone, stays = asyncio.create_task(wait("gone")), asyncio.create_task(wait("stays"))
    await asyncio.sleep(0)
    await first.__aexit__(None, None, None)
    gone.cancel()  # its turn has just come
    await asyncio.wait_for(stays, 5)
    with pytest.raises(asyncio.CancelledError):
        await gone
    assert order == ["stays"]
