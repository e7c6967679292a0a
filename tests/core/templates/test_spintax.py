"""Spintax, written as Liquid."""

from __future__ import annotations

import pytest

from penguinmails_core.templates.spintax import SpintaxError, choose, compile_spintax


@pytest.mark.parametrize(
    ("source", "counts"),
    [
        ("plain", []),
        ("{Hi|Hello}", [2]),
        ("{Hi|Hello {you|all}|}", [2, 3]),
        ("{no bar}", []),
        ("{{ a | upcase }} {% if a %}{x|y}{% endif %}", [2]),
        ("{% raw %}{x|y}{% endraw %}", []),
        ("<style>p{a|b}</style><!-- {a|b} --><script>{a|b}</script>", []),
        (r"\{a|b\}", []),
        ("{a|b", []),
        ("a}b|c", []),
    ],
)
def test_groups(source: str, counts: list[int]) -> None:
    assert compile_spintax(source).counts == counts


def test_what_is_no_spintax_stays_as_it_is() -> None:
    for source in ("{no bar}", "a}b|c", "{{ a | b }}", "{a|b", "{x{y}z}"):
        assert compile_spintax(source).source == source
    assert compile_spintax(r"\{a\|b\}").source == "{a|b}"


@pytest.mark.parametrize("source", ["{a|" * 30 + "}" * 30, "{" + "|" * 200 + "}", "{a|b}" * 600])
def test_limits(source: str) -> None:
    with pytest.raises(SpintaxError):
        compile_spintax(source)


def test_all_options_are_taken() -> None:
    chosen = [tuple(choose(f"{n}@example.com", "", [2, 3])) for n in range(300)]
    assert set(chosen) == {(a, b) for a in range(2) for b in range(3)}
    assert choose("a", "", [5, 5, 5]) == choose("a", "", [5, 5, 5])
