"""What a lane may do now: pure arithmetic over its row and its policy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

import orjson

from penguinmails_core.emails.lanes import LaneKey
from penguinmails_core.lanes import limits
from penguinmails_core.lanes.policies import LanePolicy

BURST = 1.0  # seconds of the rate that may leave at once; at least one message
RESERVE = 0.1  # share of a daily cap that only transactional mail and replies may take


@dataclass(slots=True)
class LaneState:
    """`tokens` as of `tokens_at`; `factor` of the policy's rate that is in force."""

    id: UUID
    key: LaneKey
    paused_until: datetime | None = None
    pause_rule: str | None = None
    pause_reason: str | None = None
    factor: float = 1.0
    connections: int | None = None
    crawl_until: datetime | None = None
    crawl_per_second: float | None = None
    slowed_at: datetime | None = None
    tokens: float = 0.0
    tokens_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    day: date | None = None
    sent_today: int = 0
    daily_cap: int | None = None
    cap_reason: str | None = None
    hits: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> LaneState:
        """From a row of `lanes`."""
        hits = row["hits"]
        return cls(
            id=row["id"],
            key=LaneKey(row["source"], row["provider_group"]),
            hits=orjson.loads(hits) if isinstance(hits, str) else dict(hits),
            **{
                name: row[name]
                for name in (
                    "paused_until",
                    "pause_rule",
                    "pause_reason",
                    "factor",
                    "connections",
                    "crawl_until",
                    "crawl_per_second",
                    "slowed_at",
                    "tokens",
                    "tokens_at",
                    "day",
                    "sent_today",
                    "daily_cap",
                    "cap_reason",
                )
            },
        )

    def paused(self, now: datetime) -> bool:
        return self.paused_until is not None and self.paused_until > now

    def rate(self, policy: LanePolicy, now: datetime) -> float:
        """Messages a second; 0 is no limit."""
        return limits.rate(self, policy, now)

    def most_connections(self, policy: LanePolicy, now: datetime) -> int:
        """At once, over all processes."""
        return limits.most_connections(self, policy, now)

    def limited(self, policy: LanePolicy, now: datetime) -> bool:
        """Whether taking from it must be counted."""
        return self.rate(policy, now) > 0 or self.daily_cap is not None

    def left_today(self, now: datetime, *, urgent: bool) -> int | None:
        """Of the daily cap; None: there is none. Days are UTC's."""
        if self.daily_cap is None:
            return None
        used = self.sent_today if self.day == now.astimezone(UTC).date() else 0
        cap = self.daily_cap if urgent else self.daily_cap - int(self.daily_cap * RESERVE)
        return max(0, cap - used)

    def refill(self, policy: LanePolicy, now: datetime) -> None:
        """Bring the bucket up to `now`."""
        rate = self.rate(policy, now)
        elapsed = max(0.0, (now - self.tokens_at).total_seconds())
        self.tokens = min(max(1.0, rate * BURST), self.tokens + rate * elapsed) if rate else 0.0
        self.tokens_at = now

    def grant(self, policy: LanePolicy, now: datetime, wanted: int, *, urgent: bool) -> int:
        """How many of `wanted` may leave now. Takes nothing; call `refill` first."""
        if self.paused(now):
            return 0
        if self.rate(policy, now):
            wanted = min(wanted, int(self.tokens + 1e-9))
        left = self.left_today(now, urgent=urgent)
        return max(0, wanted if left is None else min(wanted, left))

    def take(self, policy: LanePolicy, now: datetime, count: int) -> None:
        if self.rate(policy, now):
            self.tokens -= count
        today = now.astimezone(UTC).date()
        self.sent_today = (self.sent_today if self.day == today else 0) + count
        self.day = today

    def opens_in(self, policy: LanePolicy, now: datetime) -> float:
        """Seconds until at least one message may leave: 0 is now. A spent daily cap opens at midnight (UTC)."""
        wait = 0.0
        if self.paused(now):
            assert self.paused_until is not None
            wait = (self.paused_until - now).total_seconds()
        rate = self.rate(policy, now)
        if rate:
            have = self.tokens + rate * max(0.0, (now - self.tokens_at).total_seconds())
            # A tenth of a second's worth at a time: smooth, and no claim for every single message.
            need = max(1.0, min(rate * 0.1, rate * BURST))
            wait = max(wait, 0.0 if have + 1e-9 >= need else (need - have) / rate)
        if self.left_today(now, urgent=True) == 0:
            wait = max(wait, 86_400.0 - (now.astimezone(UTC).timestamp() % 86_400.0))
        return wait
