"""The recipient's new state, its event, the suppression and the record of the report, as rows."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson

from penguinmails_core.bounces import repository
from penguinmails_core.emails.payload import data_of_joined
from penguinmails_core.events.types import EventType
from penguinmails_core.kit.addresses import AddressError, canonical
from penguinmails_core.kit.db import Connection
from penguinmails_core.kit.ids import Prefix, encode, new_uuid
from penguinmails_core.lanes.complaints import complained
from penguinmails_core.models.email import RecipientStatus
from penguinmails_core.sending import repository as sending
from penguinmails_core.suppressions.payload import event_data as suppression_data
from penguinmails_core.suppressions.payload import make_evidence
from penguinmails_sender.bounces import Finding, Kind
from penguinmails_sender.intake.rules import Effect, Ruling

_MAX_REPLY = 500
_CODE = re.compile(r"(?<![\d.:/-])([245]\d\d)(?=[\s-])")
_EVENTS = {
    Effect.BOUNCED: EventType.EMAIL_BOUNCED,
    Effect.DELAYED: EventType.EMAIL_DELIVERY_DELAYED,
    Effect.COMPLAINED: EventType.EMAIL_COMPLAINED,
}


def words(finding: Finding) -> str:
    """What the server said, as far as it is kept."""
    return finding.diagnostic[:_MAX_REPLY].replace("\0", "")


def reply_code(finding: Finding) -> int | None:
    found = _CODE.search(finding.diagnostic)
    return int(found[1]) if found else None


async def change(connection: Connection, row: Any, finding: Finding, ruling: Ruling, report_id: UUID) -> None:
    """Recipient, event and suppression, and the lane where too many complain, in the caller's transaction."""
    data = data_of_joined(row)
    if ruling.effect is Effect.COMPLAINED:
        sequence = await repository.complain(connection, row)
        await complained(connection, [(row["organization_id"], row["lane"])])
    else:
        code, enhanced_code, reply = reply_code(finding), finding.dsn or None, words(finding)
        sequence = await repository.change(
            connection,
            row,
            RecipientStatus.BOUNCED if ruling.effect is Effect.BOUNCED else None,
            code=code,
            enhanced_code=enhanced_code,
            reply=reply,
            reason=finding.reason.value,
        )
        smtp = {
            "code": code,
            "enhanced_code": enhanced_code,
            "reply": reply,
            "remote_host": finding.remote_host or None,
        }
        data |= {"attempt": row["number"] or None, "smtp": smtp, "reason": finding.reason.value}
        if ruling.effect is Effect.DELAYED:
            data["next_attempt_at"] = None  # another system tries, and does not say when
    event = (
        row["organization_id"],
        row["workspace_id"],
        new_uuid(),
        row["mode"],
        _EVENTS[ruling.effect],
        row["id"],
        sequence,
        orjson.dumps(data).decode(),
    )
    await sending.write_events(connection, [[value] for value in event])
    if ruling.suppress is not None and row["mode"] == "live":
        await _suppress(connection, row, finding, ruling.suppress, report_id)


async def _suppress(connection: Connection, row: Any, finding: Finding, reason: str, report_id: UUID) -> None:
    try:
        address = canonical(row["address"])
    except AddressError:
        address = row["address"].lower()
    suppression_id = new_uuid()
    evidence = make_evidence(
        email_id=row["message_id"],
        recipient_id=row["id"],
        code=reply_code(finding),
        enhanced_code=finding.dsn or None,
        reply=words(finding) or None,
        remote_host=finding.remote_host or None,
    )
    data = suppression_data(
        suppression_id, address=address, reason=reason, note=None, evidence=evidence, expires_at=None
    )
    values = (
        row["organization_id"],
        row["workspace_id"],
        suppression_id,
        address,
        reason,
        orjson.dumps(evidence | {"bounce_report_id": encode(Prefix.BOUNCE_REPORT, report_id)}).decode(),
        new_uuid(),
        orjson.dumps(data).decode(),
    )
    await sending.suppress(connection, [[value] for value in values])


@dataclass(frozen=True, slots=True)
class Record:
    """Which report, and which of the recipients that it names."""

    id: UUID
    digest: bytes
    position: int
    reporter: str


def values(record: Record, message: Any, row: Any | None, finding: Finding | None, ruling: Ruling) -> tuple[Any, ...]:
    """The columns of `repository.add_report`. `message` is any row of the message, `row` the recipient's, if it has
    one."""
    return (
        message["organization_id"],
        record.id,
        message["workspace_id"],
        message["message_id"],
        row["id"] if row is not None else None,
        record.digest,
        record.position,
        _kind(finding),
        *_said(finding),
        record.reporter,
        ruling.rule,
        ruling.effect.value,
        ruling.suppress is not None,
    )


def _said(finding: Finding | None) -> tuple[Any, ...]:
    """reason, scope, action, hard, enhanced_code, diagnostic, reported_address, remote_host"""
    if finding is None:
        return None, None, None, False, None, None, None, None
    return (
        finding.reason.value,
        finding.scope.value,
        finding.action.value,
        finding.hard,
        finding.dsn or None,
        words(finding) or None,
        finding.address[:320].replace("\0", "") or None,
        finding.remote_host or None,
    )


def _kind(finding: Finding | None) -> str:
    if finding is None:
        return "other"
    if finding.kind is Kind.BOUNCE and finding.delayed:
        return "delay"
    return finding.kind.value
