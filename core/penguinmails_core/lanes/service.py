"""Lanes as an organization sees them: their state, its own mail in them, what they did and why; and its own pause.

A lane is shared by everybody who sends from its source. An organization sees a lane once it has mail in it: how fast
it may go and what it did, but of counters and of providers' words only its own. What it pauses is its own mail.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from penguinmails_core.audit import service as audit
from penguinmails_core.audit.actor import Resource
from penguinmails_core.errors import NotFound
from penguinmails_core.kit.clock import utcnow
from penguinmails_core.kit.ids import Prefix
from penguinmails_core.kit.pages import cut
from penguinmails_core.lanes import limits
from penguinmails_core.lanes import views_repository as repository
from penguinmails_core.lanes.policies import Policies
from penguinmails_core.models import LaneDecision, LaneEvidence
from penguinmails_core.principal import Principal

MAX_NOTE = 500
_NOTHING = {"sent": 0, "deferred": 0, "bounced": 0, "blocked": 0, "complained": 0}


@dataclass(frozen=True, slots=True)
class LaneView:
    """`per_second` None: no limit. `today`: answers to the organization's own mail since midnight (UTC)."""

    id: UUID
    source: str
    provider_group: str
    state: str
    paused_until: datetime | None
    rule: str | None
    reason: str | None
    per_second: float | None
    connections: int | None
    daily_cap: int | None
    daily_cap_reason: str | None
    held_at: datetime | None
    held_note: str | None
    today: dict[str, int]
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class DecisionView:
    row: LaneDecision
    evidence: Sequence[LaneEvidence] = field(default=())


def _sees(principal: Principal) -> bool:
    """Test mode has no lanes. A lane carries mail of all workspaces, and its counters are of all of them: a credential
    that is bound to one has no part in it."""
    return principal.mode == "live" and principal.workspace_id is None


@dataclass(frozen=True, slots=True)
class Lanes:
    """`paced` False: the server keeps its mail (capture), so no rates and connections are kept to."""

    policies: Policies
    paced: bool

    async def list_lanes(
        self,
        session: AsyncSession,
        principal: Principal,
        *,
        limit: int,
        after: UUID | None = None,
        before: UUID | None = None,
    ) -> tuple[list[LaneView], bool]:
        """A page, the newest first, and whether there is more in the direction of travel; `_sees` says for whom."""
        if not _sees(principal):
            return [], False
        found = await repository.list_lanes(session, principal, limit=limit + 1, after=after, before=before)
        rows, has_more = cut(found, limit, backwards=before is not None)
        return [self._view(row) for row in rows], has_more

    async def get(self, session: AsyncSession, principal: Principal, lane_id: UUID) -> LaneView:
        """Raises `NotFound`, also for a lane that the organization has no mail in."""
        row = await repository.get_lane(session, principal, lane_id) if _sees(principal) else None
        if row is None:
            raise NotFound("There is no such lane.")
        return self._view(row)

    async def decisions(
        self,
        session: AsyncSession,
        principal: Principal,
        lane_id: UUID,
        *,
        limit: int,
        after: UUID | None = None,
        before: UUID | None = None,
    ) -> tuple[list[DecisionView], bool]:
        """As `list_lanes`, of what the lane did. Raises `NotFound`."""
        await self.get(session, principal, lane_id)
        found = await repository.list_decisions(session, lane_id, limit=limit + 1, after=after, before=before)
        rows, has_more = cut(found, limit, backwards=before is not None)
        words: dict[UUID, list[LaneEvidence]] = {}
        for item in await repository.evidence(session, principal, [row.id for row in rows]):
            words.setdefault(item.decision_id, []).append(item)
        return [DecisionView(row, words.get(row.id, ())) for row in rows], has_more

    async def pause(self, session: AsyncSession, principal: Principal, lane_id: UUID, note: str | None) -> LaneView:
        """Hold the organization's own mail back. Pausing what is paused changes the note. Raises `NotFound`."""
        return await self._set(session, principal, lane_id, True, note)

    async def resume(self, session: AsyncSession, principal: Principal, lane_id: UUID) -> LaneView:
        """Let it go on; harmless when it is not paused. Raises as `pause`."""
        return await self._set(session, principal, lane_id, False, None)

    async def _set(
        self, session: AsyncSession, principal: Principal, lane_id: UUID, paused: bool, note: str | None
    ) -> LaneView:
        await self.get(session, principal, lane_id)
        member = await repository.lock_member(session, principal, lane_id)
        assert member is not None  # it was seen through this row
        before = {"paused": member.paused_at is not None, "note": member.pause_note}
        after = {"paused": paused, "note": note if paused else None}
        await repository.set_pause(session, principal, lane_id, paused, note)
        if before != after:
            action = "lane.paused" if paused else "lane.resumed"
            await audit.record(session, principal, action, Resource(Prefix.LANE, lane_id), before, after)
        return await self.get(session, principal, lane_id)

    def _view(self, row: Any) -> LaneView:
        policy, now = self.policies.of(row.provider_group), utcnow()
        paused = row.paused_until is not None and row.paused_until > now
        slowed = row.factor < 1 or row.connections is not None or limits.crawls(row, now)
        rate = limits.rate(row, policy, now) if self.paced or limits.crawls(row, now) else 0
        day = row.LaneDay
        return LaneView(
            id=row.id,
            source=row.source,
            provider_group=row.provider_group,
            state="paused" if paused else "slowed" if slowed else "open",
            paused_until=row.paused_until if paused else None,
            rule=row.pause_rule if paused else None,
            reason=row.pause_reason if paused else None,
            per_second=round(rate, 4) or None,
            connections=limits.most_connections(row, policy, now) if self.paced else None,
            daily_cap=row.daily_cap,
            daily_cap_reason=row.cap_reason,
            held_at=row.paused_at,
            held_note=row.pause_note,
            today=dict(_NOTHING) if day is None else {name: getattr(day, name) for name in _NOTHING},
            created_at=row.created_at,
            updated_at=row.updated_at,
        )
