"""Where an endpoint's `url` leads: an HTTP receiver, or a queue."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Self

import strawberry

from penguinmails_core import models

_SETTINGS = ("stream", "max_length", "region", "access_key_id", "subject", "jetstream", "username")


@strawberry.enum(description="`HTTP`: a signed POST. The others are queues and streams.")
class WebhookDestinationType(StrEnum):
    HTTP = "http"
    REDIS_STREAM = "redis_stream"
    SQS = "sqs"
    NATS = "nats"


@strawberry.input(description="What the type needs; the settings of other types are refused.")
class WebhookDestinationInput:
    type: WebhookDestinationType
    stream: str | None = None
    max_length: int | None = None
    region: str | None = None
    access_key_id: str | None = None
    subject: str | None = None
    jetstream: bool | None = None
    username: str | None = None
    secret: str | None = strawberry.field(
        default=None, description="Never shown. Left out while the type stays: the one before."
    )


@strawberry.type(description="Settings of other types are null.")
class WebhookDestination:
    type: WebhookDestinationType
    stream: str | None
    max_length: int | None
    region: str | None
    access_key_id: str | None
    subject: str | None
    jetstream: bool | None
    username: str | None
    secret_set: bool

    @classmethod
    def of(cls, row: models.WebhookEndpoint) -> Self:
        return cls(
            type=WebhookDestinationType(row.destination),
            secret_set=row.destination_secret is not None,
            **{name: row.destination_settings.get(name) for name in _SETTINGS},
        )


def given_destination(input: Any) -> dict[str, Any]:
    """`destination` as far as an input gives it."""
    value = input.destination
    if value is strawberry.UNSET or value is None:
        return {}
    return {"destination": {name: getattr(value, name) for name in ("type", "secret", *_SETTINGS)}}
