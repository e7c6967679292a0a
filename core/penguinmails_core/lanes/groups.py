"""From the host of a domain's best MX to its provider group, as `data/mx.toml` says."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from datetime import date
from functools import cache
from importlib.resources import files

from penguinmails_core.kit.providers import OTHER


@dataclass(frozen=True, slots=True)
class MxRow:
    """A host that is `suffix`, or ends in it after a dot, belongs to `group`."""

    suffix: str
    group: str
    source: str
    checked: date


@cache
def mx_rows() -> dict[str, MxRow]:
    text = files("penguinmails_core.lanes").joinpath("data/mx.toml").read_text()
    return {row["suffix"]: MxRow(**row) for row in tomllib.loads(text)["mx"]}


def group_of_host(host: str) -> str:
    """Of a host in lower case without a final dot: the longest suffix decides, `other` when there is none."""
    rows = mx_rows()
    rest = host
    while rest:
        row = rows.get(rest)
        if row is not None:
            return row.group
        rest = rest.partition(".")[2]
    return OTHER
