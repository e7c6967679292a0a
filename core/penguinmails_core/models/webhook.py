"""Webhook endpoints, what is owed to them, and every attempt."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, Index, LargeBinary, SmallInteger, Text, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from penguinmails_core.models.base import Base, TableFacts, TenantKey, Timestamps


class WebhookEndpoint(TenantKey, Timestamps, Base):
    __tablename__ = "webhook_endpoints"
    __table_args__ = (
        CheckConstraint("mode in ('live', 'test')", name="mode"),
        CheckConstraint("status in ('enabled', 'disabled')", name="status"),
        CheckConstraint("signature in ('hmac', 'ed25519')", name="signature"),
        CheckConstraint("payload in ('full', 'thin')", name="payload"),
        CheckConstraint("(client_certificate is null) = (client_key is null)", name="client_certificate"),
        CheckConstraint("(throttle_limit is null) = (throttle_period is null) and throttle_limit > 0", name="throttle"),
        CheckConstraint("throttle_period in ('second', 'minute')", name="throttle_period"),
        CheckConstraint("concurrency > 0", name="concurrency"),
        CheckConstraint("fifo in ('endpoint', 'email_id', 'contact_id', 'resource')", name="fifo"),
        CheckConstraint("destination in ('http', 'redis_stream', 'sqs', 'nats')", name="destination"),
        CheckConstraint("breaker in ('closed', 'open', 'half_open')", name="breaker"),
        CheckConstraint("notice in ('disabled', 'enabled')", name="notice"),
        Index("ix_webhook_endpoints_probe_at", "probe_at", postgresql_where=text("probe_at is not null")),
        Index(
            "ix_webhook_endpoints_consumer",
            "organization_id",
            "consumer",
            "id",
            postgresql_where=text("consumer is not null"),
        ),
        Index("ix_webhook_endpoints_notice", "notice", postgresql_where=text("notice is not null")),
    )
    facts = TableFacts("tenant", "until deleted", personal=("url", "metadata", "consumer"))

    workspace_id: Mapped[uuid.UUID | None]
    # Which customer of the organization it belongs to, in the organization's own words; null: it is its own.
    consumer: Mapped[str | None] = mapped_column(Text)
    mode: Mapped[str] = mapped_column(Text)
    url: Mapped[str] = mapped_column(Text)
    events: Mapped[list[str]] = mapped_column(ARRAY(Text))
    description: Mapped[str | None] = mapped_column(Text)
    metadata_: Mapped[dict[str, Any]] = mapped_column("metadata", JSONB, server_default=text("'{}'"))
    status: Mapped[str] = mapped_column(Text, server_default="enabled")
    disabled_reason: Mapped[str | None] = mapped_column(Text)
    failing_since: Mapped[datetime | None]
    # The current signing secret, sealed, and what may be shown of it; old ones as objects, see `secrets.replace`.
    secret: Mapped[bytes] = mapped_column(LargeBinary)
    secret_id: Mapped[uuid.UUID] = mapped_column(server_default=text("gen_random_uuid()"))
    secret_hint: Mapped[str | None] = mapped_column(Text)
    secret_created_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    signature: Mapped[str] = mapped_column(Text, server_default="hmac")
    public_key: Mapped[str | None] = mapped_column(Text)
    older_secrets: Mapped[list[dict[str, Any]]] = mapped_column(JSONB, server_default=text("'[]'"))
    # What is sent, and with what. Secret headers and the client's key are sealed.
    payload: Mapped[str] = mapped_column(Text, server_default="full")
    schema_version: Mapped[int] = mapped_column(SmallInteger, server_default="1")
    filter: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    headers: Mapped[dict[str, str]] = mapped_column(JSONB, server_default=text("'{}'"))
    secret_header_names: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default=text("'{}'"))
    secret_headers: Mapped[bytes | None] = mapped_column(LargeBinary)
    client_certificate: Mapped[str | None] = mapped_column(Text)
    client_key: Mapped[bytes | None] = mapped_column(LargeBinary)
    # Where `url` leads: an HTTP receiver, or a queue. `destination_secret` is sealed.
    destination: Mapped[str] = mapped_column(Text, server_default="http")
    destination_settings: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default=text("'{}'"))
    destination_secret: Mapped[bytes | None] = mapped_column(LargeBinary)
    event_sequence: Mapped[int] = mapped_column(server_default="0")
    # How fast, how many at once, in which order: what the endpoint's owner asked for.
    throttle_limit: Mapped[int | None]
    throttle_period: Mapped[str | None] = mapped_column(Text)
    concurrency: Mapped[int | None] = mapped_column(SmallInteger)
    fifo: Mapped[str | None] = mapped_column(Text)
    # Where the delivery engine stands. `throttle_at`: when the next request is allowed. `throttled_since`: since then
    # more has been due than the throttle lets through. `breaker_until`: nothing is sent before. `failing_confirmed_at`:
    # a failure long enough after the first one. `notice`: what its owners have not been told of yet.
    fifo_position: Mapped[int] = mapped_column(BigInteger, server_default="0")
    throttle_at: Mapped[datetime | None]
    throttled_since: Mapped[datetime | None]
    breaker: Mapped[str] = mapped_column(Text, server_default="closed")
    breaker_until: Mapped[datetime | None]
    breaker_openings: Mapped[int] = mapped_column(SmallInteger, server_default="0")
    consecutive_failures: Mapped[int] = mapped_column(server_default="0")
    failing_confirmed_at: Mapped[datetime | None]
    disabled_at: Mapped[datetime | None]
    probe_at: Mapped[datetime | None]
    probes: Mapped[int] = mapped_column(SmallInteger, server_default="0")
    notice: Mapped[str | None] = mapped_column(Text)


HELD = datetime(9999, 1, 1, tzinfo=UTC)
"""`due_at` of a delivery that waits for those before it. A time that never comes keeps it out of every claim."""


class WebhookDelivery(TenantKey, Base):
    """One event owed to one endpoint. `due_at` is null when nothing is owed any more, and `HELD` while deliveries of
    the same `fifo_key` with a lower `fifo_position` are owed. `leased`: under way until `due_at`, of endpoints that
    limit how many may be."""

    __tablename__ = "webhook_deliveries"
    __table_args__ = (
        UniqueConstraint("organization_id", "endpoint_id", "event_id"),
        # By endpoint first: a claim takes so many of each endpoint, however long the backlog of another one is.
        Index(
            "ix_webhook_deliveries_due",
            "organization_id",
            "endpoint_id",
            "due_at",
            postgresql_where=text("due_at is not null"),
        ),
        Index(
            "ix_webhook_deliveries_fifo",
            "organization_id",
            "endpoint_id",
            "fifo_key",
            "fifo_position",
            postgresql_where=text("fifo_key is not null and due_at is not null"),
        ),
        Index("ix_webhook_deliveries_leased", "organization_id", "endpoint_id", postgresql_where=text("leased")),
        Index(
            "ix_webhook_deliveries_replay",
            "organization_id",
            "replay_id",
            postgresql_where=text("replay_id is not null"),
        ),
        # What is searched for: failures, which are few, and events of a type.
        Index(
            "ix_webhook_deliveries_ended",
            "organization_id",
            "status",
            "id",
            postgresql_where=text("status in ('exhausted', 'cancelled')"),
        ),
        Index(
            "ix_webhook_deliveries_code",
            "organization_id",
            "last_status_code",
            "id",
            postgresql_where=text("last_status_code >= 300"),
        ),
        Index(
            "ix_webhook_deliveries_error",
            "organization_id",
            text("split_part(last_error, ':', 1)"),
            "id",
            postgresql_where=text("last_error is not null"),
        ),
        Index("ix_webhook_deliveries_type", "organization_id", "event_type", "id"),
        CheckConstraint("status in ('pending', 'delivered', 'exhausted', 'cancelled')", name="status"),
        {"postgresql_with": {"fillfactor": "85"}},
    )
    facts = TableFacts("tenant", "30 days, with the events", app=("select", "insert", "update"))

    endpoint_id: Mapped[uuid.UUID]
    event_id: Mapped[uuid.UUID]
    event_created_at: Mapped[datetime]
    event_type: Mapped[str] = mapped_column(Text)
    status: Mapped[str] = mapped_column(Text, server_default="pending")
    due_at: Mapped[datetime | None]
    attempts: Mapped[int] = mapped_column(SmallInteger, server_default="0")
    last_status_code: Mapped[int | None] = mapped_column(SmallInteger)
    last_error: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    delivered_at: Mapped[datetime | None]
    fifo_key: Mapped[str | None] = mapped_column(Text)
    fifo_position: Mapped[int | None] = mapped_column(BigInteger)
    leased: Mapped[bool] = mapped_column(server_default=text("false"))
    throttled_ms: Mapped[int] = mapped_column(server_default="0")
    replay_id: Mapped[uuid.UUID | None]  # the last replay that made it due


class WebhookAttempt(TenantKey, Base):
    """`detail`: how long each part took, whom it reached, and the headers of both sides; secrets are masked."""

    __tablename__ = "webhook_attempts"
    __table_args__ = (Index("ix_webhook_attempts_delivery", "organization_id", "delivery_id"),)
    facts = TableFacts("tenant", "30 days", personal=("response_body", "detail"), app=("select",))

    delivery_id: Mapped[uuid.UUID]
    endpoint_id: Mapped[uuid.UUID]
    number: Mapped[int] = mapped_column(SmallInteger)
    started_at: Mapped[datetime]
    duration_ms: Mapped[int]
    status_code: Mapped[int | None] = mapped_column(SmallInteger)
    error: Mapped[str | None] = mapped_column(Text)
    response_body: Mapped[str | None] = mapped_column(Text)
    detail: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
