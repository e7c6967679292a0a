"""What is sent to an endpoint, and with what: payload, filter, headers, signatures, a client certificate."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Self

import strawberry
from strawberry.scalars import JSON

from penguinmails_core import models
from penguinmails_core.kit import ids
from penguinmails_core.kit.ids import Prefix
from penguinmails_core.webhook_endpoints.certificates import describe
from penguinmails_core.webhook_endpoints.secrets import SecretFacts
from penguinmails_graphql.scalars import DateTime, string_map
from penguinmails_webhooks.filters import Explanation


@strawberry.enum(description="`THIN`: of the data only ids.")
class WebhookPayload(StrEnum):
    FULL = "full"
    THIN = "thin"


@strawberry.enum(description="`HMAC`: a shared secret. `ED25519`: a key pair, so that receivers hold nothing secret.")
class WebhookSignature(StrEnum):
    HMAC = "hmac"
    ED25519 = "ed25519"


@strawberry.input(description="For mutual TLS; both are PEM, the key without a passphrase.")
class WebhookClientCertificateInput:
    certificate: str
    private_key: str


@strawberry.type(description="The client certificate of an endpoint, without its key.")
class WebhookClientCertificate:
    subject: str
    issuer: str
    serial_number: str
    fingerprint: str = strawberry.field(description="SHA-256 in hexadecimal.")
    not_before: DateTime
    expires_at: DateTime

    @classmethod
    def of(cls, row: models.WebhookEndpoint) -> Self | None:
        if row.client_certificate is None:
            return None
        info = describe(row.client_certificate)
        return cls(
            subject=info.subject,
            issuer=info.issuer,
            serial_number=info.serial_number,
            fingerprint=info.fingerprint,
            not_before=DateTime(info.not_before),
            expires_at=DateTime(info.expires_at),
        )


@strawberry.type(description="A secret that signs requests at the moment; what it is, is not shown.")
class WebhookSecret:
    id: strawberry.ID
    signature: WebhookSignature
    public_key: str | None
    hint: str | None = strawberry.field(description="The first 8 hexadecimal digits of the secret's SHA-256.")
    created_at: DateTime
    expires_at: DateTime | None = strawberry.field(description="When it stops signing; null for the current one.")

    @classmethod
    def of(cls, facts: SecretFacts) -> Self:
        return cls(
            id=strawberry.ID(ids.encode(Prefix.WEBHOOK_SECRET, facts.id)),
            signature=WebhookSignature(facts.signature),
            public_key=facts.public_key,
            hint=facts.hint,
            created_at=DateTime(facts.created_at),
            expires_at=DateTime(facts.expires_at) if facts.expires_at else None,
        )


@strawberry.type(description="One comparison of a filter.")
class WebhookFilterClause:
    pointer: str = strawberry.field(description="Where it stands in the filter.")
    path: list[str]
    operator: str
    operand: JSON | None
    found: JSON = strawberry.field(description="What stood there, at most ten values.")
    holds: bool


@strawberry.type(description="Whether an event passes a filter, and why.")
class WebhookFilterResult:
    matches: bool
    failed: list[str] = strawberry.field(description="Pointers to what kept the event out.")
    clauses: list[WebhookFilterClause]

    @classmethod
    def of(cls, found: Explanation) -> Self:
        return cls(
            matches=found.matches,
            failed=list(found.failed),
            clauses=[
                WebhookFilterClause(
                    pointer=item.clause.pointer,
                    path=list(item.clause.path),
                    operator=item.clause.operator,
                    operand=item.clause.operand,
                    found=JSON(list(item.found)),
                    holds=item.holds,
                )
                for item in found.clauses
            ],
        )


def given_request(input: Any) -> dict[str, Any]:
    """The settings of this page as far as an input gives them."""
    found: dict[str, Any] = {}
    for name in ("filter", "headers", "secret_headers", "client_certificate", "payload", "schema_version"):
        value = getattr(input, name)
        if value is strawberry.UNSET:
            continue
        if name in ("payload", "schema_version") and value is None:
            continue  # they cannot be emptied
        found[name] = string_map(value, name) if name in ("headers", "secret_headers") else value
    certificate = found.get("client_certificate")
    if certificate is not None:
        found["client_certificate"] = {
            "certificate": certificate.certificate,
            "private_key": certificate.private_key,
        }
    return found


def request_of(row: models.WebhookEndpoint) -> dict[str, Any]:
    """The members of an endpoint that tell of it, by name."""
    return {
        "filter": JSON(row.filter) if row.filter is not None else None,
        "payload": WebhookPayload(row.payload),
        "headers": JSON(row.headers),
        "secret_header_names": row.secret_header_names,
        "signature": WebhookSignature(row.signature),
        "public_key": row.public_key,
        "schema_version": row.schema_version,
        "client_certificate": WebhookClientCertificate.of(row),
    }
