"""Random kills while mail flows: 200 rounds in CI, fewer at a desk."""

from __future__ import annotations

import os
import random
from collections.abc import Callable

import pytest

from tests.crash.chaos import chaos

ROUNDS = 200 if os.environ.get("CI") else 30


@pytest.mark.crash
@pytest.mark.timeout(900)
@pytest.mark.xdist_group("crash")
@pytest.mark.filterwarnings("ignore::ResourceWarning")
async def test_nothing_is_lost_and_nothing_doubled(record_property: Callable[[str, object], None]) -> None:
    report = await chaos(ROUNDS, random.randrange(10**6))
    record_property("summary", str(report))
    assert report.problems == []
    assert len(report.accepted) > ROUNDS, "a run in which nothing was sent proves nothing"
    assert sum(report.kills.values()) == ROUNDS
