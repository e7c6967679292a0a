"""How a case reports: one line a machine can read, and a table for people."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Result:
    """`ratio` is ours over the reference (higher is better); `floor` must hold, `goal` is what we aim at. A `floor` of
    None means: for information."""

    name: str
    ratio: float
    floor: float | None
    goal: float | None
    ours: str
    reference: str

    @property
    def verdict(self) -> str:
        if self.floor is None:
            return "info"
        return "ok" if self.ratio >= self.floor else "short"

    def line(self) -> str:
        floor = "-" if self.floor is None else f"{self.floor:g}"
        return f"{self.name} ratio={self.ratio:.2f} floor={floor} {self.verdict}"


def median(values: Sequence[float]) -> float:
    return statistics.median(values)


def table(results: Sequence[Result]) -> str:
    rows = [("case", "ratio", "floor", "goal", "", "ours", "reference")]
    for result in results:
        floor = "-" if result.floor is None else f"{result.floor:g}"
        goal = "-" if result.goal is None else f"{result.goal:g}"
        rows.append((result.name, f"{result.ratio:.2f}", floor, goal, result.verdict, result.ours, result.reference))
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )
