"""An engine whose mail goes out through mailboxes."""

from __future__ import annotations

from tests.sender.engine.conftest import world

__all__ = ["world"]
