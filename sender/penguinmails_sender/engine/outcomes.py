"""What a reply means: for the recipient, for the next attempt, for the suppression list. Pure rules, no I/O."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from penguinmails_core.emails.payload import data_of_joined
from penguinmails_core.events.types import EventType
from penguinmails_core.kit.clock import rfc3339
from penguinmails_core.models.email import RecipientStatus
from penguinmails_sender.bounces import Finding, Scope
from penguinmails_sender.bounces.findings import Said
from penguinmails_sender.bounces.judge import judge
from penguinmails_sender.smtp import Outcome, RecipientResult

LONGEST_WAIT = timedelta(hours=4)
OUTCOME_UNKNOWN = "outcome_unknown"
# Only what says "this person cannot be reached" suppresses a person (RFC 3463 §3.2, §3.3). Policy, authentication and
# reputation (5.7.x), size and content are about us or about the message, and so are words that say as much beside one
# of these codes.
_GONE = frozenset({"5.1.1", "5.1.2", "5.1.3", "5.1.6", "5.1.10", "5.2.1", "5.7.17", "5.7.18"})
_PERSON = frozenset({Scope.RECIPIENT, Scope.MAILBOX})


@dataclass(slots=True)
class Job:
    """One claimed recipient. `row` is what the claim returned."""

    row: Any
    attempt_id: Any
    deadline: float = 0.0  # monotonic; the lease is ours until then


@dataclass(slots=True)
class Decision:
    """What to write. `wait` is seconds until the next attempt, None for none. `events` are (type, data) in order."""

    job: Job
    outcome: str
    status: RecipientStatus
    result: RecipientResult
    reason: str | None = None
    wait: float | None = None
    events: list[tuple[EventType, dict[str, Any]]] = field(default_factory=list)
    suppress: str | None = None


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """`base` doubles with each attempt up to `LONGEST_WAIT`, with a fifth of jitter so that a lane does not march."""

    base: timedelta

    def wait(self, attempt: int, rng: random.Random) -> float:
        seconds: float = min(self.base.total_seconds() * 2.0 ** min(attempt - 1, 30), LONGEST_WAIT.total_seconds())
        return seconds * rng.uniform(0.8, 1.2)


def unsaid(job: Job, outcome: Outcome, reply: str = "") -> RecipientResult:
    """A result that no server had a part in."""
    return RecipientResult(job.row["address"], outcome, None, None, reply, "")


def cause(result: RecipientResult) -> Finding:
    """Why a server refused, by the same rules that bounces are read by."""
    diagnostic = f"{result.code} {result.reply}" if result.code is not None else result.reply
    action = "failed" if result.outcome is Outcome.BOUNCED else "delayed"
    return judge(Said(result.address, diagnostic, result.enhanced_code or "", action, command=result.command))


def decide(
    job: Job, result: RecipientResult, *, final: bool, policy: RetryPolicy, now: datetime, rng: random.Random
) -> Decision:
    """The consequences of one answer. `final` is the transport's: whether a 250 means delivered."""
    data = data_of_joined(job.row)
    data["attempt"] = job.row["number"]
    data["smtp"] = {
        "code": result.code,
        "enhanced_code": result.enhanced_code,
        "reply": result.reply,
        "remote_host": result.remote_host or None,
        "tls_version": result.tls_version,
        "tls_source": result.tls_source,
    }
    match result.outcome:
        case Outcome.DELIVERED:
            return _taken(job, result, data, final)
        case Outcome.BOUNCED:
            return _refused(job, result, data)
        case Outcome.AMBIGUOUS if job.row["message_class"] == "campaign":
            return give_up(job, OUTCOME_UNKNOWN, result, data, outcome="ambiguous")
        case _:
            return _again(job, result, data, policy, now, rng)


def _taken(job: Job, result: RecipientResult, data: dict[str, Any], final: bool) -> Decision:
    events = [(EventType.EMAIL_SENT, data)]
    if not final:
        return Decision(job, "sent", RecipientStatus.SENT, result, events=events)
    events.append((EventType.EMAIL_DELIVERED, data))
    if not result.complained:
        return Decision(job, "delivered", RecipientStatus.DELIVERED, result, events=events)
    events.append((EventType.EMAIL_COMPLAINED, data))
    return Decision(job, "delivered", RecipientStatus.COMPLAINED, result, events=events, suppress="complaint")


def _refused(job: Job, result: RecipientResult, data: dict[str, Any]) -> Decision:
    finding = cause(result)
    data["reason"] = finding.reason.value
    events = [(EventType.EMAIL_BOUNCED, data)]
    gone = finding.hard or (result.enhanced_code in _GONE and finding.scope in _PERSON)
    # Without a code no server said it: a refusal of our own is no evidence against a mailbox.
    suppress = "hard_bounce" if gone and result.code is not None else None
    reason = finding.reason.value
    return Decision(job, "bounced", RecipientStatus.BOUNCED, result, reason, events=events, suppress=suppress)


def _again(
    job: Job, result: RecipientResult, data: dict[str, Any], policy: RetryPolicy, now: datetime, rng: random.Random
) -> Decision:
    wait = policy.wait(job.row["number"], rng)
    due = now + timedelta(seconds=wait)
    outcome = "ambiguous" if result.outcome is Outcome.AMBIGUOUS else "deferred"
    if due >= job.row["expires_at"]:
        return give_up(job, "expired", result, data, outcome=outcome)
    data["next_attempt_at"] = rfc3339(due)
    reason = OUTCOME_UNKNOWN if outcome == "ambiguous" else cause(result).reason.value
    data["reason"] = reason
    events = [(EventType.EMAIL_DELIVERY_DELAYED, data)]
    return Decision(job, outcome, RecipientStatus.DEFERRED, result, reason, wait, events)


def give_up(
    job: Job, reason: str, result: RecipientResult, data: dict[str, Any] | None = None, *, outcome: str = "failed"
) -> Decision:
    """A dead letter: can be listed and tried again by hand."""
    data = {**(data or data_of_joined(job.row)), "reason": reason}
    return Decision(job, outcome, RecipientStatus.FAILED, result, reason, events=[(EventType.EMAIL_FAILED, data)])


def hand_back(job: Job, why: str, seconds: float) -> Decision:
    """Nothing was sent and the fault is ours (content tier away, lease too short): due again soon, nobody is told."""
    return Decision(
        job,
        "deferred",
        RecipientStatus.DEFERRED,
        unsaid(job, Outcome.DEFERRED, why),
        None,
        seconds,
    )


def suppressed(job: Job) -> Decision:
    """Found after the claim, and before anything was sent."""
    data = {**data_of_joined(job.row), "reason": "suppressed"}
    events = [(EventType.EMAIL_SUPPRESSED, data)]
    return Decision(
        job, "failed", RecipientStatus.SUPPRESSED, unsaid(job, Outcome.BOUNCED), "suppressed", events=events
    )
