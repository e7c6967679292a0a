"""Where an endpoint's `url` leads: an HTTP receiver, or a queue."""

from enum import StrEnum
from typing import Annotated, Any, Self

from pydantic import Field

from penguinmails_api.v1.common import RequestBody, Resource
from penguinmails_core import models


class WebhookDestinationType(StrEnum):
    """`http`: a signed POST to `url`. `redis_stream`: an entry in a stream of Redis or Valkey (`rediss://host:6379/0`).
    `sqs`: a message in a queue of Amazon SQS (the queue's URL). `nats`: a message on a subject (`tls://host:4222`)."""

    HTTP = "http"
    REDIS_STREAM = "redis_stream"
    SQS = "sqs"
    NATS = "nats"


class WebhookDestinationInput(RequestBody):
    """What the type needs; the settings of other types are refused."""

    type: WebhookDestinationType = Field(examples=["http"])
    stream: str | None = Field(None, max_length=512, description="Of `redis_stream`: its key.", examples=[None])
    max_length: int | None = Field(
        None,
        strict=True,
        ge=1,
        le=2**53,
        description="Of `redis_stream`: about so many entries are kept; left out: all.",
        examples=[None],
    )
    region: str | None = Field(
        None, max_length=40, description="Of `sqs`, where the URL does not name it.", examples=[None]
    )
    access_key_id: str | None = Field(
        None, max_length=128, description="Of `sqs`: of a user who may do sqs:SendMessage.", examples=[None]
    )
    subject: str | None = Field(None, max_length=255, description="Of `nats`.", examples=[None])
    jetstream: bool | None = Field(
        None,
        strict=True,
        description="Of `nats`: wait until a stream has stored the message; `true` when left out.",
        examples=[None],
    )
    username: str | None = Field(None, max_length=255, description="Of `redis_stream` and `nats`.", examples=[None])
    secret: str | None = Field(
        None,
        min_length=1,
        max_length=1000,
        description="Password, token of `nats` (without `username`), or secret access key of `sqs`. Sealed, never "
        "shown. Left out while the type stays: the one before.",
        examples=[None],
    )


class WebhookDestination(Resource):
    """Settings of other types are null."""

    type: WebhookDestinationType
    stream: str | None = Field(examples=[None])
    max_length: int | None = Field(examples=[None])
    region: str | None = Field(examples=[None])
    access_key_id: str | None = Field(examples=[None])
    subject: str | None = Field(examples=[None])
    jetstream: bool | None = Field(examples=[None])
    username: str | None = Field(examples=[None])
    secret_set: bool = Field(description="Whether a password, token or key is set.", examples=[False])

    @classmethod
    def of(cls, row: models.WebhookEndpoint) -> Self:
        names = set(cls.model_fields) - {"type", "secret_set"}
        return cls(
            type=WebhookDestinationType(row.destination),
            secret_set=row.destination_secret is not None,
            **{name: row.destination_settings.get(name) for name in names},
        )


Destination = Annotated[
    WebhookDestinationInput | None,
    Field(
        description="What kind of place `url` is; left out: an HTTP receiver, or what it was.",
        examples=[{"type": "http"}],
    ),
]


def destination_of(row: models.WebhookEndpoint) -> dict[str, Any]:
    return {"destination": WebhookDestination.of(row)}
