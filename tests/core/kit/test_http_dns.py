"""The address cache: how long answers are kept, one question at a time, and what is refused."""

from __future__ import annotations

import asyncio

import pytest

from penguinmails_core.kit.dns import DnsUnavailable, NameNotFound
from penguinmails_core.kit.http_dns import AddressCache
from penguinmails_core.kit.http_guard import ConnectFailed, DnsFailed, ForbiddenAddress
from tests.core.kit.http_world import HangingResolver, ScriptedResolver


class Timed:
    """A resolver with times to live; an exception in the script is raised."""

    def __init__(self, *answers: tuple[list[str], float] | Exception) -> None:
        self.answers = list(answers)
        self.asked = 0

    async def addresses(self, host: str) -> list[str]:
        raise AssertionError("the one with the time to live is to be asked")

    async def addresses_with_ttl(self, host: str) -> tuple[list[str], float]:
        self.asked += 1
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize(("ttl", "kept"), [(0, 1), (0.2, 1), (30, 30), (60, 60), (86400, 60)])
async def test_the_time_to_live_is_kept_within_bounds(ttl: float, kept: float) -> None:
    clock = Clock()
    resolver = Timed((["127.0.0.1"], ttl), (["127.0.0.2"], ttl))
    cache = AddressCache(resolver, allow_private=True, clock=clock)
    assert await cache.resolve("a.test") == ("127.0.0.1",)
    clock.now += kept - 0.01
    assert await cache.resolve("a.test") == cache.known("a.test") == ("127.0.0.1",)
    assert resolver.asked == 1
    clock.now += 0.02
    assert await cache.resolve("a.test") == ("127.0.0.2",)


@pytest.mark.parametrize("error", [NameNotFound("a.test", "x"), DnsUnavailable("a.test", "x"), None])
async def test_failures_are_remembered_for_five_seconds(error: Exception | None) -> None:
    clock = Clock()
    resolver = Timed(error or ([], 300), (["127.0.0.1"], 60))
    cache = AddressCache(resolver, allow_private=True, clock=clock)
    for _ in range(3):
        with pytest.raises(DnsFailed, match=r"a\.test"):
            await cache.resolve("a.test")
    assert resolver.asked == 1
    clock.now += 5.01
    assert await cache.resolve("a.test") == ("127.0.0.1",)


async def test_a_name_that_leads_inside_is_refused_and_remembered() -> None:
    resolver = Timed((["8.8.8.8", "10.0.0.1"], 60))
    cache = AddressCache(resolver, allow_private=False, clock=Clock())
    for _ in range(2):
        with pytest.raises(ForbiddenAddress, match="private"):
            await cache.resolve("a.test")
        assert cache.known("a.test") == ()  # nothing to call, rather than "not known"
    assert resolver.asked == 1


async def test_one_question_for_all_who_ask_and_no_one_who_gives_up_takes_it_along() -> None:
    go = asyncio.Event()
    asked = 0

    class Slow:
        async def addresses(self, host: str) -> list[str]:
            nonlocal asked
            asked += 1
            await go.wait()
            return ["127.0.0.1"]

    cache = AddressCache(Slow(), allow_private=True)
    tasks = [asyncio.create_task(cache.resolve("a.test")) for _ in range(20)]
    await asyncio.sleep(0)
    tasks[0].cancel()
    await asyncio.sleep(0)
    go.set()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert isinstance(results[0], asyncio.CancelledError)
    assert results[1:] == [("127.0.0.1",)] * 19
    assert asked == 1


async def test_an_answer_of_old_serves_kept_connections_while_the_new_one_is_fetched() -> None:
    clock = Clock()
    resolver = Timed((["127.0.0.1"], 1), (["127.0.0.2"], 1))
    cache = AddressCache(resolver, allow_private=True, clock=clock)
    await cache.resolve("a.test")
    clock.now += 2
    assert cache.known("a.test") is None  # "any": the connection was checked when it was made
    async with asyncio.timeout(20):
        while cache.known("a.test") is None:
            await asyncio.sleep(0)
    assert cache.known("a.test") == ("127.0.0.2",)


async def test_local_names_are_never_asked_of_dns() -> None:
    resolver = ScriptedResolver(["8.8.8.8"])
    cache = AddressCache(resolver, allow_private=True)
    for name in ("localhost", "a.localhost"):
        assert await cache.resolve(name) == ("127.0.0.1", "::1")
        with pytest.raises(ForbiddenAddress):
            await AddressCache(resolver, allow_private=False).resolve(name)
    assert resolver.asked == []


async def test_closing_ends_questions_under_way() -> None:
    cache = AddressCache(HangingResolver(), allow_private=True)
    task = asyncio.create_task(cache.resolve("a.test"))
    await asyncio.sleep(0)
    await cache.close()
    with pytest.raises(ConnectFailed):
        await task
