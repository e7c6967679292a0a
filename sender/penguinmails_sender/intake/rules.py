"""What a report that proved itself may change. Pure rules, each with an id that stays in the record.

A bounce counts from a mail system only: without a sender (RFC 3464 §2, RFC 5321 §4.5.5). It moves nobody who has not
been sent to. A person is suppressed when the report came to a return path that only they had, names their address, and
proves that it does not exist; everything less is kept with the recipient and blames nobody.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from penguinmails_core.models.email import RecipientStatus
from penguinmails_sender.bounces import Finding, Kind, Reason
from penguinmails_sender.engine.outcomes import OUTCOME_UNKNOWN


class Effect(StrEnum):
    NONE = "none"
    BOUNCED = "bounced"
    DELAYED = "delayed"
    COMPLAINED = "complained"


@dataclass(frozen=True, slots=True)
class Ruling:
    """`suppress` is the reason of the suppression that follows, None for none."""

    rule: str
    effect: Effect = Effect.NONE
    suppress: str | None = None


@dataclass(frozen=True, slots=True)
class Circumstances:
    """`status` and `reason` are the recipient's, None when the report names nobody of the message. `null_sender`: the
    report came from ``<>``. `own_token`: the token is this recipient's own, not one that others had too. `named`: the
    report gives the recipient's address."""

    status: str | None
    reason: str | None
    null_sender: bool
    own_token: bool
    named: bool


_ARRIVED = frozenset({RecipientStatus.SENT, RecipientStatus.DELIVERED})


def rule(finding: Finding | None, about: Circumstances) -> Ruling:
    """`finding` None: the mail is no report that can be read."""
    if finding is None:
        return Ruling("not_a_report")
    if finding.kind is Kind.VACATION:
        return Ruling("automatic_answer")
    if about.status is None:
        return Ruling("not_a_recipient")
    if finding.kind is Kind.FEEDBACK:
        return _feedback(finding, about)
    if not about.null_sender:
        return Ruling("sender_not_null")
    if finding.kind is Kind.DELIVERED:
        return Ruling("delivered_noted")
    if finding.delayed:
        return _delay(about)
    return _failure(finding, about)


def _feedback(finding: Finding, about: Circumstances) -> Ruling:
    if finding.reason is not Reason.COMPLAINT:
        return Ruling("feedback_noted")
    if about.status not in _ARRIVED:
        return Ruling("state_does_not_fit")
    return Ruling("complaint", Effect.COMPLAINED, "complaint")


def _delay(about: Circumstances) -> Ruling:
    if about.status != RecipientStatus.SENT:
        return Ruling("state_does_not_fit")
    return Ruling("delay", Effect.DELAYED)


def _failure(finding: Finding, about: Circumstances) -> Ruling:
    unknown = about.status == RecipientStatus.FAILED and about.reason == OUTCOME_UNKNOWN
    if about.status not in _ARRIVED and not unknown:
        return Ruling("state_does_not_fit")
    if not finding.hard:
        return Ruling("not_delivered", Effect.BOUNCED)
    if not about.named:  # forwarded: it is the other address that does not exist
        return Ruling("hard_elsewhere", Effect.BOUNCED)
    if not about.own_token:
        return Ruling("hard_shared_token", Effect.BOUNCED)
    return Ruling("hard", Effect.BOUNCED, "hard_bounce")
