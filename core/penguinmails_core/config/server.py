"""The server itself: where it stands, who may come in, what it keeps about requests."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Literal

from pydantic import AliasChoices, Field, SecretStr, field_validator
from pydantic_settings import BaseSettings

from penguinmails_core.config.values import Duration, concern, public_origin


class StackSettings(BaseSettings):
    """Where embedded servers and captured mail live."""

    model_config = concern("PENGUINMAILS_")

    data_dir: Path = Field(Path(".penguinmails"), description="Folder of the embedded PostgreSQL, Valkey and inbox")
    secret_keys: SecretStr | None = Field(
        None,
        description="Comma-separated 32-byte keys in base64 that seal secrets at rest, the newest first. "
        "Required with an external database; the embedded stack makes one and keeps it in the data folder.",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least level that is logged")
    log_format: Literal["text", "json"] = Field(
        "text", description="Log lines for people, or one JSON object a line; addresses and secrets are masked in both"
    )
    access_log: bool = Field(False, description="Log a line for each request to the API")
    public_url: str | None = Field(
        None,
        description="Where people and OAuth clients reach this server, such as https://mail.example.com: links in "
        "mail, passkeys, cookies and the issuer go by it. Default: http://localhost and the port",
    )
    system_mail_from: str | None = Field(
        None,
        description="Sender of the server's own mail (verify, reset, invite, webhooks), such as "
        "noreply@mail.example.com. Default: none is sent; the embedded stack keeps it in its inbox",
    )

    @field_validator("public_url")
    @classmethod
    def _check_public_url(cls, value: str | None) -> str | None:
        return None if value is None else public_origin(value)


class DatabaseSettings(BaseSettings):
    """PostgreSQL 15 or newer. Without `DATABASE_URL` the embedded server is started."""

    model_config = concern("PENGUINMAILS_DATABASE_")

    url: SecretStr | None = Field(
        None,
        validation_alias=AliasChoices("DATABASE_URL", "url"),
        description="postgresql://user:password@host:port/database; the user must own the schema or be a member of the "
        "roles penguinmails_app, penguinmails_ingest and penguinmails_worker",
    )
    pool_size: int = Field(10, ge=1, le=200, description="Connections of one process for requests bound to one tenant")
    ingest_connections: int = Field(2, ge=1, le=32, description="Connections that group-commit accepted mail")
    worker_connections: int = Field(6, ge=1, le=64, description="Connections of the sender and webhook engines")


class RedisSettings(BaseSettings):
    """Redis or Valkey: doorbell, rate limits, cache. Losing it loses nothing."""

    model_config = concern("PENGUINMAILS_REDIS_")

    url: SecretStr | None = Field(
        None, validation_alias=AliasChoices("REDIS_URL", "url"), description="redis://:password@host:port/0"
    )


class ContentSettings(BaseSettings):
    """Where bodies and attachments are kept, and for how long."""

    model_config = concern("PENGUINMAILS_CONTENT_")

    database_url: SecretStr | None = Field(
        None, description="An own PostgreSQL for the content tier; default: the same"
    )
    store: Literal["postgresql", "s3"] = Field("postgresql", description="Where blobs are kept")
    s3_endpoint: str | None = Field(None, description="URL of an S3-compatible server; default: AWS")
    s3_bucket: str = Field("penguinmails", description="Bucket for blobs")
    s3_region: str = Field("us-east-1", description="Region that requests are signed for")
    s3_access_key_id: SecretStr | None = Field(None, description="Access key")
    s3_secret_access_key: SecretStr | None = Field(None, description="Secret key")
    retention_transactional: Duration = Field(
        timedelta(days=30), description="How long bodies of transactional mail stay"
    )
    retention_campaign: Duration = Field(timedelta(days=90), description="How long bodies of campaign mail stay")


class ApiSettings(BaseSettings):
    """The HTTP server."""

    model_config = concern("PENGUINMAILS_API_")

    host: str = Field("127.0.0.1", description="Address to listen on")
    port: int = Field(8025, ge=0, le=65535, description="Port to listen on; 0 picks a free one")
    max_message_bytes: int = Field(10 * 1024 * 1024, ge=1024, description="Largest message, attachments decoded")
    max_batch_bytes: int = Field(64 * 1024 * 1024, ge=1024, description="Largest body of POST /v1/emails/batch")
    rate_limit: int | None = Field(
        None, ge=1, description="Requests a minute for one key; default: none but a safety net of 600,000 per process"
    )
    rate_burst: int | None = Field(
        None, ge=1, description="Requests one key may make at once; default: those of a minute"
    )
    address_rate_limit: int | None = Field(
        None, ge=1, description="Requests a minute from one address, with and without credentials; default: no limit"
    )
    address_rate_burst: int | None = Field(
        None, ge=1, description="Requests one address may make at once; default: those of a minute"
    )
    default_plan: str = Field(
        "self_hosted", description="Plan of organizations that were put on none; `self_hosted` has no limits"
    )
    streams: int = Field(1000, ge=1, le=100_000, description="Event streams that one process holds open at once")
    streams_per_key: int = Field(10, ge=1, le=1000, description="Event streams of one key that one process holds open")
    stream_lifetime: Duration = Field(
        timedelta(hours=1), description="An event stream is ended after so long; clients reconnect and miss nothing"
    )
    trusted_proxies: list[str] = Field(default_factory=list, description="Networks whose X-Forwarded-For is believed")


class AuthSettings(BaseSettings):
    """How people sign in."""

    model_config = concern("PENGUINMAILS_AUTH_")

    signup: bool | None = Field(
        None, description="May strangers sign up? Default: only on a server of one's own machine (http://localhost)"
    )
    organizations_per_person: int | None = Field(
        None,
        ge=0,
        description="How many organizations one person may own before the API makes them no other. Default: 10 where "
        "strangers may sign up, else 0",
    )
    password_min_length: int = Field(10, ge=8, le=64, description="Characters a password must have")
    breached_passwords: Path | None = Field(
        None,
        description="Passwords known from breaches, as SHA-1: one sorted file (HASH:COUNT a line) or a folder with one "
        "file for each five-digit prefix. Checked without asking anybody",
    )
    argon2_memory: int = Field(19_456, ge=8, description="KiB of memory for one password hash (Argon2id)")
    argon2_time: int = Field(2, ge=1, le=20, description="Passes over that memory")
    argon2_concurrency: int = Field(2, ge=1, le=64, description="Password hashes computed at once in one process")
    session_idle: Duration = Field(timedelta(minutes=30), description="A browser unused for so long is signed out")
    session_lifetime: Duration = Field(timedelta(days=30), description="A browser is signed out after so long")
    sudo: Duration = Field(
        timedelta(minutes=15), description="How fresh a sign-in must be for keys, secrets and deletion"
    )
    sso_allow_private: bool = Field(
        False,
        description="Allow identity providers on private and loopback addresses and on plain http (demo, sandbox)",
    )


class AuditSettings(BaseSettings):
    """The audit log."""

    model_config = concern("PENGUINMAILS_AUDIT_")

    retention: Duration = Field(
        timedelta(days=730), description="How long entries stay; the rest still verifies when older ones are dropped"
    )


class RequestLogSettings(BaseSettings):
    """The log of API requests that organizations read at `/v1/logs`. Bodies, headers and queries are never kept."""

    model_config = concern("PENGUINMAILS_REQUEST_LOG_")

    enabled: bool = Field(True, description="Whether requests are logged")
    sample: float = Field(1.0, ge=0, le=1, description="Share of successful requests that is logged; errors always are")
    retention: Duration = Field(timedelta(days=7), description="How long requests stay, in whole days")
    ip: Literal["masked", "full", "off"] = Field(
        "masked", description="`masked` keeps the network (24 bits of IPv4, 48 of IPv6) of the caller's address"
    )
    buffer: int = Field(
        20_000,
        ge=100,
        le=1_000_000,
        description="Requests that wait in memory for the database; beyond it the oldest go",
    )


class OAuthSettings(BaseSettings):
    """The OAuth2 and OpenID server."""

    model_config = concern("PENGUINMAILS_OAUTH_")

    access_token_lifetime: Duration = Field(timedelta(minutes=10), description="How long an access token is good")
    refresh_token_lifetime: Duration = Field(
        timedelta(days=90), description="An app that does not refresh for so long must ask the person again"
    )
    refresh_grace: Duration = Field(
        timedelta(seconds=10),
        description="A refresh token used twice within this time is two requests at once, later it is theft: the whole "
        "grant is revoked. 0: always theft",
    )
    key_rotation: Duration = Field(timedelta(days=90), description="How long a signing key signs")
    dynamic_registration: bool = Field(
        True, description="May apps register themselves (RFC 7591)? They read, and send only once an owner approves"
    )
    registration_burst: int = Field(
        20, ge=1, description="Apps that may register themselves from one address at once; then one a minute"
    )


class WorkerSettings(BaseSettings):
    """The worker process."""

    model_config = concern("PENGUINMAILS_WORKER_")

    metrics_port: int | None = Field(
        None,
        ge=0,
        le=65535,
        description="Serve Prometheus metrics on this port; 0 picks a free one. Default: off",
    )
    metrics_host: str = Field("127.0.0.1", description="Address for it to listen on")


class TelemetrySettings(BaseSettings):
    """OpenTelemetry over OTLP/HTTP; needs `pip install 'penguinmails-server[otel]'`. The standard OTEL_EXPORTER_OTLP_*
    variables hold too."""

    model_config = concern("PENGUINMAILS_OTEL_")

    enabled: bool = Field(False, description="Send traces and metrics")
    endpoint: str | None = Field(
        None, description="Collector, such as http://collector:4318. Default: OTEL_EXPORTER_OTLP_ENDPOINT"
    )
    service_name: str = Field("penguinmails", description="`service.name` of all that is sent")
    sample: float = Field(1.0, ge=0, le=1, description="Share of traces that is kept")
    metrics_interval: Duration = Field(timedelta(seconds=60), description="How often metrics are sent")
