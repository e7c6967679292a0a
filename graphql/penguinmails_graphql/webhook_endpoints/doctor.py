"""What happened when a webhook endpoint was tested at once."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Self, cast
from uuid import UUID

import strawberry
from sqlalchemy.ext.asyncio import AsyncSession
from strawberry.scalars import JSON

from penguinmails_core.errors import FieldError, Unprocessable
from penguinmails_core.kit.ids import Prefix
from penguinmails_core.principal import Principal
from penguinmails_graphql.context import Info
from penguinmails_graphql.relay import uuid_of
from penguinmails_graphql.scalars import DateTime
from penguinmails_webhooks.doctor import Finding
from penguinmails_webhooks.doctor_run import Doctor, Outcome
from penguinmails_webhooks.doctor_service import Ask, Prepared, prepare, run

MAX_TEXT = 16 * 1024  # characters of an answer that are shown


def ask_of(event_type: str | None, event_id: strawberry.ID | None, data: Any) -> Ask:
    """Raises `Unprocessable` naming the argument."""
    if event_type is not None and event_id is not None:
        detail = "Give `eventType` or `eventId`, not both."
        raise Unprocessable(detail, errors=[FieldError("/eventId", "conflict", detail)])
    if data is not None and not isinstance(data, dict):
        detail = "`data` is an object."
        raise Unprocessable(detail, errors=[FieldError("/data", "invalid", detail)])
    return Ask(event_type, uuid_of(Prefix.EVENT, event_id, "event") if event_id is not None else None, data)


async def test_now(info: Info, caller: Principal, endpoint_id: UUID, ask: Ask) -> tuple[Prepared, Outcome]:
    """No transaction is open while the receiver is called."""
    context, service = info.context, info.context.endpoints()

    async def read(session: AsyncSession) -> Prepared:
        return await prepare(session, caller, service, context.box(), endpoint_id, ask)

    prepared = await context.read(read)
    await context.end_reads()
    return prepared, await run(prepared, Doctor(context.services.resolver, allow_private=service.allow_private))


@strawberry.enum(description="`WARNING`: it works, and hides a mistake or will break.")
class WebhookFindingLevel(StrEnum):
    OK = "ok"
    WARNING = "warning"
    ERROR = "error"


@strawberry.type(description="The first byte in which the body that was signed differs from the one that was sent.")
class WebhookByteDifference:
    offset: int
    expected: str
    got: str


@strawberry.type(description="One thing that a test showed.")
class WebhookFinding:
    level: WebhookFindingLevel
    code: str = strawberry.field(description="For programs; more may be added.")
    detail: str = strawberry.field(description="For people.")
    difference: WebhookByteDifference | None

    @classmethod
    def of(cls, found: Finding) -> Self:
        parting = found.difference
        return cls(
            level=WebhookFindingLevel(found.level),
            code=found.code,
            detail=found.detail,
            difference=WebhookByteDifference(offset=parting.offset, expected=parting.expected, got=parting.got)
            if parting
            else None,
        )


@strawberry.type(description="What the receiver's TLS looks like.")
class WebhookTestTls:
    version: str | None
    trusted: bool
    problem: str | None = strawberry.field(description="Why it is not trusted, in words.")
    subject: str | None
    issuer: str | None
    names: list[str]
    not_before: DateTime | None
    not_after: DateTime | None


@strawberry.type(description="Milliseconds; null for what did not happen.")
class WebhookTestTiming:
    dns_ms: int | None
    tls_check_ms: int | None
    connect_ms: int | None
    tls_ms: int | None
    first_byte_ms: int | None
    total_ms: int


@strawberry.type(description="What happened when a test was sent.")
class WebhookTestResult:
    passed: bool = strawberry.field(description="It was received, and nothing is an error.")
    findings: list[WebhookFinding]
    sent_body: str = strawberry.field(description="What was signed, to the byte.")
    sent_headers: JSON
    addresses: list[str]
    tls: WebhookTestTls | None
    redirect: str | None = strawberry.field(description="Where the answer sends to; never followed.")
    status_code: int | None
    answer_body: str | None = strawberry.field(description="The first 16 KB, as text.")
    error: str | None = strawberry.field(description="Why no answer came: one word, a colon, a sentence.")
    timing: WebhookTestTiming

    @classmethod
    def of(cls, prepared: Prepared, outcome: Outcome) -> Self:
        result = outcome.result
        text = result.body.decode("utf-8", "replace").replace("\0", "\ufffd")[:MAX_TEXT] if result else None
        return cls(
            passed=outcome.passed,
            findings=[WebhookFinding.of(found) for found in outcome.findings],
            sent_body=prepared.signed.body.decode(),
            sent_headers=cast(Any, prepared.shown_headers()),
            addresses=outcome.addresses,
            tls=_tls(outcome),
            redirect=outcome.redirect,
            status_code=result.status if result else None,
            answer_body=text,
            error=": ".join(outcome.error) if outcome.error else None,
            timing=_timing(outcome),
        )


def _tls(outcome: Outcome) -> WebhookTestTls | None:
    if (facts := outcome.tls) is None:
        return None
    certificate = facts.certificate
    return WebhookTestTls(
        version=facts.version,
        trusted=facts.trusted,
        problem=facts.problem[1] if facts.problem else None,
        subject=certificate.subject if certificate else None,
        issuer=certificate.issuer if certificate else None,
        names=certificate.names if certificate else [],
        not_before=DateTime(certificate.not_before) if certificate else None,
        not_after=DateTime(certificate.not_after) if certificate else None,
    )


def _timing(outcome: Outcome) -> WebhookTestTiming:
    timing = outcome.timing
    parts = (timing.dns, timing.tls_check, timing.connect, timing.tls, timing.first_byte)
    dns, tls_check, connect, tls, first_byte = (None if part is None else round(part) for part in parts)
    return WebhookTestTiming(
        dns_ms=dns,
        tls_check_ms=tls_check,
        connect_ms=connect,
        tls_ms=tls,
        first_byte_ms=first_byte,
        total_ms=round(timing.total),
    )
