"""Signing secrets of an endpoint as the API shows them: never what they are, always when they end."""

from collections.abc import Iterable
from typing import Annotated, Self
from uuid import UUID

from pydantic import ConfigDict, Field

from penguinmails_api.v1.common import RequestBody, Resource, Timestamp, from_path, typeid
from penguinmails_api.v1.webhook_endpoints.request import PublicKey, Secret, WebhookSignature
from penguinmails_core.kit import ids
from penguinmails_core.kit.ids import Prefix
from penguinmails_core.webhook_endpoints.secrets import MAX_OVERLAP, OVERLAP, SecretFacts

SecretIdInPath = Annotated[
    UUID, from_path(Prefix.WEBHOOK_SECRET, "secret of this webhook endpoint"), typeid(Prefix.WEBHOOK_SECRET)
]


class WebhookSecretRotate(RequestBody):
    """All of it may be left out."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"overlap_seconds": 86400}]})

    secret: Secret = None
    signature: WebhookSignature | None = Field(
        None, description="Another kind; left out: as before, or as `secret` says."
    )
    overlap_seconds: int = Field(
        int(OVERLAP.total_seconds()),
        strict=True,
        ge=0,
        le=int(MAX_OVERLAP.total_seconds()),
        description="How long requests are signed with the secret before, too; 0 ends it at once.",
    )


class WebhookSecret(Resource):
    """A secret that signs requests at the moment."""

    id: Annotated[str, typeid(Prefix.WEBHOOK_SECRET)]
    signature: WebhookSignature
    public_key: PublicKey
    hint: str | None = Field(
        description="The first 8 hexadecimal digits of the SHA-256 of the secret as it was shown, `whsec_` included.",
        examples=["9f86d081"],
    )
    created_at: Timestamp
    expires_at: Timestamp | None = Field(description="When it stops signing; null for the current one.")

    @classmethod
    def of(cls, facts: SecretFacts) -> Self:
        return cls(
            id=ids.encode(Prefix.WEBHOOK_SECRET, facts.id),
            signature=WebhookSignature(facts.signature),
            public_key=facts.public_key,
            hint=facts.hint,
            created_at=facts.created_at,
            expires_at=facts.expires_at,
        )


class WebhookSecrets(Resource):
    """All secrets that sign at the moment, the current one first."""

    data: list[WebhookSecret]

    @classmethod
    def of(cls, found: Iterable[SecretFacts]) -> Self:
        return cls(data=[WebhookSecret.of(facts) for facts in found])
