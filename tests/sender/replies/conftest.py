"""A database, a tenant and its domain."""

from __future__ import annotations

from tests.sender.engine.conftest import world

__all__ = ["world"]
