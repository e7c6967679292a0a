"""Whose turn it is."""

from __future__ import annotations

from collections import Counter

from penguinmails_core.kit.ids import new_uuid
from penguinmails_webhooks.fairness import Lineup
from penguinmails_webhooks.records import Key

CAP = 8


def keys(count: int, organization: Key | None = None) -> list[Key]:
    owner = organization[0] if organization else new_uuid()
    return [(owner, new_uuid()) for _ in range(count)]


def take(lineup: Lineup, free: int, now: float = 0.0) -> dict[Key, int]:
    """Every pick is claimed in full: the backlog of everybody is endless."""
    picks = dict(lineup.choose(now, free))
    for key, slots in picks.items():
        lineup.claimed(key, slots, slots)
    return picks


def test_a_backlog_does_not_take_the_turn_of_others() -> None:
    lineup = Lineup(CAP)
    busy = keys(30)
    for key in busy:
        lineup.due(key, 0)
    take(lineup, 60)
    [fresh] = keys(1)
    lineup.due(fresh, 0)
    lineup.finished(busy[0], True)
    assert take(lineup, 1) == {fresh: 1}


def test_endpoints_of_one_organization_take_turns() -> None:
    lineup = Lineup(CAP)
    due = keys(5)
    for key in due:
        lineup.due(key, 0)
    served: Counter[Key] = Counter()
    for _ in range(20):
        [(key, slots)] = take(lineup, 1).items()
        served[key] += slots
        lineup.finished(key, True)
    assert served == dict.fromkeys(due, 4)


def test_free_requests_are_shared_evenly() -> None:
    lineup = Lineup(CAP)
    due = [*keys(2), *keys(2)]
    for key in due:
        lineup.due(key, 0)
    assert take(lineup, 4) == dict.fromkeys(due, 1)


def test_successes_widen_and_failures_narrow() -> None:
    lineup = Lineup(CAP)
    [key] = keys(1)
    lineup.due(key, 0)
    widths = []
    for well in (True, True, True, True, False, True):
        slots = take(lineup, 100)[key]
        widths.append(slots)
        for _ in range(slots):
            lineup.finished(key, well)
    assert widths == [2, 8, 8, 8, 8, 1]


def test_an_endpoint_that_does_not_answer_holds_few() -> None:
    lineup = Lineup(CAP)
    [hanging] = keys(1)
    lineup.due(hanging, 0)
    assert sum(sum(take(lineup, 100).values()) for _ in range(10)) == 2


def test_nothing_is_asked_before_it_is_due() -> None:
    lineup = Lineup(CAP)
    [key] = keys(1)
    lineup.due(key, 10)
    assert take(lineup, 5, now=9) == {}
    assert lineup.next_due() == 10
    assert take(lineup, 5, now=10) == {key: 2}


def test_what_was_emptied_is_left_alone_until_something_is_added() -> None:
    lineup = Lineup(CAP)
    [key] = keys(1)
    lineup.due(key, 0)
    assert lineup.choose(0, 5) == [(key, 2)]
    lineup.claimed(key, 2, 0)
    assert lineup.choose(0, 5) == []
    lineup.due(key, 0)
    assert lineup.choose(0, 5) == [(key, 2)]
    lineup.due(key, 0)  # while the claim runs, which cannot see it any more
    lineup.claimed(key, 2, 0)
    assert lineup.choose(0, 5) == [(key, 2)]
