"""Spintax: ``{Hi|Hello|Good {morning|day}}`` says one thing of several, and the same one to the same person each time.

Written as Liquid before it is parsed, so that a template is parsed once however many people get it, and what variables
hold is never taken for spintax. Braces without a bar are left alone; ``\\{``, ``\\|`` and ``\\}`` stand for themselves.
Liquid, comments, styles and scripts are not looked into.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field

VARIABLE = "__spin"
MAX_GROUPS = 500
MAX_DEPTH = 20
MAX_OPTIONS = 100

_SKIP = re.compile(
    r"\{%-?\s*raw\s*-?%\}.*?\{%-?\s*endraw\s*-?%\}|\{\{.*?\}\}|\{%.*?%\}|<!--.*?-->|<(style|script)\b.*?</\1\s*>",
    re.DOTALL | re.IGNORECASE,
)


class SpintaxError(ValueError):
    """Too many groups or options, or groups in groups too deep."""


@dataclass(slots=True)
class Spun:
    """`source` is Liquid; `counts` says how many options each group has, in the order of their numbers."""

    source: str
    counts: list[int]


@dataclass(slots=True)
class _Group:
    options: list[list[str]] = field(default_factory=lambda: [[]])


def compile_spintax(source: str) -> Spun:
    """Raises `SpintaxError`."""
    counts: list[int] = []
    open_groups: list[_Group] = [_Group()]  # the first is the whole text
    position, length = 0, len(source)
    while position < length:
        character = source[position]
        if character in "{<" and (skipped := _SKIP.match(source, position)):
            open_groups[-1].options[-1].append(skipped[0])
            position = skipped.end()
            continue
        if character == "\\" and source[position + 1 : position + 2] in ("{", "|", "}"):
            open_groups[-1].options[-1].append(source[position + 1])
            position += 2
            continue
        if character == "{":
            if len(open_groups) > MAX_DEPTH:
                raise SpintaxError(f"groups may stand in each other {MAX_DEPTH} deep")
            open_groups.append(_Group())
        elif character == "|" and len(open_groups) > 1:
            open_groups[-1].options.append([])
            if len(open_groups[-1].options) > MAX_OPTIONS:
                raise SpintaxError(f"a group may have {MAX_OPTIONS} options")
        elif character == "}" and len(open_groups) > 1:
            _close(open_groups, counts)
        else:
            end = position + 1
            while end < length and source[end] not in "{}|\\<":
                end += 1
            open_groups[-1].options[-1].append(source[position:end])
            position = end
            continue
        position += 1
    while len(open_groups) > 1:  # braces that nobody closed are just text
        group = open_groups.pop()
        open_groups[-1].options[-1].append("{" + "|".join("".join(option) for option in group.options))
    return Spun("".join(open_groups[0].options[0]), counts)


def _close(open_groups: list[_Group], counts: list[int]) -> None:
    options = ["".join(option) for option in open_groups.pop().options]
    outer = open_groups[-1].options[-1]
    if len(options) == 1:
        outer.append("{" + options[0] + "}")
        return
    if len(counts) >= MAX_GROUPS:
        raise SpintaxError(f"a text may have {MAX_GROUPS} groups")
    number = len(counts)
    counts.append(len(options))
    cases = "".join(f"{{% when {index} %}}{option}" for index, option in enumerate(options))
    outer.append(f"{{% case {VARIABLE}[{number}] %}}{cases}{{% endcase %}}")


def choose(seed: str, part: str, counts: list[int]) -> list[int]:
    """Which option of each group; the same for the same seed. `part` tells subject, HTML and text apart only by their
    groups: equal texts in two parts are chosen alike."""
    return [
        int.from_bytes(hashlib.sha256(f"{seed}\0{part}\0{number}".encode()).digest()[:8], "big") % count
        for number, count in enumerate(counts)
    ]
