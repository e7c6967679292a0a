"""Why a message was refused, whom that concerns, and what follows from it. The one table that decides.

Only what says "this person cannot be reached" suppresses a person. What is about our address, our reputation, our
authentication, the message or the network stops a lane or a domain, or is tried again; nobody is blamed for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Scope(StrEnum):
    """Whom a reason is about."""

    RECIPIENT = "recipient"
    MAILBOX = "mailbox"  # the person is there, the mailbox cannot take mail now
    SENDER_DOMAIN = "sender_domain"
    IP = "ip"
    MESSAGE = "message"
    POLICY = "policy"
    SYSTEM = "system"  # the network, or either side's machinery


class Action(StrEnum):
    """What follows. `hold`: do not write to this person for a while; `slow`: send less in this lane."""

    SUPPRESS = "suppress"
    HOLD = "hold"
    RETRY = "retry"
    SLOW = "slow"
    PAUSE_LANE = "pause_lane"
    PAUSE_DOMAIN = "pause_domain"
    ALERT = "alert"
    NONE = "none"


class Reason(StrEnum):
    """In the order of who they are about."""

    MAILBOX_NOT_FOUND = "mailbox_not_found"
    DOMAIN_NOT_FOUND = "domain_not_found"
    DOMAIN_ACCEPTS_NO_MAIL = "domain_accepts_no_mail"
    MAILBOX_MOVED = "mailbox_moved"
    MAILBOX_FULL = "mailbox_full"
    MAILBOX_DISABLED = "mailbox_disabled"
    RECIPIENT_REFUSED = "recipient_refused"
    SENDER_REFUSED = "sender_refused"
    AUTHENTICATION_FAILED = "authentication_failed"
    REVERSE_DNS_MISSING = "reverse_dns_missing"
    BLOCKED = "blocked"
    REPUTATION = "reputation"
    RATE_LIMITED = "rate_limited"
    TOO_MANY_CONNECTIONS = "too_many_connections"
    GREYLISTED = "greylisted"
    POLICY = "policy"
    SECURITY = "security"
    RELAYING_DENIED = "relaying_denied"
    SPAM = "spam"
    VIRUS = "virus"
    CONTENT = "content"
    TOO_BIG = "too_big"
    NOT_COMPLIANT = "not_compliant"
    PROTOCOL = "protocol"
    SYSTEM = "system"
    MAILER = "mailer"
    NETWORK = "network"
    EXPIRED = "expired"
    UNKNOWN = "unknown"
    # What is no failure
    DELIVERED = "delivered"
    COMPLAINT = "complaint"
    NOT_SPAM = "not_spam"
    UNSUBSCRIBED = "unsubscribed"
    AUTHENTICATION_REPORT = "authentication_report"
    VACATION = "vacation"


@dataclass(frozen=True, slots=True)
class Facts:
    """`status`: the enhanced status code (RFC 3463) to report when nobody gave one."""

    scope: Scope
    action: Action
    status: str
    hard: bool = False


_FACTS: dict[Reason, Facts] = {
    Reason.MAILBOX_NOT_FOUND: Facts(Scope.RECIPIENT, Action.SUPPRESS, "5.1.1", hard=True),
    Reason.DOMAIN_NOT_FOUND: Facts(Scope.RECIPIENT, Action.SUPPRESS, "5.1.2", hard=True),
    Reason.DOMAIN_ACCEPTS_NO_MAIL: Facts(Scope.RECIPIENT, Action.SUPPRESS, "5.1.10", hard=True),
    Reason.MAILBOX_MOVED: Facts(Scope.RECIPIENT, Action.SUPPRESS, "5.1.6", hard=True),
    Reason.MAILBOX_FULL: Facts(Scope.MAILBOX, Action.HOLD, "5.2.2"),
    Reason.MAILBOX_DISABLED: Facts(Scope.MAILBOX, Action.HOLD, "5.2.1"),
    Reason.RECIPIENT_REFUSED: Facts(Scope.MAILBOX, Action.HOLD, "5.2.0"),
    Reason.SENDER_REFUSED: Facts(Scope.SENDER_DOMAIN, Action.ALERT, "5.1.8"),
    Reason.AUTHENTICATION_FAILED: Facts(Scope.SENDER_DOMAIN, Action.PAUSE_DOMAIN, "5.7.26"),
    Reason.REVERSE_DNS_MISSING: Facts(Scope.IP, Action.PAUSE_LANE, "5.7.25"),
    Reason.BLOCKED: Facts(Scope.IP, Action.PAUSE_LANE, "5.7.1"),
    Reason.REPUTATION: Facts(Scope.IP, Action.PAUSE_LANE, "5.7.1"),
    Reason.RATE_LIMITED: Facts(Scope.IP, Action.SLOW, "4.7.0"),
    Reason.TOO_MANY_CONNECTIONS: Facts(Scope.IP, Action.SLOW, "4.3.2"),
    Reason.GREYLISTED: Facts(Scope.SYSTEM, Action.RETRY, "4.7.1"),
    Reason.POLICY: Facts(Scope.POLICY, Action.ALERT, "5.7.1"),
    Reason.SECURITY: Facts(Scope.POLICY, Action.ALERT, "5.7.0"),
    Reason.RELAYING_DENIED: Facts(Scope.POLICY, Action.ALERT, "5.7.1"),
    Reason.SPAM: Facts(Scope.MESSAGE, Action.ALERT, "5.7.1"),
    Reason.VIRUS: Facts(Scope.MESSAGE, Action.ALERT, "5.7.1"),
    Reason.CONTENT: Facts(Scope.MESSAGE, Action.ALERT, "5.6.0"),
    Reason.TOO_BIG: Facts(Scope.MESSAGE, Action.ALERT, "5.3.4"),
    Reason.NOT_COMPLIANT: Facts(Scope.MESSAGE, Action.ALERT, "5.6.0"),
    Reason.PROTOCOL: Facts(Scope.SYSTEM, Action.ALERT, "5.5.0"),
    Reason.SYSTEM: Facts(Scope.SYSTEM, Action.RETRY, "5.3.0"),
    Reason.MAILER: Facts(Scope.SYSTEM, Action.RETRY, "5.3.0"),
    Reason.NETWORK: Facts(Scope.SYSTEM, Action.RETRY, "5.4.0"),
    Reason.EXPIRED: Facts(Scope.SYSTEM, Action.RETRY, "5.4.7"),
    Reason.UNKNOWN: Facts(Scope.SYSTEM, Action.RETRY, "5.0.0"),
    Reason.DELIVERED: Facts(Scope.RECIPIENT, Action.NONE, "2.1.5"),
    Reason.COMPLAINT: Facts(Scope.RECIPIENT, Action.SUPPRESS, ""),
    Reason.NOT_SPAM: Facts(Scope.RECIPIENT, Action.NONE, ""),
    Reason.UNSUBSCRIBED: Facts(Scope.RECIPIENT, Action.SUPPRESS, ""),
    Reason.AUTHENTICATION_REPORT: Facts(Scope.SENDER_DOMAIN, Action.ALERT, ""),
    Reason.VACATION: Facts(Scope.RECIPIENT, Action.NONE, ""),
}


def facts(reason: Reason) -> Facts:
    return _FACTS[reason]
