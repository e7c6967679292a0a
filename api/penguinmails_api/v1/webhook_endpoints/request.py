"""What is sent to an endpoint, and with what: payload, filter, headers, signatures, a client certificate."""

from enum import StrEnum
from typing import Annotated, Any, Self

from pydantic import ConfigDict, Field

from penguinmails_api.v1.common import RequestBody, Resource, Timestamp, typeid
from penguinmails_api.v1.limits import AtMost
from penguinmails_core import models
from penguinmails_core.kit.ids import Prefix
from penguinmails_core.webhook_endpoints.certificates import MAX_PEM, describe
from penguinmails_core.webhook_endpoints.headers import MAX_HEADERS, MAX_VALUE
from penguinmails_webhooks.catalogue import LATEST_VERSION
from penguinmails_webhooks.filters import Explanation


class WebhookPayload(StrEnum):
    """`thin`: of the data only ids, so that nothing about people leaves; get the event by its id for the rest."""

    FULL = "full"
    THIN = "thin"


class WebhookSignature(StrEnum):
    """`hmac`: a shared secret (`v1`). `ed25519`: a key pair (`v1a`), so that receivers hold nothing secret."""

    HMAC = "hmac"
    ED25519 = "ed25519"


class WebhookClientCertificateInput(RequestBody):
    """What we show a receiver that asks who calls (mutual TLS)."""

    certificate: str = Field(
        json_schema_extra={"maxLength": MAX_PEM},
        description="PEM: the endpoint's own certificate, then up to four intermediates.",
        examples=["-----BEGIN CERTIFICATE-----\nMIIB...\n-----END CERTIFICATE-----\n"],
    )
    private_key: str = Field(
        json_schema_extra={"maxLength": MAX_PEM},
        description="PEM, without a passphrase: RSA of 2048 bits or more, elliptic curve or Ed25519. Sealed, and never "
        "shown.",
        examples=["-----BEGIN PRIVATE KEY-----\nMC4C...\n-----END PRIVATE KEY-----\n"],
    )


class WebhookClientCertificate(Resource):
    """The client certificate of an endpoint, without its key."""

    subject: str = Field(description="Distinguished name (RFC 4514).", examples=["CN=penguinmails,O=Penguins"])
    issuer: str = Field(examples=["CN=Penguins CA"])
    serial_number: str = Field(description="In hexadecimal.", examples=["4f9a"])
    fingerprint: str = Field(
        description="SHA-256 in hexadecimal.",
        examples=["9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"],
    )
    not_before: Timestamp
    expires_at: Timestamp = Field(description="From then on receivers refuse it: give another one before.")

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
            not_before=info.not_before,
            expires_at=info.expires_at,
        )


EventIdInBody = Annotated[str, typeid(Prefix.EVENT)]


class WebhookFilterTest(RequestBody):
    """A filter and one event: one of the log, a sample of the catalogue, or one of your own."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"filter": {"data.tags": "order"}, "event_type": "email.delivered"}]}
    )

    filter: dict[str, Any] = Field(examples=[{"data.recipient.address": {"$endsWith": "@example.com"}}])
    event_id: EventIdInBody | None = Field(None, description="An event of the log; needs the scope `events:read`.")
    event_type: str | None = Field(
        None, max_length=100, description="The catalogue's example of this type.", examples=["email.delivered"]
    )
    event: dict[str, Any] | None = Field(
        None, description="A whole event of your own, as it would be sent.", examples=[{"type": "email.delivered"}]
    )


class WebhookFilterClause(Resource):
    """One comparison of the filter."""

    pointer: str = Field(description="Where it stands in the request.", examples=["/filter/data.tags/$eq"])
    path: list[str] = Field(description="What it looks at.", examples=[["data", "tags"]])
    operator: str = Field(examples=["$eq"])
    operand: Any = Field(description="What it compares with.", examples=["order"])
    found: list[Any] = Field(description="What stood there, at most ten values; empty: nothing.", examples=[["order"]])
    holds: bool


class WebhookFilterResult(Resource):
    """Whether the event passes the filter, and why."""

    matches: bool
    failed: list[str] = Field(
        description="Pointers to what kept the event out; empty when it passes.", examples=[["/filter/$not"]]
    )
    clauses: list[WebhookFilterClause] = Field(description="Every comparison, in the order of the filter.")

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
                    found=list(item.found),
                    holds=item.holds,
                )
                for item in found.clauses
            ],
        )


_Headers = Annotated[
    dict[str, Annotated[str, AtMost(maxLength=MAX_VALUE)]],
    AtMost(maxProperties=MAX_HEADERS),
]
Payload = Annotated[WebhookPayload, Field(description="How much of an event is sent.")]
EventFilter = Annotated[
    dict[str, Any] | None,
    Field(
        description="Only events for which this predicate holds, such as "
        '`{"data.recipient.address": {"$endsWith": "@example.com"}}`. Operators: `$eq`, `$ne`, `$in`, `$nin`, `$gt`, '
        "`$gte`, `$lt`, `$lte`, `$startsWith`, `$endsWith`, `$contains`, `$exists`, `$and`, `$or`, `$not`. Null: all "
        "that `events` names. Try one with `POST /v1/webhook_endpoints/test_filter`.",
        examples=[{"data.tags": "order"}],
    ),
]
Headers = Annotated[
    _Headers | None,
    Field(
        description="Sent with every request and shown to whoever may read the endpoint; at most "
        f"{MAX_HEADERS}, secret ones included. Names that frame the request (`Host`, `Content-...`, hop-by-hop ones) "
        "or that are ours (`Webhook-...`) are refused.",
        examples=[{"X-Environment": "production"}],
    ),
]
SecretHeaders = Annotated[
    _Headers | None,
    Field(
        description="As `headers`, and never shown again: only their names are. Given anew they replace all before.",
        examples=[{"Authorization": "Bearer 8mXq"}],
    ),
]
SchemaVersion = Annotated[
    int,
    Field(
        strict=True,
        ge=1,
        json_schema_extra={"maximum": LATEST_VERSION},
        description="The newest version of the event catalogue that the receiver knows; events that have changed since "
        "are sent in their shape of then. Left out when it is made: the newest of today.",
        examples=[LATEST_VERSION],
    ),
]
ClientCertificate = Annotated[
    WebhookClientCertificateInput | None,
    Field(description="For receivers that ask for mutual TLS; null for none."),
]
Secret = Annotated[
    str | None,
    Field(
        max_length=200,
        description="A secret of your own: `whsec_` and 24 to 64 bytes in base64, or `whsk_` and an Ed25519 key. Left "
        "out: a new random one.",
    ),
]
Signature = Annotated[WebhookSignature | None, Field(description="Left out: `hmac`, or as `secret` says.")]

PublicKey = Annotated[
    str | None,
    Field(
        description="What `v1a` signatures are verified with, of `ed25519`; no secret.",
        examples=["whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4="],
    ),
]


def request_of(row: models.WebhookEndpoint) -> dict[str, Any]:
    """The members of an endpoint that tell of it, by name."""
    return {
        "payload": WebhookPayload(row.payload),
        "filter": row.filter,
        "headers": row.headers,
        "secret_header_names": row.secret_header_names,
        "schema_version": row.schema_version,
        "signature": WebhookSignature(row.signature),
        "public_key": row.public_key,
        "client_certificate": WebhookClientCertificate.of(row),
    }
