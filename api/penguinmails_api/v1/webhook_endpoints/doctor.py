"""A test of a webhook endpoint as the API shows it: what was sent, what happened, what it means."""

from enum import StrEnum
from typing import Annotated, Any, Self

from pydantic import Field, field_validator, model_validator

from penguinmails_api.v1.common import RequestBody, Resource, Timestamp, typeid
from penguinmails_core.kit import ids
from penguinmails_core.kit.ids import Prefix
from penguinmails_core.kit.tls import TlsFacts
from penguinmails_webhooks.doctor import Finding
from penguinmails_webhooks.doctor_run import Outcome
from penguinmails_webhooks.doctor_service import Ask, Prepared

MAX_TEXT = 16 * 1024  # characters of an answer that are shown
MAX_HEADERS, MAX_HEADER = 50, 1_000


class WebhookTestRequest(RequestBody):
    """What to send. With nothing of it, a `webhook.test` event is queued, and its delivery is recorded. With anything,
    a signed test is sent at once, nothing is recorded, and the answer says what happened."""

    event_type: str | None = Field(
        None,
        max_length=100,
        description="Send the sample of this event type, such as `email.bounced`. With `data` alone: `webhook.test`.",
        examples=["email.bounced"],
    )
    event_id: Annotated[str, typeid(Prefix.EVENT)] | None = Field(
        None, description="Send this event of the log instead of a sample. Needs the scope `events:read`."
    )
    data: dict[str, Any] | None = Field(
        None, description="In place of the event's own `data`; up to 64 KB.", examples=[{"hello": "world"}]
    )

    @field_validator("event_id")
    @classmethod
    def _readable(cls, value: str | None) -> str | None:
        if value is not None:
            ids.decode(Prefix.EVENT, value)
        return value

    @model_validator(mode="after")
    def _one_event(self) -> Self:
        if self.event_type is not None and self.event_id is not None:
            raise ValueError("give `event_type` or `event_id`, not both")
        return self

    def ask(self) -> Ask:
        event_id = ids.decode(Prefix.EVENT, self.event_id) if self.event_id is not None else None
        return Ask(self.event_type, event_id, self.data)


class WebhookFindingLevel(StrEnum):
    """`warning`: it works, and hides a mistake or will break."""

    OK = "ok"
    WARNING = "warning"
    ERROR = "error"


class WebhookByteDifference(Resource):
    """The first byte in which the body that you signed differs from the one that was sent."""

    offset: int = Field(description="Counts from 0.", examples=[8])
    expected: str = Field(description="Up to 16 bytes as sent; empty when the body ends there.", examples=['"a":1}'])
    got: str = Field(description="Up to 16 bytes as you had them.", examples=['"a": 1}'])


class WebhookFinding(Resource):
    """One thing that the test showed."""

    level: WebhookFindingLevel
    code: str = Field(
        description="For programs, such as `signature_ok`, `wrong_secret`, `body_reserialised`, `clock_off`, "
        "`redirect`, `status`, `certificate_expired`; more may be added.",
        examples=["body_reserialised"],
    )
    detail: str = Field(description="For people.", examples=["Clock off by 412 s: yours is behind."])
    difference: WebhookByteDifference | None = Field(description="Where a body was changed.")

    @classmethod
    def of(cls, found: Finding) -> Self:
        parting = found.difference
        shown = (
            WebhookByteDifference(offset=parting.offset, expected=parting.expected, got=parting.got)
            if parting is not None
            else None
        )
        return cls(level=WebhookFindingLevel(found.level), code=found.code, detail=found.detail, difference=shown)


class WebhookTestTls(Resource):
    """What the receiver's TLS looks like."""

    version: str | None = Field(description="Null when no handshake came about.", examples=["TLSv1.3"])
    trusted: bool
    problem: str | None = Field(description="Why it is not trusted, in words.")
    subject: str | None = Field(description="Of the certificate (RFC 4514).", examples=["CN=hooks.example.com"])
    issuer: str | None = Field(examples=["CN=R11,O=Let's Encrypt,C=US"])
    names: list[str] = Field(description="What the certificate is for; up to 20.", examples=[["hooks.example.com"]])
    not_before: Timestamp | None
    not_after: Timestamp | None

    @classmethod
    def of(cls, facts: TlsFacts) -> Self:
        certificate = facts.certificate
        return cls(
            version=facts.version,
            trusted=facts.trusted,
            problem=facts.problem[1] if facts.problem else None,
            subject=certificate.subject if certificate else None,
            issuer=certificate.issuer if certificate else None,
            names=certificate.names if certificate else [],
            not_before=certificate.not_before if certificate else None,
            not_after=certificate.not_after if certificate else None,
        )


class WebhookTestTiming(Resource):
    """Milliseconds; null for what did not happen."""

    dns_ms: int | None
    tls_check_ms: int | None = Field(description="A handshake before the request, to look at the certificate.")
    connect_ms: int | None = Field(description="The request's own connection.")
    tls_ms: int | None = Field(description="Its TLS handshake.")
    first_byte_ms: int | None = Field(description="From the last byte of the request to the first of the answer.")
    total_ms: int = Field(description="Of at most 15,000.", examples=[184])


class WebhookTestSent(Resource):
    """The request as it was sent."""

    headers: dict[str, str] = Field(examples=[{"webhook-id": "evt_01k5w8m3xjf2r9v0q4tz7h6cde", "webhook-test": "true"}])
    body: str = Field(description="What was signed, to the byte.", examples=['{"id":"evt_01k5w8m3xjf2r9v0q4tz7h6cde"}'])


class WebhookTestAnswer(Resource):
    """What the receiver answered."""

    status_code: int = Field(examples=[204])
    headers: dict[str, str] = Field(description="Up to 50, without cookies.")
    body: str = Field(description="The first 16 KB, as text.")
    truncated: bool = Field(description="There was more.")


class WebhookTestError(Resource):
    """Why no answer came."""

    code: str = Field(
        description="`dns`, `forbidden_address`, `connect`, `tls`, `timeout`, `protocol` or `invalid_url`; more may be "
        "added.",
        examples=["timeout"],
    )
    detail: str = Field(examples=["no complete answer within 15 s (waiting for the answer)"])


class WebhookTestResult(Resource):
    """What happened when a test was sent."""

    passed: bool = Field(description="It was received, and nothing is an error.")
    url: str
    findings: list[WebhookFinding] = Field(description="What it means, in words; also of the signature.")
    sent: WebhookTestSent
    addresses: list[str] = Field(description="What the host resolves to.", examples=[["203.0.113.7"]])
    tls: WebhookTestTls | None = Field(description="Null for plain http, and when no connection came about.")
    redirect: str | None = Field(description="Where the answer sends to. Redirects are never followed.")
    answer: WebhookTestAnswer | None = Field(description="Null when none came.")
    error: WebhookTestError | None = Field(description="Null when an answer came.")
    timing: WebhookTestTiming

    @classmethod
    def of(cls, prepared: Prepared, outcome: Outcome) -> Self:
        timing = outcome.timing
        findings = [WebhookFinding.of(found) for found in outcome.findings]
        return cls(
            passed=outcome.passed,
            url=prepared.url,
            findings=findings,
            sent=WebhookTestSent(headers=prepared.shown_headers(), body=prepared.signed.body.decode()),
            addresses=outcome.addresses,
            tls=WebhookTestTls.of(outcome.tls) if outcome.tls else None,
            redirect=outcome.redirect,
            answer=_answer(outcome),
            error=WebhookTestError(code=outcome.error[0], detail=outcome.error[1]) if outcome.error else None,
            timing=WebhookTestTiming(
                dns_ms=_round(timing.dns),
                tls_check_ms=_round(timing.tls_check),
                connect_ms=_round(timing.connect),
                tls_ms=_round(timing.tls),
                first_byte_ms=_round(timing.first_byte),
                total_ms=round(timing.total),
            ),
        )


def _round(value: float | None) -> int | None:
    return None if value is None else round(value)


def _answer(outcome: Outcome) -> WebhookTestAnswer | None:
    result = outcome.result
    if result is None:
        return None
    text = result.body.decode("utf-8", "replace").replace("\0", "\ufffd")
    headers = [(name, value) for name, value in result.headers.items() if name.lower() != "set-cookie"]
    return WebhookTestAnswer(
        status_code=result.status,
        headers={name: value.encode("utf-8", "replace").decode()[:MAX_HEADER] for name, value in headers[:MAX_HEADERS]},
        body=text[:MAX_TEXT],
        truncated=result.truncated or len(text) > MAX_TEXT,
    )


class WebhookTestReport(Resource):
    """A test that was queued (`delivery_id`), or one that was sent at once (`result`)."""

    event_id: Annotated[str, typeid(Prefix.EVENT)] = Field(description="Arrives as `webhook-id`.")
    delivery_id: Annotated[str, typeid(Prefix.WEBHOOK_DELIVERY)] | None = Field(
        description="Of a queued test: its delivery says what the receiver answered. Null when it was sent at once."
    )
    result: WebhookTestResult | None = Field(description="Of a test that was sent at once; null in a rehearsal.")
