"""Our own mail floods nobody: an address gets so many, an organization causes so many, and warnings are kept apart."""

from __future__ import annotations

import asyncio

import pytest
from redis.asyncio import Redis

from penguinmails_core.kit.ids import new_uuid
from penguinmails_core.system_mail.budget import ASKED, DAY, HOUR, NOTICES, ORGANIZATION, MailBudget

MOST = ASKED[0].most


@pytest.fixture(params=["redis", "local"])
async def budget(redis: Redis, request: pytest.FixtureRequest) -> MailBudget:
    return MailBudget(redis if request.param == "redis" else None)


async def test_an_address_gets_so_many_whoever_asks(budget: MailBudget) -> None:
    askers = [new_uuid() for _ in range(MOST)]
    assert [await budget.asked("ada@example.com", asker) for asker in askers] == [0.0] * MOST
    for spelling in ("ada@example.com", " ADA@example.com"):
        assert 0 < await budget.asked(spelling) <= HOUR
    assert await budget.asked("grace@example.com") == 0, "others are not affected"


async def test_at_the_same_moment_too(budget: MailBudget) -> None:
    waits = await asyncio.gather(*(budget.asked("ada@example.com") for _ in range(MOST * 4)))
    assert sum(wait == 0 for wait in waits) == MOST


async def test_warnings_are_not_used_up_by_what_others_ask_for(budget: MailBudget) -> None:
    for _ in range(MOST + 3):
        await budget.asked("ada@example.com")
    for _ in range(NOTICES[0].most):
        assert await budget.notice("ada@example.com") == 0
    assert await budget.notice("ada@example.com") > 0
    assert await budget.asked("grace@example.com") == 0


async def test_an_organization_causes_so_many(budget: MailBudget) -> None:
    organization, most = new_uuid(), ORGANIZATION[0].most
    for number in range(most):
        assert await budget.asked(f"p{number}@example.com", organization) == 0
    assert 0 < await budget.asked("one-more@example.com", organization) <= HOUR
    assert await budget.asked("one-more@example.com", new_uuid()) == 0, "nothing was taken of the address"


async def test_the_day_holds_when_the_hour_is_new(redis: Redis) -> None:
    budget, let_through = MailBudget(redis), 0
    for _ in range(ASKED[1].most * 2):
        let_through += await budget.asked("ada@example.com") == 0
        async for key in redis.scan_iter(f"*:asked:*:{HOUR}"):
            await redis.delete(key)
    assert let_through == ASKED[1].most
    assert HOUR < await budget.asked("ada@example.com") <= DAY


async def test_the_cache_holds_nobodys_address(redis: Redis) -> None:
    await MailBudget(redis).asked("ada@example.com", new_uuid())
    keys = [key.decode() async for key in redis.scan_iter("penguinmails:{systemmail}:*")]
    assert keys
    assert not [key for key in keys if "ada" in key]


async def test_without_redis_it_still_counts() -> None:
    away = Redis(host="127.0.0.1", port=1)
    budget = MailBudget(away)
    waits = [await budget.asked("ada@example.com") for _ in range(MOST + 1)]
    assert waits[:-1] == [0.0] * MOST
    assert waits[-1] > 0
    await away.aclose()
