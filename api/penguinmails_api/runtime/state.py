"""The file in which a running local stack says where it is."""

from __future__ import annotations

from pathlib import Path


def state_path(root: Path) -> Path:
    return root / "run" / "stack.json"
