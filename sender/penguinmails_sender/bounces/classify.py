"""A mail in, findings out: is it a report, whom is it about, and why."""

from __future__ import annotations

import re
from dataclasses import replace
from email.utils import getaddresses

from penguinmails_sender.bounces import arf, autoreply, dsn, notice, words
from penguinmails_sender.bounces.dialects import DIALECTS
from penguinmails_sender.bounces.findings import Finding, Said
from penguinmails_sender.bounces.judge import judge, tells
from penguinmails_sender.bounces.reading import Mail, read
from penguinmails_sender.bounces.reasons import Reason

_DAEMON = re.compile(
    r"mailer-?daemon|post_?master|mail[ ._-]?(delivery|system|administrator|router)"
    r"|mail (subsystem|service)|system administrator|microsoft exchange|double-bounce|mdaemon",
    re.IGNORECASE,
)
_SUBJECT = re.compile(
    r"\b(undeliver(ed|able)|non-?deliver\w*|delivery (status|failure|notification|report|problem"
    r"|fail\w*|unsuccessful|has failed|error|delay\w*|to the following)"
    r"|returned mail|mail (delivery|system) (fail\w*|error|problem)|failure (notice|delivery)"
    r"|mail failure|(message|mail) (could not be|not|status|delivery)"
    r"|could not (be deliver|send)|unzustellbar|nicht zugestellt|non remis|no se (puede"
    r"|ha podido)|mancata consegna|rejected mail|bounced?|warning: could not send"
    r"|mail could not be delivered)",
    re.IGNORECASE,
)


_BODY = re.compile(
    r"(could|can) ?not be delivered|(was|were) (not delivered|undeliverable)|undeliver"
    r"|error message below|delivery (has )?(failed|error)|fatal errors|unable to deliver",
    re.IGNORECASE,
)
_DELAYED = re.compile(
    r"warning message only|(only )?a temporary failure|temporary failure report|will (be retried"
    r"|continue to try|keep trying|retry)|do not need to re-?send|not yet been delivered"
    r"|delivery (has been |is |was )?delayed",
    re.IGNORECASE,
)


def classify(data: bytes) -> list[Finding]:
    """Findings for each recipient that the mail reports on; none for a mail that is no report. Never raises."""
    mail = read(data)
    feedback = arf.read(mail)
    if feedback:
        return feedback
    if autoreply.is_one(mail):
        return autoreply.read(mail)
    return _milder([judge(said) for said in _bounces(mail)], mail)


_MILDER = frozenset({Reason.MAILBOX_FULL, Reason.MAILBOX_DISABLED})


def _milder(findings: list[Finding], mail: Mail) -> list[Finding]:
    """A report that tells people something milder than it tells machines is believed to mean the milder."""
    if len(findings) == 1 and findings[0].hard:
        told = words.by_words(mail.notice)
        if told in _MILDER:
            return [replace(findings[0], reason=told, hard=False)]
    return findings


def _bounces(mail: Mail) -> list[Said]:
    found = dsn.read(mail)
    for dialect in DIALECTS:
        if dialect.speaks(mail):
            found = dialect.read(mail, found)
            break
    if found:
        return _once(found)
    if not is_report(mail):
        return []
    own = {address.lower() for _, address in getaddresses([*mail.headers("To"), *mail.headers("From")])}
    # The report names its sender and its reader too.
    found = [said for said in notice.read(mail.notice) if said.address.lower() not in own]
    failed = [address for _, address in getaddresses(mail.headers("X-Failed-Recipients")) if notice.is_address(address)]
    found = found or [Said(address, mail.notice[-1500:]) for address in failed] or _fallback(mail, own)
    if len(found) == 1 and not tells(found[0].diagnostic):  # some systems say the cause above the address
        found = [replace(found[0], diagnostic=mail.notice[-1500:])]
    if _DELAYED.search(f"{mail.subject}\n{mail.notice}"):
        found = [replace(said, action="delayed") for said in found]
    return _once(found)


def is_report(mail: Mail) -> bool:
    """A mail system wrote it (RFC 3834 §2, RFC 5321 §4.5.5): an empty return path alone is not enough."""
    null = mail.header("Return-Path") in ("<>", "") and bool(mail.message.get("Return-Path"))
    marks = (
        bool(_DAEMON.search(mail.sender)),
        bool(_SUBJECT.search(mail.subject)),
        null,
        mail.report_type == "delivery-status",
        bool(mail.headers("X-Failed-Recipients")),
        bool(_BODY.search(mail.notice)),
    )
    return marks[3] or marks[4] or sum((*marks[:3], marks[5])) >= 2 or (marks[0] and bool(mail.original))


def _fallback(mail: Mail, own: set[str]) -> list[Said]:
    """Whom a sentence names, or whom the mail that came back went to; the whole text is the cause."""
    to = [address for address in notice.named(mail.notice) if address.lower() not in own]
    to = to or [address for _, address in getaddresses([mail.original.get("to", "")]) if notice.is_address(address)]
    return [Said(address, mail.notice[-1500:], command=notice.command(mail.notice)) for address in to[:1]]


def _once(found: list[Said]) -> list[Said]:
    """The first that is said about an address is kept."""
    kept: dict[str, Said] = {}
    for said in found:
        kept.setdefault(said.address.lower(), said)
    return list(kept.values())
