"""What passes between the parts of the delivery engine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

Key = tuple[UUID, UUID]
"""An endpoint: (organization id, endpoint id)."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One claimed delivery. `number` counts its attempts from 1; `event` is the row to render, None when the log does
    not keep it any more. `request`: what the endpoint wants of its requests, see `request.Opener`.
    `failed_too_long`: the endpoint has been failing for longer than is put up with. `gated`: the endpoint has limits,
    or is being tried. `delay`: seconds to wait for its slot."""

    key: Key
    id: UUID
    event_id: UUID
    event_type: str
    number: int
    url: str
    secret: bytes
    request: str | None
    failed_too_long: bool
    event: Mapping[str, Any] | None
    fifo_key: str | None = None
    gated: bool = False
    delay: float = 0.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one attempt ended. `status`: the delivery's (`pending` with `wait` seconds until the next attempt).
    `unwell`: it speaks against the endpoint. `given_up`: its attempts are used up. `disable`: why the endpoint is to be
    disabled, if it is."""

    delivery: Delivery
    attempt_id: UUID
    started_at: datetime
    duration_ms: int
    status_code: int | None
    error: str | None
    response_body: str | None
    status: str
    wait: float | None
    unwell: bool
    given_up: bool
    disable: str | None
    detail: str | None = None  # JSON

    def bare(self) -> Outcome:
        """Without anything that a receiver said: for when the database refuses to store it."""
        return replace(
            self, response_body=None, detail=None, error=self.error and self.error.partition(":")[0], status_code=None
        )
