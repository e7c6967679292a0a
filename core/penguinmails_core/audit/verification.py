"""Does the audit log still say what was written? Walks the chain of hashes from the anchor to the head."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from penguinmails_core.audit import repository
from penguinmails_core.audit.chain import hash_of
from penguinmails_core.audit.repository import Head
from penguinmails_core.kit.db import Database


@dataclass(frozen=True, slots=True)
class Break:
    """The first place at which the chain does not hold. `entry_id` is None when what should be there is missing."""

    sequence: int
    entry_id: UUID | None
    reason: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """`entries` were checked, up to `sequence` with `hash`: note these two elsewhere, and later runs can be held
    against them. `dropped` is the sequence up to which retention has removed entries."""

    organization_id: UUID
    entries: int
    dropped: int
    sequence: int
    hash: bytes
    broken: Break | None


async def verify(database: Database, organization_id: UUID, *, noted: tuple[int, bytes] | None = None) -> Verdict:
    """`noted` is a (sequence, hash) of an earlier verdict: a chain that was rewritten as a whole differs from it."""
    async with (
        database.worker.acquire() as connection,
        connection.transaction(isolation="repeatable_read", readonly=True),
    ):
        head = await repository.head(connection, organization_id)
        walk = _Walk(organization_id, head or Head(0, b"", 0, b""), noted)
        async for page in repository.pages(connection, organization_id):
            for row in page:
                if walk.step(row) is not None:
                    return walk.verdict()
        return walk.end(known=head is not None)


class _Walk:
    def __init__(self, organization_id: UUID, head: Head, noted: tuple[int, bytes] | None) -> None:
        self._organization_id = organization_id
        self._head = head
        self._noted = noted
        self._sequence = head.anchor_sequence
        self._hash = head.anchor_hash
        self._entries = 0
        self._broken: Break | None = None
        if noted is not None and noted[0] == self._sequence:
            self._compare_noted(None)

    def step(self, row: dict[str, Any]) -> Break | None:
        """Check one entry; returns what is wrong with it."""
        expected, found, entry_id = self._sequence + 1, row["sequence"], row["id"]
        if found < expected:
            self._broken = Break(found, entry_id, "an entry stands before the start of the chain: it was inserted")
        elif found > expected:
            gap = "is" if found == expected + 1 else f"to {found - 1} are"
            self._broken = Break(expected, None, f"entry {expected} {gap} missing: deleted or moved")
        elif row["previous_hash"] != self._hash:
            self._broken = Break(found, entry_id, "the entry does not follow the one before: inserted or moved")
        elif hash_of(row, self._hash) != row["hash"]:
            self._broken = Break(found, entry_id, "the entry was changed after it was written")
        else:
            self._sequence, self._hash = found, row["hash"]
            self._entries += 1
            if self._noted is not None and self._noted[0] == found:
                self._compare_noted(entry_id)
        return self._broken

    def end(self, *, known: bool) -> Verdict:
        head = self._head
        if self._broken is None:
            if not known and self._entries:
                self._broken = Break(1, None, "the head of the chain is missing: it was deleted")
            elif self._sequence < head.sequence:
                self._broken = Break(
                    self._sequence + 1,
                    None,
                    f"entries {self._sequence + 1} to {head.sequence} are missing: the end of the log was cut off",
                )
            elif (self._sequence, self._hash) != (head.sequence, head.hash):
                self._broken = Break(self._sequence, None, "the head of the chain names another entry as the newest")
            elif self._noted is not None and self._noted[0] > self._sequence:
                self._broken = Break(self._noted[0], None, "the noted entry is missing: the log was rewritten")
        return self.verdict()

    def verdict(self) -> Verdict:
        return Verdict(
            self._organization_id,
            self._entries,
            self._head.anchor_sequence,
            self._sequence,
            self._hash,
            self._broken,
        )

    def _compare_noted(self, entry_id: UUID | None) -> None:
        if self._noted is not None and self._noted[1] != self._hash:
            self._broken = Break(
                self._sequence, entry_id, "the hash differs from the one that was noted: the log was rewritten"
            )
