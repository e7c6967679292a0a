"""Source addresses: weighted, the same for every attempt, and an added one moves only its share."""

from __future__ import annotations

from collections import Counter
from uuid import uuid4

import pytest

from penguinmails_core.lanes.policies import PolicyError
from penguinmails_sender.lanes.pools import Pools, parse_pools

TEXT = """
[[pool]]
name = "bulk"
addresses = [{ address = "192.0.2.1", weight = 3 }, "192.0.2.2"]
"""


def test_weights_hold_and_attempts_agree() -> None:
    pools = parse_pools(TEXT)
    ids = [uuid4() for _ in range(4000)]
    found = Counter(pools.address("bulk", item) for item in ids)
    assert 0.70 < found["192.0.2.1"] / len(ids) < 0.80
    assert all(pools.address("bulk", item) == pools.address("bulk", item) for item in ids[:100])


def test_an_added_address_takes_only_its_share() -> None:
    before = parse_pools(TEXT)
    after = parse_pools(TEXT.replace('"192.0.2.2"', '"192.0.2.2", "2001:DB8::1"'))
    ids = [uuid4() for _ in range(2000)]
    moved = [item for item in ids if before.address("bulk", item) != after.address("bulk", item)]
    assert 0.15 < len(moved) / len(ids) < 0.25
    assert {after.address("bulk", item) for item in moved} == {"2001:db8::1"}


def test_a_source_without_a_pool_binds_to_nothing() -> None:
    assert Pools().address("default", uuid4()) is None
    assert parse_pools(TEXT).address("default", uuid4()) is None


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (TEXT + TEXT, "its own name"),
        (TEXT.replace('"bulk"', '"a/b"'), "slash"),
        (TEXT.replace('"192.0.2.2"', '"192.0.2.256"'), "192.0.2.256"),
        (TEXT.replace("weight = 3", "weight = 0"), "weight"),
        (TEXT.replace("weight = 3", "wait = 3"), "nothing else"),
        ('[[pool]]\nname = "bulk"\n', "no addresses"),
    ],
)
def test_a_pool_that_makes_no_sense_is_refused(text: str, says: str) -> None:
    with pytest.raises(PolicyError, match=says):
        parse_pools(text)
