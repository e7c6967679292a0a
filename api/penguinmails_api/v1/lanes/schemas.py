"""Sending lanes as the API shows them."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Self
from uuid import UUID

from pydantic import AfterValidator, Field

from penguinmails_api.v1.common import Page, RequestBody, Resource, Timestamp, from_path, typeid
from penguinmails_api.v1.paging import PageQuery, next_cursor
from penguinmails_core.kit import ids
from penguinmails_core.kit.ids import Prefix
from penguinmails_core.lanes.service import MAX_NOTE, DecisionView, LaneView
from penguinmails_core.models import LaneEvidence as EvidenceRow

LaneIdInPath = Annotated[UUID, from_path(Prefix.LANE, "lane"), typeid(Prefix.LANE)]


class LaneState(StrEnum):
    """`slowed`: below what the policy allows, and growing back; `paused`: nothing leaves until `paused_until`."""

    OPEN = "open"
    SLOWED = "slowed"
    PAUSED = "paused"


class LaneAction(StrEnum):
    """`slow`: half the rate; `fewer`: half the connections; `crawl`: a few a minute on one connection; `pause`: nothing
    leaves; `pause_domain`: nothing leaves in the name of your domain; `grew`, `recovered`, `resumed`: back towards the
    policy. `warmup`: the daily cap has changed."""

    SLOW = "slow"
    FEWER = "fewer"
    CRAWL = "crawl"
    PAUSE = "pause"
    PAUSE_DOMAIN = "pause_domain"
    GREW = "grew"
    RECOVERED = "recovered"
    RESUMED = "resumed"
    WARMUP = "warmup"


def _without_nul(value: str) -> str:
    if "\0" in value:
        raise ValueError("remove U+0000 NUL")
    return value


class LaneListQuery(PageQuery):
    pass


class LanePause(RequestBody):
    """Why your mail is held back."""

    note: Annotated[str, AfterValidator(_without_nul)] | None = Field(
        None, max_length=MAX_NOTE, description="For people.", examples=["Waiting for the new landing page"]
    )


class LaneLimits(Resource):
    """What may leave now, of everybody's mail together."""

    per_second: float | None = Field(description="Messages a second; null: no limit.", examples=[100])
    connections: int | None = Field(description="SMTP connections at once; null: no limit.", examples=[5])
    daily_cap: int | None = Field(description="Messages a day (UTC), while the source is warmed up; else null.")
    daily_cap_reason: str | None = Field(description="Which step of which schedule.")


class LaneToday(Resource):
    """Answers to your own mail since midnight (UTC)."""

    sent: int = Field(description="Accepted by the provider.")
    deferred: int = Field(description="To be tried again.")
    bounced: int = Field(description="Refused for good.")
    blocked: int = Field(description="Of the deferred and bounced: for rate, reputation or authentication.")
    complained: int = Field(description="Reported as spam.")


class LaneHold(Resource):
    """Your own pause; others' mail goes on."""

    held: bool
    since: Timestamp | None
    note: str | None


class Lane(Resource):
    """What goes from one source to one provider."""

    untagged: ClassVar[frozenset[str]] = frozenset({"today"})

    id: Annotated[str, typeid(Prefix.LANE)]
    source: str = Field(description="Mailbox or IP pool that it leaves from.", examples=["default"])
    provider_group: str = Field(description="Who receives it, by the recipient's MX.", examples=["google"])
    state: LaneState
    paused_until: Timestamp | None = Field(description="When a paused lane goes on by itself.")
    rule: str | None = Field(description="Which rule paused it.", examples=["microsoft.block_list"])
    reason: str | None = Field(description="What the provider said, as bounces name it.", examples=["blocked"])
    limits: LaneLimits
    hold: LaneHold
    today: LaneToday
    created_at: Timestamp
    updated_at: Timestamp

    @classmethod
    def of(cls, view: LaneView) -> Self:
        return cls(
            id=ids.encode(Prefix.LANE, view.id),
            source=view.source,
            provider_group=view.provider_group,
            state=LaneState(view.state),
            paused_until=view.paused_until,
            rule=view.rule,
            reason=view.reason,
            limits=LaneLimits(
                per_second=view.per_second,
                connections=view.connections,
                daily_cap=view.daily_cap,
                daily_cap_reason=view.daily_cap_reason,
            ),
            hold=LaneHold(held=view.held_at is not None, since=view.held_at, note=view.held_note),
            today=LaneToday(**view.today),
            created_at=view.created_at,
            updated_at=view.updated_at,
        )


class LaneList(Page[Lane]):
    @classmethod
    def of(cls, views: Sequence[LaneView], has_more: bool, *, backwards: bool) -> Self:
        cursor = next_cursor([view.id for view in views], has_more, backwards=backwards)
        return cls(data=[Lane.of(view) for view in views], has_more=has_more, next_cursor=cursor)


class LaneEvidence(Resource):
    """What a provider answered to one of your messages."""

    at: Timestamp
    from_domain: str = Field(examples=["acme.com"])
    recipient_domain: str = Field(examples=["outlook.com"])
    reason: str = Field(description="As bounces name it.", examples=["blocked"])
    code: int | None = Field(description="SMTP status code.", examples=[550])
    enhanced_code: str | None = Field(description="Enhanced status code (RFC 3463).", examples=["5.7.1"])
    reply: str = Field(description="The provider's words.", examples=["part of their network is on our block list"])

    @classmethod
    def of(cls, row: EvidenceRow) -> Self:
        return cls(**{name: getattr(row, name) for name in cls.model_fields})


class LaneDecision(Resource):
    """What a lane did, when, by which rule, on what evidence."""

    id: Annotated[str, typeid(Prefix.LANE_DECISION)]
    at: Timestamp
    action: LaneAction
    rule: str = Field(description="Id of the rule; docs/lanes.md.", examples=["microsoft.block_list"])
    why: str = Field(examples=["one such reply is enough"])
    until: Timestamp | None = Field(description="When it ends by itself.")
    before: dict[str, Any] = Field(description="The lane's limits before.", examples=[{"per_second": 100}])
    after: dict[str, Any] = Field(description="And after.", examples=[{"per_second": 50}])
    evidence: list[LaneEvidence] = Field(
        description="The last replies to your own mail that counted; empty when it was mail of others."
    )

    @classmethod
    def of(cls, view: DecisionView) -> Self:
        row = view.row
        return cls(
            id=ids.encode(Prefix.LANE_DECISION, row.id),
            at=row.at,
            action=LaneAction(row.action),
            rule=row.rule,
            why=row.why,
            until=row.until,
            before=row.before,
            after=row.after,
            evidence=[LaneEvidence.of(item) for item in view.evidence],
        )


class LaneDecisionList(Page[LaneDecision]):
    @classmethod
    def of(cls, views: Sequence[DecisionView], has_more: bool, *, backwards: bool) -> Self:
        cursor = next_cursor([view.row.id for view in views], has_more, backwards=backwards)
        return cls(data=[LaneDecision.of(view) for view in views], has_more=has_more, next_cursor=cursor)
