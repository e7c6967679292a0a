"""Webhooks, ours and those of others."""

from __future__ import annotations

import ipaddress
import re
from datetime import timedelta
from typing import Annotated

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, NoDecode

from penguinmails_core.config.values import Duration, concern


class WebhookSettings(BaseSettings):
    """Outgoing webhooks."""

    model_config = concern("PENGUINMAILS_WEBHOOK_")

    allow_private: bool = Field(False, description="Allow receivers on private and loopback addresses (demo, sandbox)")
    timeout: float = Field(15.0, gt=0, le=60, description="Seconds a receiver has to answer")
    connect_timeout: float = Field(
        10.0, gt=0, le=60, description="Of these, at most so many seconds until a connection stands"
    )
    concurrency: int = Field(256, ge=1, le=1000, description="Requests in flight at once")
    endpoint_concurrency: int = Field(
        16, ge=1, le=1000, description="Requests in flight at once to one endpoint, while it answers well"
    )
    lease: Duration = Field(timedelta(seconds=60), description="How long a claimed delivery is held")
    poll: Duration = Field(timedelta(seconds=1), description="Longest wait between looks at the log")
    sources: Annotated[list[str], NoDecode] = Field(
        default_factory=list,
        description="Addresses or networks that webhooks are sent from, with commas between them, such as "
        "`192.0.2.10,2001:db8::/64`: what `GET /v1/webhook_sources` tells receivers to let in",
    )
    retry_scale: float = Field(
        1.0, gt=0, le=1, description="Multiplies the retry schedule; below 1 only for trying out"
    )
    breaker_failures: int = Field(
        5, ge=1, le=1000, description="Failures in a row after which nothing is sent to an endpoint for a while"
    )
    breaker_wait: Duration = Field(timedelta(seconds=5), description="How long that is at first; doubled each time")
    breaker_max: Duration = Field(timedelta(minutes=5), description="How long that is at most")
    disable_after: Duration = Field(timedelta(days=5), description="An endpoint that fails for so long is disabled")
    failures_apart: Duration = Field(
        timedelta(hours=12), description="Failures must lie so far apart before an endpoint is disabled for them"
    )
    probe_after: Duration = Field(
        timedelta(hours=1), description="When an endpoint that was disabled for failing is tried again; then doubled"
    )
    probe_max: Duration = Field(timedelta(days=1), description="The longest wait between two such tries")
    probe_for: Duration = Field(timedelta(days=30), description="How long it is tried; zero: never")

    @field_validator("sources", mode="before")
    @classmethod
    def _check_sources(cls, value: object) -> object:
        """As CIDR, each once. Raises `ValueError` for what is no address, and for a network with bits beyond it."""
        if isinstance(value, str):
            value = [part for part in re.split(r"[\s,]+", value) if part]
        if not isinstance(value, list | tuple):
            return value
        return list(dict.fromkeys(str(ipaddress.ip_network(part)) for part in value))


class InboundSettings(BaseSettings):
    """Webhooks of others, received at /inbound/TOKEN."""

    model_config = concern("PENGUINMAILS_INBOUND_")

    max_body_bytes: int = Field(1024 * 1024, ge=1024, le=32 * 1024 * 1024, description="Largest body that is taken")
    rate_limit: int = Field(3000, ge=1, description="Requests a minute to one source")
    rate_burst: int = Field(1000, ge=1, description="Requests to one source at once")
    retention: Duration = Field(
        timedelta(days=30), description="How long messages stay; a repeat is known as one for so long"
    )
    concurrency: int = Field(16, ge=1, le=200, description="Messages that are handled at once")
    lease: Duration = Field(timedelta(minutes=5), description="How long a handler may take before others try again")
    poll: Duration = Field(timedelta(seconds=1), description="Longest wait between looks for messages")
