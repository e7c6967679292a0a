"""Answers that nobody typed (RFC 3834): somebody is away."""

from __future__ import annotations

import re
from email.utils import parseaddr

from penguinmails_sender.bounces.findings import Finding, Kind, noted
from penguinmails_sender.bounces.reading import Mail
from penguinmails_sender.bounces.reasons import Reason

_SUBJECT = re.compile(
    r"\b(out of (the )?(office|town)|on (vacation|holiday|leave)|away (from|until|till)"
    r"|auto(matic|mated)?[- ]?(reply|response|antwort)|vacation (reply|notice)"
    r"|abwesen|automatische antwort|absen(ce|t)|r[ée]ponse automatique|respuesta autom|ausente"
    r"|risposta automatica|fuori (sede|ufficio)|afwezig"
    r"|automatisk svar|fraværende|frånvaro|poissa|resposta autom|自動(返信|応答)|不在)",
    re.IGNORECASE,
)
_MACHINE = re.compile(r"mailer-daemon|postmaster|mail.?delivery", re.IGNORECASE)


def is_one(mail: Mail) -> bool:
    """An automatic answer of a person's mailbox, not a report of a mail system."""
    if _MACHINE.search(mail.sender) or mail.status or mail.feedback:
        return False
    answered = mail.header("Auto-Submitted").lower().startswith("auto-replied")
    # Not of the standard, and what the large mail programs send instead.
    others = any(
        mail.header(name) for name in ("X-Autoreply", "X-Autorespond", "X-Autoresponse", "X-Auto-Response-From")
    )
    precedence = "auto_reply" in mail.header("Precedence").lower()
    return answered or others or precedence or bool(_SUBJECT.search(mail.subject))


def read(mail: Mail) -> list[Finding]:
    address = parseaddr(mail.header("From"))[1] or parseaddr(mail.header("Return-Path"))[1]
    return [noted(address, Kind.VACATION, Reason.VACATION)]
