"""How a lane answers to what providers say: slows at once, recovers slowly, stops when it is told to. Pure rules.

Rates fall by half and grow back by a twentieth of the policy's a minute (multiplicative decrease, additive increase);
a pause doubles when the same rule asks for it again within a day, and what comes after it starts at a quarter.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from penguinmails_core.lanes.policies import BackOffRule, LanePolicy
from penguinmails_sender.lanes.state import LaneState

LEAST = 0.01  # of the policy's rate
STEP = 0.05
GROW_EVERY = timedelta(minutes=1)
SLOW_AGAIN = timedelta(seconds=10)  # replies to what had left before are no news
AFTER_PAUSE = 0.25
AGAIN_WITHIN = 86_400.0
_LONGEST = 8  # times the rule's seconds
_MOST_HITS = 200
_MOST_EVIDENCE = 5


@dataclass(frozen=True, slots=True)
class Hit:
    """A reply that a rule counts, and whose mail it answered."""

    rule: BackOffRule
    organization_id: UUID
    from_domain: str
    recipient_domain: str
    reason: str
    code: int | None
    enhanced_code: str | None
    reply: str

    @property
    def words(self) -> str:
        return f"{self.code} {self.reply}" if self.code is not None else self.reply


@dataclass(slots=True)
class Step:
    """What was done. `evidence`: the replies behind it, the last ones."""

    action: str
    rule: str
    why: str
    at: datetime
    until: datetime | None = None
    replies: int = 0
    before: dict[str, Any] = field(default_factory=dict)
    after: dict[str, Any] = field(default_factory=dict)
    evidence: Sequence[Hit] = ()
    from_domain: tuple[UUID, str] | None = None  # whose domain is paused


def limits(state: LaneState, policy: LanePolicy, now: datetime) -> dict[str, Any]:
    """As decisions show them."""
    return {
        "per_second": round(state.rate(policy, now), 4) or None,
        "connections": state.most_connections(policy, now),
        "paused": state.paused(now),
    }


def adapt(state: LaneState, policy: LanePolicy, hits: Sequence[Hit], now: datetime) -> list[Step]:
    """Count the hits and act where a rule is full. Changes `state`; the caller holds its lock."""
    steps: list[Step] = []
    by_rule: dict[str, list[Hit]] = {}
    for hit in hits:
        by_rule.setdefault(hit.rule.id, []).append(hit)
    for found in by_rule.values():
        rule = found[0].rule
        if rule.action == "pause_domain":
            for owner in sorted({(hit.organization_id, hit.from_domain) for hit in found}):
                of = [hit for hit in found if (hit.organization_id, hit.from_domain) == owner]
                name = f"{rule.id} {owner[0]} {owner[1]}"
                if _count(state, name, rule, of, 1, now):
                    steps.append(_step("pause_domain", rule, of, now, _until(state, name, rule, now), owner))
        elif rule.action != "none" and _count(state, rule.id, rule, found, policy.domains, now):
            step = _act(state, policy, rule, found, now)
            if step is not None:
                steps.append(step)
    return steps


def grow(state: LaneState, policy: LanePolicy, now: datetime) -> list[Step]:
    """A minute in which mail left and nobody complained: a step back towards the policy."""
    slowed = state.factor < 1 or state.connections is not None
    stopped = state.paused_until is not None or state.crawl_until is not None  # `reopen` ends these first
    if not slowed or stopped or (state.slowed_at is not None and now - state.slowed_at < GROW_EVERY):
        return []
    before = limits(state, policy, now)
    state.factor = min(1.0, round(state.factor + STEP, 4))
    if state.connections is not None:
        state.connections += 1
        if state.connections >= policy.connections:
            state.connections = None
    state.slowed_at = now
    whole = state.factor >= 1 and state.connections is None
    action, why = (
        ("recovered", "the limits of the policy hold again") if whole else ("grew", "a minute of good answers")
    )
    if whole:
        state.slowed_at = None
    return [Step(action, "recovery", why, now, before=before, after=limits(state, policy, now))]


def reopen(state: LaneState, policy: LanePolicy, now: datetime) -> list[Step]:
    """After a pause or a crawl: a quarter of the rate, and from there it grows."""
    steps = []
    before = limits(state, policy, now)
    if state.paused_until is not None and state.paused_until <= now:
        rule = state.pause_rule or "pause"
        state.paused_until = state.pause_rule = state.pause_reason = None
        if policy.per_second:
            state.factor = min(state.factor, AFTER_PAUSE)
            state.slowed_at = now
        steps.append(Step("resumed", rule, "the pause is over", now, before=before))
    if state.crawl_until is not None and state.crawl_until <= now:
        state.crawl_until = state.crawl_per_second = None
        if policy.per_second:
            state.factor = min(state.factor, AFTER_PAUSE)
            state.slowed_at = now
        steps.append(Step("resumed", "crawl", "the slow time is over", now, before=before))
    for step in steps:
        step.after = limits(state, policy, now)
    return steps


def _act(state: LaneState, policy: LanePolicy, rule: BackOffRule, hits: list[Hit], now: datetime) -> Step | None:
    before = limits(state, policy, now)
    until = None
    match rule.action:
        case "pause":
            if state.paused(now):
                return None
            until = _until(state, rule.id, rule, now)
            state.paused_until, state.pause_rule = until, rule.id
            state.pause_reason = hits[-1].reason
            _begin_low(state, policy)
        case "crawl":
            if state.crawl_until is not None and state.crawl_until > now:
                return None
            until = _until(state, rule.id, rule, now)
            state.crawl_until, state.crawl_per_second = until, rule.per_minute / 60
            _begin_low(state, policy)
            state.tokens = min(state.tokens, 1.0)
        case "slow":
            if not policy.per_second or _just_slowed(state, now):
                return None
            state.factor = max(LEAST, round(state.factor / 2, 4))
            state.tokens = min(state.tokens, 1.0)
            state.slowed_at = now
        case _:  # fewer
            if _just_slowed(state, now):
                return None
            state.connections = max(1, state.most_connections(policy, now) // 2)
            state.slowed_at = now
    step = _step(str(rule.action), rule, hits, now, until)
    step.before, step.after = before, limits(state, policy, now)
    return step


def _begin_low(state: LaneState, policy: LanePolicy) -> None:
    """What comes after a pause starts at a quarter. Said now, since a claim may come before anybody ends the pause."""
    if policy.per_second:
        state.factor = min(state.factor, AFTER_PAUSE)


def _just_slowed(state: LaneState, now: datetime) -> bool:
    return state.slowed_at is not None and now - state.slowed_at < SLOW_AGAIN


def _step(
    action: str,
    rule: BackOffRule,
    hits: list[Hit],
    now: datetime,
    until: datetime | None,
    owner: tuple[UUID, str] | None = None,
) -> Step:
    why = f"{rule.count} such replies within {rule.within} s" if rule.count > 1 else "one such reply is enough"
    return Step(action, rule.id, why, now, until, len(hits), evidence=hits[-_MOST_EVIDENCE:], from_domain=owner)


def _count(state: LaneState, name: str, rule: BackOffRule, hits: Sequence[Hit], domains: int, now: datetime) -> bool:
    """Adds to what was counted; True when the rule is full, and then it starts anew. A lane of many servers acts only
    when `domains` different ones said so."""
    at = now.timestamp()
    kept = [entry for entry in state.hits.get(name, []) if entry[0] > at - rule.within]
    kept += [[at, hit.recipient_domain] for hit in hits]
    full = len(kept) >= rule.count and len({entry[1] for entry in kept}) >= domains
    if full:
        state.hits.pop(name, None)
    else:
        state.hits[name] = kept[-_MOST_HITS:]
    return full


def _until(state: LaneState, name: str, rule: BackOffRule, now: datetime) -> datetime:
    """Twice as long as the last time, when that was less than a day ago."""
    key = f"!{name}"
    at = now.timestamp()
    last, times = state.hits.get(key, (0.0, 1))
    times = min(_LONGEST, times * 2) if last > at - AGAIN_WITHIN else 1
    state.hits[key] = [at, times]
    return now + timedelta(seconds=rule.seconds * times)


def forget_old(state: LaneState, now: datetime) -> None:
    """What no rule can count any more, so that a row stays small."""
    oldest = now.timestamp() - AGAIN_WITHIN
    for name, entries in list(state.hits.items()):
        last = entries[0] if name.startswith("!") else entries[-1][0]
        if last < oldest:
            del state.hits[name]
