"""Feedback reports (RFC 5965): complaints, and reports of failed authentication (RFC 6591)."""

from __future__ import annotations

import re
from email.utils import getaddresses, parseaddr

from penguinmails_sender.bounces.findings import Finding, Kind, noted
from penguinmails_sender.bounces.notice import ADDRESS
from penguinmails_sender.bounces.reading import Mail
from penguinmails_sender.bounces.reasons import Reason

_TYPES = {
    "abuse": Reason.COMPLAINT,
    "fraud": Reason.COMPLAINT,
    "virus": Reason.COMPLAINT,
    "other": Reason.COMPLAINT,
    "miscategorized": Reason.COMPLAINT,
    "not-spam": Reason.NOT_SPAM,
    "auth-failure": Reason.AUTHENTICATION_REPORT,
    "dmarc": Reason.AUTHENTICATION_REPORT,
    "opt-out": Reason.UNSUBSCRIBED,
    "opt-out-list": Reason.UNSUBSCRIBED,
}


_UNSUBSCRIBE = re.compile(r"\W*(list[- ])?unsubscribe\W*", re.IGNORECASE)


def read(mail: Mail) -> list[Finding]:
    """One for each recipient the report names; the type "feedback" applies to all of them."""
    if not mail.feedback:
        return _by_header(mail) or _by_mailto(mail)
    group = mail.feedback[0]
    kind = group.fields.get("feedback-type", "").lower().split()
    reason = _TYPES.get(kind[0] if kind else "", Reason.COMPLAINT)
    addresses = [
        match[0]
        for name in ("original-rcpt-to", "removal-recipient")
        for value in group.repeated.get(name, [])
        if (match := ADDRESS.search(value))
    ]
    if not addresses:  # hidden by many providers: then the mail that came back says whom it went to
        addresses = _recipients(mail)
    return [noted(address, Kind.FEEDBACK, reason) for address in dict.fromkeys(addresses)] or [
        noted("", Kind.FEEDBACK, reason)
    ]


def _by_header(mail: Mail) -> list[Finding]:
    """Loops that send the mail as it is and name the person in a header (Microsoft's `X-HmXmrOriginalRecipient`)."""
    address = mail.header("X-HmXmrOriginalRecipient") or mail.original.get("x-hmxmroriginalrecipient", "")
    return [noted(address.strip("<>"), Kind.FEEDBACK, Reason.COMPLAINT)] if address else []


def _by_mailto(mail: Mail) -> list[Finding]:
    """The mail that a program writes to the `mailto:` of List-Unsubscribe (RFC 2369 §3.2) when somebody asks it to."""
    by_machine = mail.header("Auto-Submitted").lower().startswith("auto-") or "unsubscribe" in mail.header("To").lower()
    address = parseaddr(mail.header("From"))[1]
    if by_machine and _UNSUBSCRIBE.fullmatch(mail.subject) and address:
        return [noted(address, Kind.FEEDBACK, Reason.UNSUBSCRIBED)]
    return []


def _recipients(mail: Mail) -> list[str]:
    fields = (mail.original.get(name, "") for name in ("x-original-to", "delivered-to", "to"))
    for value in fields:
        found = [address for _, address in getaddresses([value]) if ADDRESS.fullmatch(address)]
        if found:
            return found[:1]
    return []
