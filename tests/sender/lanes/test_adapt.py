"""The rules of slowing, growing, pausing: pure, with a clock of their own."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import pytest

from penguinmails_core.emails.lanes import LaneKey
from penguinmails_core.lanes.policies import BackOffRule, LanePolicy, shipped
from penguinmails_sender.lanes.adapt import AFTER_PAUSE, LEAST, Hit, adapt, forget_old, grow, limits, reopen
from penguinmails_sender.lanes.state import LaneState

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
OWNER, OTHER = UUID(int=1), UUID(int=2)
POLICY = LanePolicy("google", 5, 50, 100, "required", 1, "test", date(2026, 11, 25))
MANY = LanePolicy("other", 200, 100, 0, "opportunistic", 3, "test", date(2026, 11, 25))


def lane() -> LaneState:
    return LaneState(UUID(int=9), LaneKey("default", "google"), tokens_at=NOW)


def hit(rule: str | BackOffRule, domain: str = "gmail.com", owner: UUID = OWNER, sender: str = "acme.test") -> Hit:
    found = rule if isinstance(rule, BackOffRule) else next(r for r in shipped().rules if r.id == rule)
    return Hit(found, owner, sender, domain, "rate_limited", 421, "4.7.0", "slow down please")


def test_a_rate_reply_halves_the_rate_and_a_burst_of_them_counts_once() -> None:
    state = lane()
    [step] = adapt(state, POLICY, [hit("rate")] * 40, NOW)
    assert (step.action, step.replies, state.rate(POLICY, NOW)) == ("slow", 40, 50)
    assert (step.before["per_second"], step.after["per_second"]) == (100, 50)
    assert step.evidence[0].words == "421 slow down please"
    assert adapt(state, POLICY, [hit("rate")], NOW + timedelta(seconds=5)) == []
    later = NOW + timedelta(seconds=11)
    adapt(state, POLICY, [hit("rate")], later)
    assert state.rate(POLICY, later) == 25


def test_it_never_slows_to_nothing() -> None:
    state = lane()
    for n in range(20):
        adapt(state, POLICY, [hit("rate")], NOW + timedelta(minutes=n))
    assert state.factor == LEAST


def test_it_grows_back_a_twentieth_a_minute_and_says_when_it_is_there() -> None:
    state = lane()
    adapt(state, POLICY, [hit("rate")], NOW)
    assert grow(state, POLICY, NOW + timedelta(seconds=59)) == []
    actions = [step.action for minute in range(1, 15) for step in grow(state, POLICY, NOW + timedelta(minutes=minute))]
    assert actions == ["grew"] * 9 + ["recovered"]
    assert state.rate(POLICY, NOW) == 100


def test_too_many_connections_halves_connections_not_the_rate() -> None:
    state = lane()
    [step] = adapt(state, POLICY, [hit("connections")], NOW)
    assert (step.action, state.most_connections(POLICY, NOW), state.factor) == ("fewer", 2, 1)
    for minute in range(1, 4):
        grow(state, POLICY, NOW + timedelta(minutes=minute))
    assert state.most_connections(POLICY, NOW) == 5


def test_a_rule_waits_for_its_count_within_its_time() -> None:
    state = lane()
    assert adapt(state, POLICY, [hit("yahoo.tss04")], NOW) == []
    assert adapt(state, POLICY, [hit("yahoo.tss04")], NOW + timedelta(minutes=61)) == []  # the first is too old
    [step] = adapt(state, POLICY, [hit("yahoo.tss04")], NOW + timedelta(minutes=62))
    assert (step.action, step.until) == ("pause", NOW + timedelta(minutes=62, seconds=7200))
    assert state.paused(NOW + timedelta(minutes=63))
    assert state.pause_rule == "yahoo.tss04"


def test_a_pause_ends_with_a_quarter_and_doubles_when_it_comes_again() -> None:
    state = lane()
    [first] = adapt(state, POLICY, [hit("microsoft.block_list")], NOW)
    assert first.until is not None
    [over] = reopen(state, POLICY, first.until)
    assert (over.action, state.factor, state.paused_until) == ("resumed", AFTER_PAUSE, None)
    [second] = adapt(state, POLICY, [hit("microsoft.block_list")], first.until)
    assert second.until is not None
    assert second.until - first.until == 2 * (first.until - NOW)
    assert adapt(state, POLICY, [hit("microsoft.block_list")], first.until) == []  # it is paused


def test_a_crawl_is_one_connection_and_so_many_a_minute() -> None:
    state = lane()
    [step] = adapt(state, POLICY, [hit("google.unusual_rate")] * 2, NOW)
    assert step.action == "crawl"
    assert state.rate(POLICY, NOW) == pytest.approx(10 / 60)
    assert state.most_connections(POLICY, NOW) == 1
    assert step.until is not None
    [over] = reopen(state, POLICY, step.until)
    assert (over.action, state.rate(POLICY, step.until)) == ("resumed", 25)


def test_a_lane_of_many_servers_acts_only_when_several_of_them_complain() -> None:
    state = lane()
    assert adapt(state, MANY, [hit("blocked", "one.example")] * 50, NOW) == []
    assert adapt(state, MANY, [hit("blocked", "two.example")], NOW) == []
    [step] = adapt(state, MANY, [hit("blocked", "three.example")], NOW)
    assert step.action == "pause"
    assert adapt(state, MANY, [hit("rate", "one.example")], NOW) == []  # and it has no rate to slow


def test_authentication_pauses_the_senders_domain_and_not_the_lane() -> None:
    state = lane()
    hits = [hit("authentication")] * 3 + [hit("authentication", owner=OTHER, sender="other.test")] * 2
    [step] = adapt(state, POLICY, hits, NOW)
    assert (step.action, step.from_domain) == ("pause_domain", (OWNER, "acme.test"))
    assert not state.paused(NOW)
    assert {item.organization_id for item in step.evidence} == {OWNER}
    assert limits(state, POLICY, NOW)["per_second"] == 100


def test_what_cannot_count_any_more_is_forgotten() -> None:
    state = lane()
    adapt(state, POLICY, [hit("yahoo.tss04"), hit("microsoft.block_list")], NOW)
    assert len(state.hits) == 2
    forget_old(state, NOW + timedelta(hours=23))
    assert len(state.hits) == 2
    forget_old(state, NOW + timedelta(hours=25))
    assert state.hits == {}


# ---------------------------------------------------------------------- the bucket


def test_the_bucket_holds_a_second_and_fills_smoothly() -> None:
    state = lane()
    state.refill(POLICY, NOW + timedelta(hours=1))
    assert state.grant(POLICY, NOW, 1000, urgent=True) == 100
    now = NOW + timedelta(hours=1)
    state.take(POLICY, now, 100)
    assert state.grant(POLICY, now, 1000, urgent=True) == 0
    assert state.opens_in(POLICY, now) == pytest.approx(0.1)  # ten at a time, not a hundred each second
    now += timedelta(milliseconds=300)
    state.refill(POLICY, now)
    assert state.grant(POLICY, now, 1000, urgent=True) == 30


def test_a_slow_lane_sends_one_by_one() -> None:
    state = lane()
    state.crawl_until, state.crawl_per_second = NOW + timedelta(hours=1), 10 / 60
    state.refill(POLICY, NOW + timedelta(minutes=10))
    assert state.grant(POLICY, NOW, 50, urgent=True) == 1
    state.take(POLICY, NOW, 1)
    assert state.opens_in(POLICY, NOW + timedelta(minutes=10)) == pytest.approx(6)


def test_a_daily_cap_keeps_a_tenth_for_urgent_mail_and_opens_at_midnight() -> None:
    state = lane()
    state.daily_cap = 20
    assert state.grant(MANY, NOW, 50, urgent=False) == 18
    state.take(MANY, NOW, 18)
    assert state.grant(MANY, NOW, 50, urgent=False) == 0
    assert state.grant(MANY, NOW, 50, urgent=True) == 2
    state.take(MANY, NOW, 2)
    assert state.opens_in(MANY, NOW) == pytest.approx(12 * 3600)
    assert state.grant(MANY, NOW + timedelta(hours=12), 50, urgent=True) == 20


def test_a_paused_lane_grants_nothing_until_it_ends() -> None:
    state = lane()
    state.paused_until = NOW + timedelta(minutes=2)
    assert state.grant(MANY, NOW, 5, urgent=True) == 0
    assert state.opens_in(MANY, NOW) == pytest.approx(120)
    assert state.grant(MANY, NOW + timedelta(minutes=2), 5, urgent=True) == 5
