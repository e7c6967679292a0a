"""What a status code means by itself: RFC 3463, the registry of RFC 5248 with later entries, and SMTP reply codes."""

from __future__ import annotations

from penguinmails_sender.bounces.reasons import Reason

_R = Reason

_EXACT: dict[str, Reason] = {
    # Addressing status (RFC 3463 §3.2; 1.9 RFC 3886, 1.10 RFC 7505)
    "1.1": _R.MAILBOX_NOT_FOUND,
    "1.2": _R.DOMAIN_NOT_FOUND,
    "1.3": _R.MAILBOX_NOT_FOUND,
    "1.4": _R.RECIPIENT_REFUSED,
    "1.6": _R.MAILBOX_MOVED,
    "1.7": _R.SENDER_REFUSED,
    "1.8": _R.SENDER_REFUSED,
    "1.9": _R.POLICY,
    "1.10": _R.DOMAIN_ACCEPTS_NO_MAIL,
    # Mailbox status (§3.3)
    "2.0": _R.RECIPIENT_REFUSED,
    "2.1": _R.MAILBOX_DISABLED,
    "2.2": _R.MAILBOX_FULL,
    "2.3": _R.TOO_BIG,
    "2.4": _R.RECIPIENT_REFUSED,
    # Mail system status (§3.4)
    "3.0": _R.SYSTEM,
    "3.1": _R.SYSTEM,
    "3.2": _R.SYSTEM,
    "3.3": _R.SYSTEM,
    "3.4": _R.TOO_BIG,
    "3.5": _R.SYSTEM,
    # Network and routing status (§3.5)
    "4.0": _R.NETWORK,
    "4.1": _R.NETWORK,
    "4.2": _R.NETWORK,
    "4.3": _R.NETWORK,
    "4.4": _R.DOMAIN_NOT_FOUND,
    "4.5": _R.TOO_MANY_CONNECTIONS,
    "4.6": _R.NETWORK,
    "4.7": _R.EXPIRED,
    # Mail delivery protocol status (§3.6)
    "5.0": _R.PROTOCOL,
    "5.1": _R.PROTOCOL,
    "5.2": _R.PROTOCOL,
    "5.3": _R.RATE_LIMITED,
    "5.4": _R.PROTOCOL,
    "5.6": _R.PROTOCOL,
    # Message content or media status (§3.7; 6.7-6.10 RFC 6531)
    "6.0": _R.CONTENT,
    "6.1": _R.CONTENT,
    "6.2": _R.CONTENT,
    "6.3": _R.CONTENT,
    "6.5": _R.CONTENT,
    "6.7": _R.NOT_COMPLIANT,
    "6.9": _R.NOT_COMPLIANT,
    # Security or policy status (§3.8; 7.8 and up by RFC 4954, 5248, 7293, 7372, 8616)
    "7.0": _R.SECURITY,
    "7.1": _R.POLICY,
    "7.2": _R.RECIPIENT_REFUSED,
    "7.4": _R.SECURITY,
    "7.5": _R.SECURITY,
    "7.7": _R.SECURITY,
    "7.8": _R.SECURITY,
    "7.9": _R.SECURITY,
    "7.13": _R.MAILBOX_DISABLED,
    "7.17": _R.MAILBOX_NOT_FOUND,  # RFC 7293: the mailbox has another owner now
    "7.18": _R.DOMAIN_NOT_FOUND,
    "7.20": _R.AUTHENTICATION_FAILED,
    "7.21": _R.AUTHENTICATION_FAILED,
    "7.22": _R.AUTHENTICATION_FAILED,
    "7.23": _R.AUTHENTICATION_FAILED,
    "7.24": _R.AUTHENTICATION_FAILED,
    "7.25": _R.REVERSE_DNS_MISSING,
    "7.26": _R.AUTHENTICATION_FAILED,
    "7.27": _R.SENDER_REFUSED,  # RFC 7505: the sender's domain has a null MX; at Google: SPF
    "7.28": _R.RATE_LIMITED,
    # Google's own numbers (its "SMTP errors and codes"): 29 TLS, 30 DKIM, 31/40 DMARC missing, 32 not aligned
    "7.29": _R.SECURITY,
    "7.30": _R.AUTHENTICATION_FAILED,
    "7.31": _R.AUTHENTICATION_FAILED,
    "7.32": _R.AUTHENTICATION_FAILED,
    "7.40": _R.AUTHENTICATION_FAILED,
    # Exchange Online ("NDR codes" and "delisting"): 5xx access denied by policy or authentication, 6xx banned address
    "7.23.1": _R.AUTHENTICATION_FAILED,
    "7.501": _R.SPAM,
    "7.502": _R.SPAM,
    "7.503": _R.SPAM,
    "7.504": _R.SPAM,
    "7.505": _R.SENDER_REFUSED,
    "7.508": _R.RATE_LIMITED,
    "7.509": _R.AUTHENTICATION_FAILED,
    "7.510": _R.SENDER_REFUSED,
    "7.511": _R.BLOCKED,
    "7.512": _R.NOT_COMPLIANT,
    "7.513": _R.BLOCKED,
    "7.515": _R.AUTHENTICATION_FAILED,
    "7.606": _R.BLOCKED,
    "7.649": _R.BLOCKED,
    "7.650": _R.RATE_LIMITED,
    "7.651": _R.RATE_LIMITED,
    "7.700": _R.RATE_LIMITED,
    "7.703": _R.RATE_LIMITED,
    "7.705": _R.RATE_LIMITED,
    "7.708": _R.RATE_LIMITED,
    "7.750": _R.RATE_LIMITED,
}

_SUBJECT: dict[str, Reason] = {
    "1": _R.RECIPIENT_REFUSED,
    "2": _R.RECIPIENT_REFUSED,
    "3": _R.SYSTEM,
    "4": _R.NETWORK,
    "5": _R.PROTOCOL,
    "6": _R.CONTENT,
    "7": _R.POLICY,
}
_REPLY: dict[int, Reason] = {
    # RFC 5321 §4.2.3; where it leaves a code to several causes, none is given.
    421: _R.SYSTEM,
    422: _R.MAILBOX_FULL,
    431: _R.SYSTEM,
    432: _R.SYSTEM,
    441: _R.NETWORK,
    442: _R.NETWORK,
    446: _R.NETWORK,
    451: _R.SYSTEM,
    452: _R.SYSTEM,
    500: _R.PROTOCOL,
    501: _R.PROTOCOL,
    502: _R.PROTOCOL,
    503: _R.PROTOCOL,
    504: _R.PROTOCOL,
    521: _R.DOMAIN_ACCEPTS_NO_MAIL,  # RFC 7504
    530: _R.SECURITY,
    535: _R.SECURITY,
    538: _R.SECURITY,
    552: _R.MAILBOX_FULL,
    556: _R.DOMAIN_ACCEPTS_NO_MAIL,  # RFC 7504
}


def by_status(status: str) -> Reason | None:
    """What `class.subject.detail` says; None for one that says nothing, such as 5.0.0."""
    _, _, rest = status.partition(".")
    return _EXACT.get(rest) or (_SUBJECT.get(rest.partition(".")[0]) if rest and not rest.startswith("0.") else None)


def says_little(status: str) -> bool:
    """Codes that servers give for nearly everything, so that words go before them."""
    rest = status.partition(".")[2]
    return not rest or rest.startswith("0.") or rest in {"1.0", "2.0", "3.0", "4.0", "5.0", "6.0", "7.0", "7.1", "5.1"}


def by_reply(code: int) -> Reason | None:
    return _REPLY.get(code)
