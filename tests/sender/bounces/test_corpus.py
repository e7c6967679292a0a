"""The labelled corpus: how many mails are read right, and how often "this person cannot be reached" is true."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from penguinmails_sender.bounces import Finding, classify

CORPUS = Path(__file__).resolve().parents[3].parent / "shared" / "corpora" / "bounces"
KINDS = {"feedback": "feedback", "vacation": "vacation", "delivered": "delivered"}
pytestmark = pytest.mark.skipif(
    not CORPUS.exists(), reason="the bounce corpus is not beside the repository (../shared/corpora/bounces)"
)


def _agrees(found: Sequence[Finding], expected: Sequence[dict[str, Any]]) -> bool:
    """Recipients, category and status. Codes such as 5.0.911 are the labels' own, for mails that say none: of those
    only the class can be known."""
    if len(found) != len(expected):
        return False
    mine = sorted((one.dsn, one.hard, str(one.kind)) for one in found)
    for (dsn, hard, kind), label in zip(mine, sorted(expected, key=lambda one: (one["dsn"], one["hard"])), strict=True):
        same = dsn[:1] == label["dsn"][:1] if label["dsn"][1:5] == ".0.9" else dsn == label["dsn"]
        if (hard, kind) != (label["hard"], KINDS.get(label["reason"], "bounce")):
            return False
        if kind == "bounce" and not same:
            return False
    return True


def test_the_corpus() -> None:
    labels = [json.loads(line) for line in (CORPUS / "labels.jsonl").read_text().splitlines()]
    right = hard = wrong = 0
    for label in labels:
        found = classify((CORPUS / "eml" / label["file"]).read_bytes())
        right += _agrees(found, label["expect"])
        claimed = sum(one.hard for one in found)
        true = sum(one["hard"] for one in label["expect"])
        hard += claimed
        wrong += max(0, claimed - true)
    assert right / len(labels) >= 0.90, f"right {right} of {len(labels)}"
    assert 1 - wrong / hard >= 0.98, f"hard {hard}, of these wrong {wrong}"
