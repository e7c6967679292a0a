"""Whose turn it is: urgent queues first, equals in turn, and nobody left out for ever."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from penguinmails_core.emails.lanes import LaneKey, is_live, key_of, priority

_PATIENCE = 4  # rounds that a queue is passed over before it goes first once


@dataclass(frozen=True, slots=True)
class Queue:
    """Mail of one organization under one name (`emails/lanes.py`)."""

    name: str
    organization_id: UUID

    @property
    def lane(self) -> LaneKey | None:
        """What paces it; nothing paces test mode."""
        return key_of(self.name) if is_live(self.name) else None


class Rotation:
    """An engine with room for few claims serves the head of the order only; `served` tells which queues had a turn."""

    def __init__(self) -> None:
        self._round = 0
        self._served: dict[Queue, int] = {}

    def order(self, queues: Sequence[Queue]) -> list[list[Queue]]:
        """The queues of a new round, equals together. A queue's rank is its priority, then how long ago it had its
        turn; the one that has waited longest beyond its patience goes before all others."""
        self._round += 1
        self._served = {queue: self._served.get(queue, self._round - 1) for queue in queues}
        ranks: dict[int, list[Queue]] = {}
        priorities: dict[str, int] = {}
        for queue in queues:
            rank = priorities.get(queue.name)
            if rank is None:
                rank = priorities[queue.name] = priority(queue.name)
            ranks.setdefault(rank, []).append(queue)
        ordered = [sorted(ranks[rank], key=self._served.__getitem__) for rank in sorted(ranks)]
        if len(ordered) > 1:
            patient = min((group[0] for group in ordered), key=self._served.__getitem__)
            if self._round - self._served[patient] > _PATIENCE:
                for group in ordered:
                    if group[0] == patient:
                        group.remove(patient)
                ordered.insert(0, [patient])
        return [group for group in ordered if group]

    def served(self, queue: Queue) -> None:
        self._served[queue] = self._round
