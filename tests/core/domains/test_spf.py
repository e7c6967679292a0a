"""SPF: merged without taking anything away, and counted as receivers count."""

from __future__ import annotations

import pytest

from penguinmails_core.domains.spf import cost, is_spf, merged, missing
from penguinmails_core.kit.dns import DnsUnavailable, StaticResolver


@pytest.mark.parametrize(
    ("record", "wanted", "result"),
    [
        ("v=spf1 -all", "include:a.example", "v=spf1 include:a.example -all"),
        ("v=spf1 mx ~all", "include:a.example ip4:192.0.2.1", "v=spf1 mx include:a.example ip4:192.0.2.1 ~all"),
        ("v=spf1 include:A.example ?all", "include:a.example mx", "v=spf1 include:A.example mx ?all"),
        ("v=spf1 redirect=b.example", "mx", "v=spf1 mx redirect=b.example"),
        ("v=spf1", "mx", "v=spf1 mx"),
        # What says no does not count as being named.
        ("v=spf1 -ip4:192.0.2.1 all", "ip4:192.0.2.1", "v=spf1 -ip4:192.0.2.1 ip4:192.0.2.1 all"),
    ],
)
def test_merging_adds_before_all_and_takes_nothing_away(record: str, wanted: str, result: str) -> None:
    assert merged(record, wanted) == result
    assert missing(result, wanted) == []


def test_versions() -> None:
    texts = ["V=spf1", "v=spf1 -all", "v=spf10 -all", "spf2.0/pra -all"]
    assert [is_spf(text) for text in texts] == [True, True, False, False]


async def test_lookups_are_counted_to_the_end() -> None:
    world = StaticResolver(
        {
            "a.example": {"TXT": ["v=spf1 include:b.example a:host.example -all"]},
            "b.example": {"TXT": ["v=spf1 mx ip4:192.0.2.1/32 exists:%{i}.c.example -all"], "MX": [(1, "m.example")]},
            "host.example": {},
        }
    )
    found = await cost(world, "acme.example", "v=spf1 include:a.example include:none.example a/24 ~all")
    # include a, include b, mx, exists, a:host, include none, a
    assert (found.lookups, found.void, found.complete) == (7, 3, True)
    assert found.too_much


async def test_eleven_includes_are_too_many_though_the_first_would_match() -> None:
    names = [f"{number}.example" for number in range(11)]
    world = StaticResolver({name: {"TXT": ["v=spf1 ip4:192.0.2.1 -all"]} for name in names})
    record = "v=spf1 " + " ".join(f"include:{name}" for name in names) + " -all"
    assert (await cost(world, "acme.example", record)).too_much
    assert not (await cost(world, "acme.example", record.replace("include:10.example ", ""))).too_much


async def test_loops_end_and_silence_is_told() -> None:
    world = StaticResolver(
        {
            "a.example": {"TXT": ["v=spf1 include:b.example include:b.example -all"]},
            "b.example": {"TXT": ["v=spf1 include:a.example -all"]},
            "c.example": {"TXT": DnsUnavailable("c.example", "time-out")},
        }
    )
    assert (await cost(world, "acme.example", "v=spf1 include:a.example")).broken
    assert not (await cost(world, "acme.example", "v=spf1 include:c.example")).complete
