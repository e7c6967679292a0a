"""Whose turn it is: urgent lanes first, equals in turn, and nobody left out for ever."""

from __future__ import annotations

from collections.abc import Sequence

from penguinmails_core.emails.lanes import priority

_PATIENCE = 4  # rounds that a lane is passed over before it goes first once


class Rotation:
    """An engine with room for few claims serves the head of the order only; `served` tells which lanes had a turn."""

    def __init__(self) -> None:
        self._round = 0
        self._served: dict[str, int] = {}

    def order(self, lanes: Sequence[str]) -> list[str]:
        """The lanes of a new round. A lane's rank is its priority, then how long ago it had its turn; the one lane that
        has waited longest beyond its patience goes before all others."""
        self._round += 1
        self._served = {lane: self._served.get(lane, self._round - 1) for lane in lanes}
        ordered = sorted(lanes, key=lambda lane: (priority(lane), self._served[lane]))
        if ordered:
            patient = min(ordered, key=self._served.__getitem__)
            if self._round - self._served[patient] > _PATIENCE:
                ordered.remove(patient)
                ordered.insert(0, patient)
        return ordered

    def served(self, lane: str) -> None:
        self._served[lane] = self._round
