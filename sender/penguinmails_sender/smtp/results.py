"""One result per recipient."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from penguinmails_sender.smtp.replies import Reply


class Outcome(StrEnum):
    """`delivered`: a server took responsibility (2yz after the final dot). `deferred`: try again. `bounced`: never
    try again. `ambiguous`: the final dot was written and no answer came; the server may have the message."""

    DELIVERED = "delivered"
    DEFERRED = "deferred"
    BOUNCED = "bounced"
    AMBIGUOUS = "ambiguous"


@dataclass(frozen=True, slots=True)
class RecipientResult:
    """`code` is the SMTP reply code, None when no server said it (no connection, a local refusal).
    `enhanced_code` is `class.subject.detail` (RFC 3463), the server's or, for local refusals, ours. `reply` is the text
    without the code, one line per reply line, printable, at most 2,000 characters. `tls` says whether the conversation
    was encrypted; `complained` marks a simulated complaint. `command` is what was answered: `MAIL`, `RCPT` or `DATA`
    (the end of the message too), empty when no command was. `tls_version` such as `TLSv1.3`; `tls_source` says who
    asked for the TLS policy (`setting`, `lane`, `mta-sts`, `mta-sts-testing`, `dane`), None if no server was tried."""

    address: str
    outcome: Outcome
    code: int | None = None
    enhanced_code: str | None = None
    reply: str = ""
    remote_host: str = ""
    tls: bool = False
    complained: bool = False
    command: str = ""
    tls_version: str | None = None
    tls_source: str | None = None


def outcome_of(reply: Reply) -> Outcome:
    """How a final reply reads for a recipient. 552 5.5.3 is "too many recipients", which is not final (RFC 5321
    §4.5.3.1.10)."""
    if 200 <= reply.code < 300:
        return Outcome.DELIVERED
    if reply.code >= 500 and not (reply.code == 552 and reply.enhanced_code == "5.5.3"):
        return Outcome.BOUNCED
    return Outcome.DEFERRED
