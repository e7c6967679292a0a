"""Answers of large providers that mean something of their own, by the lists that they publish. They decide before
everything else; most of all they keep a block from being read as a dead person."""

from __future__ import annotations

import re

from penguinmails_sender.bounces.reasons import Reason

_R = Reason

_ANSWERS: tuple[tuple[Reason, str], ...] = (
    # Microsoft: directory-based edge blocking answers 5.4.1 for addresses that do not exist
    (_R.MAILBOX_NOT_FOUND, r"5\.4\.1 .{0,120}recipient address rejected: access denied"),
    (_R.MAILBOX_NOT_FOUND, r"550 requested action not taken: mailbox unavailable"),
    (_R.MAILBOX_NOT_FOUND, r"resolver\.adr\.(\w*notfound|invalidsmtp)|5\.1\.10 .{0,40}(not ?found)"),
    (_R.REPUTATION, r"4\.7\.65\d .{0,200}reputation"),
    (_R.RATE_LIMITED, r"\b4\.7\.(500|700|650|651)\b"),
    (_R.BLOCKED, r"\bs31(14|40|50)\b|\b5\.7\.(511|60[6-9]|61\d|62\d|63\d|64\d)\b"),
    (_R.AUTHENTICATION_FAILED, r"\b5\.7\.(509|515)\b"),
    # Yahoo: TSS codes are about volume and complaints, BL codes about lists
    (_R.REPUTATION, r"\[tss0?\d\]|\[ts0?\d\]"),
    (_R.BLOCKED, r"\[bl\d\d\]"),
    (_R.MAILBOX_NOT_FOUND, r"\b55\d\b.{0,40}this user doesn't have an? \S+ account"),
    # Google: the link says which of its answers it is
    (_R.MAILBOX_NOT_FOUND, r"p=nosuchuser"),
    (_R.MAILBOX_FULL, r"p=overquota|5\.2\.2 .{0,80}over ?quota"),
    (_R.AUTHENTICATION_FAILED, r"p=(unauthenticated|spf|dkim|dmarc)|[45]\.7\.(26|30|31|32|40) .{0,200}(gsmtp|google)"),
    # Apple
    (_R.BLOCKED, r"\[(hcm1|bs0\d|cs01)\]|esmtp not accepting connections"),
    # Orange and La Poste: OFR_nnn, LPN_nnn
    (_R.MAILBOX_NOT_FOUND, r"\b(ofr|lpn)\d*_416\b"),
    (_R.MAILBOX_FULL, r"\b(ofr|lpn)\d*_417\b"),
    (_R.TOO_MANY_CONNECTIONS, r"\b(ofr|lpn)\d*_10[2-5]\b"),
    (_R.SPAM, r"\b(ofr|lpn)\d*_(506|51[0346])\b"),
    # KDDI names nobody when the person's own filter refused
    (_R.RECIPIENT_REFUSED, r"\b55\d\s+: user unknown"),
    # Facebook: RCP-P codes are choices of the person, INT and POL of the service
    (_R.RECIPIENT_REFUSED, r"\brcp-p[23]\b|due to recipient preferences"),
    (_R.MAILBOX_NOT_FOUND, r"\brcp-p1\b"),
    # Amazon SES as a receiver, and its own list of addresses that bounced
    (_R.MAILBOX_NOT_FOUND, r"\baddress is on the suppression list"),
)
_RULES = tuple((reason, re.compile(pattern, re.IGNORECASE | re.DOTALL)) for reason, pattern in _ANSWERS)


def by_answer(diagnostic: str) -> Reason | None:
    text = " ".join(diagnostic[:2000].split())
    return next((reason for reason, pattern in _RULES if pattern.search(text)), None)
