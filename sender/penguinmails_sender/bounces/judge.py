"""From what a mail system said to why it said it."""

from __future__ import annotations

import re

from penguinmails_sender.bounces import codes, providers, words
from penguinmails_sender.bounces.findings import Finding, Kind, Said
from penguinmails_sender.bounces.reasons import Reason, facts

# A status code is not part of a longer number, such as an IP address or a version.
_STATUS = re.compile(r"(?<![\d.:/-])([245])\.(\d{1,3})\.(\d{1,3})(?![\d.]|-\d)")
_ANSWER = re.compile(r"\b[245]\d\d[ '-]+([245]\.\d{1,3}\.\d{1,3})(?![\d.])")
_CODE = re.compile(r"(?<![\d.:#/-])(25[0-3]|4[2-5]\d|5[0-5]\d)(?=[\s-]|$)(?!\.\d)")
_DATA = re.compile(
    r"(in reply to|after|response to|during) (the )?(end of )?data\b|final data|end of data|after end|eom\b",
    re.IGNORECASE,
)
_AFTER_DATA = frozenset({Reason.MAILBOX_NOT_FOUND, Reason.MAILBOX_DISABLED})


def judge(said: Said) -> Finding:
    """The finding of a bounce. Words go before codes that say little, codes before words that say little."""
    status = _status(said)
    reply = _CODE.search(said.diagnostic)
    code = int(reply[1]) if reply else None
    reason = _reason(said, status, code)
    if said.action == "delivered":
        return Finding(said.address, Kind.DELIVERED, Reason.DELIVERED, dsn=status or "2.1.5")
    if not status:
        status = _made_up(reason, code, said)
    hard = facts(reason).hard and (reason is Reason.MAILBOX_NOT_FOUND or not _for_now(said, status, code))
    diagnostic = " ".join(said.diagnostic.split())
    delayed = said.action == "delayed"
    return Finding(said.address, Kind.BOUNCE, reason, hard, status, diagnostic, said.remote_host, delayed)


def tells(diagnostic: str) -> bool:
    """Whether there is a code or a word in it that says why."""
    return bool(_CODE.search(diagnostic) or _STATUS.search(diagnostic) or words.by_words(diagnostic))


def _status(said: Said) -> str:
    """The server's own code, in its words, goes before the one that the reporter derived from it."""
    # What a server quotes of another one stands behind its own words, so the last answer is the one that decided.
    answered = [match[1] for match in _ANSWER.finditer(said.diagnostic)]
    inside = answered[-1:] or [match[0] for match in _STATUS.finditer(said.diagnostic)]
    given = said.status if said.status[:1] in "245" else ""
    telling = [status for status in inside if not status.endswith(".0.0")]
    if telling and (codes.says_little(given) or given not in telling):
        return telling[0]
    return given or (inside[0] if inside else "")


# Where the words of the other server begin and end in those of the reporter (Postfix, qmail, Exim, Sendmail, Google).
_SERVER = re.compile(
    r"(?:\bsaid:|remote host said:|<<<|response from .{0,80}?:|returned was:|(?:host|server) \S"
    r"+ \[[^\]]+\]:(?!\d)|refused to talk to me:|server returned:?|did not like our [\w ]+:"
    r"|failed with:|smtp error from remote .{0,120}?:)\s*(?P<words>.+?)\s*(?:\(in reply to|$)",
    re.IGNORECASE | re.DOTALL,
)


def _words(diagnostic: str) -> Reason | None:
    """What the server that refused says goes before what the reporter says around it."""
    text = _STATUS.sub(" ", diagnostic)
    inner = _SERVER.search(text)
    return (words.by_words(inner["words"]) if inner else None) or words.by_words(text)


def _reason(said: Said, status: str, code: int | None) -> Reason:
    known = providers.by_answer(said.diagnostic)
    if known is not None:
        return known
    spoken = _words(said.diagnostic) if said.diagnostic else None
    coded = codes.by_status(status) if status else None
    if Reason.DOMAIN_NOT_FOUND in (spoken, coded) and _for_now(said, status, code):
        return Reason.NETWORK  # a resolver's trouble never counts against a domain
    if spoken is Reason.MAILBOX_NOT_FOUND and not _certain(said, status):
        return Reason.RECIPIENT_REFUSED
    if spoken is Reason.MAILBOX_NOT_FOUND and status.endswith(".2.1"):
        return spoken
    if spoken in _AFTER_DATA and (said.command.startswith("DATA") or _DATA.search(said.diagnostic)):
        # The answer to the message is about all of its recipients (RFC 5321 §4.2.5): who is meant cannot be told.
        return Reason.RECIPIENT_REFUSED
    if spoken is None:
        return coded or (codes.by_reply(code) if code else None) or Reason.UNKNOWN
    if coded is None or codes.says_little(status):
        return spoken
    return coded if words.is_weak(spoken) else _stronger(spoken, coded)


_RCPT = re.compile(
    r"rcpt|does not like recipient|(domino directory|address book|name is not recogni[sz]ed|msexch:ims)", re.IGNORECASE
)


def _certain(said: Said, status: str) -> bool:
    """Words alone bury nobody: a code about the address must agree, or the answer was given to RCPT."""
    about_address = status[1:4] == ".1."
    return about_address or said.command.startswith("RCPT") or bool(_RCPT.search(said.diagnostic))


def _for_now(said: Said, status: str, code: int | None) -> bool:
    return (
        "try again" in said.diagnostic
        or status.startswith("4")
        or (not status and code is not None and code < 500)
        or said.action == "delayed"
    )


# What is about us is believed whoever says it; about a recipient the code is more exact than the words.
_OURS = frozenset(
    {
        Reason.AUTHENTICATION_FAILED,
        Reason.REVERSE_DNS_MISSING,
        Reason.BLOCKED,
        Reason.REPUTATION,
        Reason.RATE_LIMITED,
        Reason.TOO_MANY_CONNECTIONS,
        Reason.GREYLISTED,
        Reason.SPAM,
        Reason.VIRUS,
        Reason.MAILER,
    }
)


def _stronger(spoken: Reason, coded: Reason) -> Reason:
    if spoken in _OURS or coded in (Reason.SYSTEM, Reason.POLICY, Reason.PROTOCOL, Reason.RECIPIENT_REFUSED):
        return spoken
    return coded


def _made_up(reason: Reason, code: int | None, said: Said) -> str:
    """A code for a report without one: the reason's, in the class that was said."""
    status = facts(reason).status
    given = str(code)[0] if code else ("4" if said.action == "delayed" or said.status.startswith("4") else status[:1])
    return given + status[1:] if status else ""
