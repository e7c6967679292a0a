"""Enums that several features show."""

from __future__ import annotations

from enum import StrEnum

import strawberry

from penguinmails_core.principal import PrincipalKind

strawberry.enum(PrincipalKind, description="What the caller showed.")


@strawberry.enum(description="Two worlds that never meet.")
class Mode(StrEnum):
    LIVE = "live"
    TEST = "test"


__all__ = ["Mode", "PrincipalKind"]
