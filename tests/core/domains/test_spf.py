"""What SPF records cost, and how ours joins one that is there."""

from __future__ import annotations

import pytest

from penguinmails_core.domains.spf import cost, is_spf, merge, missing
from penguinmails_core.kit.dns import DnsUnavailable, StaticResolver

OURS = "include:_spf.penguin.example ip4:192.0.2.1"


@pytest.mark.parametrize(
    ("present", "merged"),
    [
        ("v=spf1 -all", f"v=spf1 {OURS} -all"),
        ("v=spf1 mx include:_spf.google.com ~all", f"v=spf1 mx include:_spf.google.com {OURS} ~all"),
        ("v=spf1 redirect=_spf.example.net", f"v=spf1 {OURS} redirect=_spf.example.net"),
        ("v=spf1 ip4:192.0.2.1 ?all", "v=spf1 ip4:192.0.2.1 include:_spf.penguin.example ?all"),
        ("v=spf1 +INCLUDE:_spf.Penguin.example ip4:192.0.2.1 -all",) * 2,
        ("v=spf1", f"v=spf1 {OURS}"),
    ],
)
def test_ours_joins_what_is_there(present: str, merged: str) -> None:
    assert merge(present, OURS) == merged
    assert missing(merged, OURS) == []
    assert merge(merged, OURS) == merged


def test_what_is_an_spf_record() -> None:
    assert is_spf("V=SPF1 -all")
    assert is_spf("v=spf1")
    assert not is_spf("v=spf10 -all")
    assert not is_spf("spf2.0/pra ~all")


async def test_lookups_are_counted_as_a_receiver_counts_them() -> None:
    world = StaticResolver(
        {
            "a.example": {"TXT": ["v=spf1 include:b.example a mx ~all"]},
            "b.example": {"TXT": ["unrelated", "v=spf1 exists:%{i}.x.example redirect=c.example"]},
            "c.example": {"TXT": ["v=spf1 ip4:192.0.2.0/24 ptr -all"]},
        }
    )
    found = await cost(world, "v=spf1 include:a.example ip4:192.0.2.9 -all redirect=never.example")
    assert (found.lookups, found.void, found.broken, found.unknown) == (7, 0, [], False)


async def test_what_receivers_stumble_over_is_named() -> None:
    world = StaticResolver(
        {
            "empty.example": {"TXT": []},
            "two.example": {"TXT": ["v=spf1 -all", "v=spf1 ~all"]},
            "loop.example": {"TXT": ["v=spf1 include:loop.example -all"]},
            "down.example": {"TXT": DnsUnavailable("down.example", "SERVFAIL")},
        }
    )
    text = "v=spf1 include:empty.example include:two.example include:loop.example include:gone.example "
    found = await cost(world, text + "include:down.example -all")
    assert found.broken == ["empty.example", "two.example", "loop.example", "gone.example"]
    assert (found.void, found.unknown) == (2, True)


async def test_a_hostile_record_ends_soon() -> None:
    class Endless(StaticResolver):
        asked = 0

        async def txt(self, name: str) -> list[bytes]:
            self.asked += 1
            return [f"v=spf1 include:a.{name} include:b.{name} -all".encode()]

    world = Endless({})
    assert (await cost(world, "v=spf1 include:evil.example -all")).lookups >= 20
    assert world.asked <= 20
