"""Workers of the delivery engine are killed while events flow: a few here, 200 by `make webhookkills`."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from tests.crash.webhook_kills import ENDPOINTS, _overtaken, kills

ROUNDS, EVENTS = 10, 200


@pytest.mark.crash
@pytest.mark.timeout(600)
@pytest.mark.xdist_group("crash")
@pytest.mark.filterwarnings("ignore::ResourceWarning")
async def test_every_event_arrives_and_order_is_kept(record_property: Callable[[str, object], None]) -> None:
    report = await kills(ROUNDS, EVENTS, random.randrange(10**6))
    record_property("summary", str(report))
    assert report.problems == [], str(report)
    assert report.deliveries == EVENTS * len(ENDPOINTS)


def test_the_count_sees_what_overtakes() -> None:
    places = {"a": ("k", 1), "b": ("k", 2), "c": ("other", 0)}
    assert _overtaken(["a", "c", "b", "a"], places) == 0
    assert _overtaken(["b", "c", "a"], places) == 1
