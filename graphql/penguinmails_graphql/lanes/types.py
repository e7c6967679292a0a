"""Lanes, and what they did."""

from __future__ import annotations

from enum import StrEnum
from typing import Self

import strawberry
from sqlalchemy.ext.asyncio import AsyncSession
from strawberry.scalars import JSON

from penguinmails_core.kit import ids
from penguinmails_core.kit.ids import Prefix
from penguinmails_core.lanes.service import DecisionView, LaneView
from penguinmails_core.scopes import Scope
from penguinmails_graphql.context import Info, caller_of
from penguinmails_graphql.relay import Connection, Node, connect, page_of, uuid_of
from penguinmails_graphql.scalars import DateTime


@strawberry.enum(description="`SLOWED`: below the policy, and growing back; `PAUSED`: nothing leaves for a while.")
class LaneState(StrEnum):
    OPEN = "open"
    SLOWED = "slowed"
    PAUSED = "paused"


@strawberry.enum(description="What a lane can do; docs/lanes.md.")
class LaneAction(StrEnum):
    SLOW = "slow"
    FEWER = "fewer"
    CRAWL = "crawl"
    PAUSE = "pause"
    PAUSE_DOMAIN = "pause_domain"
    GREW = "grew"
    RECOVERED = "recovered"
    RESUMED = "resumed"
    WARMUP = "warmup"


@strawberry.type(description="What a provider answered to one of your messages.")
class LaneEvidence:
    at: DateTime
    from_domain: str
    recipient_domain: str
    reason: str
    code: int | None
    enhanced_code: str | None
    reply: str


@strawberry.type(description="What a lane did, when, by which rule, on what evidence.")
class LaneDecision:
    id: strawberry.ID
    at: DateTime
    action: LaneAction
    rule: str
    why: str
    until: DateTime | None
    before: JSON
    after: JSON
    evidence: list[LaneEvidence] = strawberry.field(description="Of your own mail only.")

    @classmethod
    def of(cls, view: DecisionView) -> Self:
        row = view.row
        return cls(
            id=strawberry.ID(ids.encode(Prefix.LANE_DECISION, row.id)),
            at=DateTime(row.at),
            action=LaneAction(row.action),
            rule=row.rule,
            why=row.why,
            until=DateTime(row.until) if row.until else None,
            before=JSON(row.before),
            after=JSON(row.after),
            evidence=[
                LaneEvidence(
                    at=DateTime(item.at),
                    from_domain=item.from_domain,
                    recipient_domain=item.recipient_domain,
                    reason=item.reason,
                    code=item.code,
                    enhanced_code=item.enhanced_code,
                    reply=item.reply,
                )
                for item in view.evidence
            ],
        )


@strawberry.type(description="What may leave now, of everybody's mail together; null: no limit.")
class LaneLimits:
    per_second: float | None
    connections: int | None
    daily_cap: int | None
    daily_cap_reason: str | None


@strawberry.type(description="Answers to your own mail since midnight (UTC).")
class LaneToday:
    sent: int
    deferred: int
    bounced: int
    blocked: int
    complained: int


@strawberry.type(description="Your own pause; others' mail goes on.")
class LaneHold:
    held: bool
    since: DateTime | None
    note: str | None


@strawberry.type(description="What goes from one source to one provider.")
class Lane(Node):
    source: str
    provider_group: str
    state: LaneState
    paused_until: DateTime | None
    rule: str | None
    reason: str | None
    limits: LaneLimits
    hold: LaneHold
    today: LaneToday
    created_at: DateTime
    updated_at: DateTime

    @strawberry.field(description="What it did, the newest first.")
    async def decisions(
        self,
        info: Info,
        first: int | None = None,
        after: str | None = None,
        last: int | None = None,
        before: str | None = None,
    ) -> Connection[LaneDecision]:
        caller, page = caller_of(info, Scope.LANES_READ), page_of(first, after, last, before)
        lane_id = uuid_of(Prefix.LANE, self.id, "lane")

        async def work(session: AsyncSession) -> tuple[list[DecisionView], bool]:
            return await info.context.services.lanes.decisions(
                session, caller, lane_id, limit=page.limit, after=page.after, before=page.before
            )

        views, has_more = await info.context.read(work)
        return connect(page, views, has_more, LaneDecision.of, lambda view: view.row.id)

    @classmethod
    def of(cls, view: LaneView) -> Self:
        return cls(
            id=strawberry.ID(ids.encode(Prefix.LANE, view.id)),
            source=view.source,
            provider_group=view.provider_group,
            state=LaneState(view.state),
            paused_until=DateTime(view.paused_until) if view.paused_until else None,
            rule=view.rule,
            reason=view.reason,
            limits=LaneLimits(
                per_second=view.per_second,
                connections=view.connections,
                daily_cap=view.daily_cap,
                daily_cap_reason=view.daily_cap_reason,
            ),
            hold=LaneHold(
                held=view.held_at is not None,
                since=DateTime(view.held_at) if view.held_at else None,
                note=view.held_note,
            ),
            today=LaneToday(**view.today),
            created_at=DateTime(view.created_at),
            updated_at=DateTime(view.updated_at),
        )
