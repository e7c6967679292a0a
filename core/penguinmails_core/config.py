"""Configuration: one object per concern, read from the environment (and `.env`), no default secrets.

`check_environment` refuses misspelled names, which a settings class alone would silently ignore.
"""

from __future__ import annotations

import difflib
import ipaddress
import os
import re
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AliasChoices, BeforeValidator, Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

_UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}


def _duration(value: object) -> object:
    """``30``, ``30s``, ``5m``, ``2h``, ``7d`` or ``250ms``; ISO 8601 (``PT30S``) is left to pydantic."""
    if isinstance(value, str) and (match := re.fullmatch(r"(\d+(?:\.\d+)?)(ms|[smhd]?)", value.strip())):
        return timedelta(seconds=float(match[1]) * _UNITS[match[2] or "s"])
    return value


Duration = Annotated[timedelta, BeforeValidator(_duration)]


def public_origin(text: str) -> str:
    """``https://mail.example.com`` of what an operator wrote: an origin without path, query or user (RFC 6454).

    Raises `ValueError` saying what is wrong.
    """
    parts = urlsplit(text.strip())
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("must be a URL such as https://mail.example.com")
    if parts.path not in ("", "/") or parts.query or parts.fragment or parts.username is not None:
        raise ValueError("must be a host name and perhaps a port, without a path or anything else behind it")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    default = {"http": 80, "https": 443}[parts.scheme]
    port = "" if parts.port in (None, default) else f":{parts.port}"
    return f"{parts.scheme}://{host}{port}"


class ConfigError(Exception):
    """The configuration cannot be used; the message names the variable and the fix."""


def _concern(prefix: str) -> SettingsConfigDict:
    return SettingsConfigDict(env_prefix=prefix, env_file=".env", extra="ignore", frozen=True)


class StackSettings(BaseSettings):
    """Where embedded servers and captured mail live."""

    model_config = _concern("PENGUINMAILS_")

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

    model_config = _concern("PENGUINMAILS_DATABASE_")

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

    model_config = _concern("PENGUINMAILS_REDIS_")

    url: SecretStr | None = Field(
        None, validation_alias=AliasChoices("REDIS_URL", "url"), description="redis://:password@host:port/0"
    )


class ContentSettings(BaseSettings):
    """Where bodies and attachments are kept, and for how long."""

    model_config = _concern("PENGUINMAILS_CONTENT_")

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

    model_config = _concern("PENGUINMAILS_API_")

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


class SenderSettings(BaseSettings):
    """How mail leaves."""

    model_config = _concern("PENGUINMAILS_SENDER_")

    transport: Literal["capture", "smarthost", "direct"] = Field(
        "capture",
        description="`capture` keeps mail in the local inbox; `smarthost` hands it to an SMTP relay; `direct` delivers "
        "to the recipients' own servers (MX)",
    )
    host: str = Field("127.0.0.1", description="SMTP server of the transport")
    port: int = Field(
        0, ge=0, le=65535, description="SMTP port; 0 means the built-in inbox with `capture`, 25 with `direct`"
    )
    username: str | None = Field(None, description="SMTP AUTH user")
    password: SecretStr | None = Field(None, description="SMTP AUTH password")
    tls: Literal["off", "opportunistic", "encrypted", "required", "implicit"] = Field(
        "opportunistic",
        description="TLS policy: `encrypted` wants STARTTLS, `required` a verified certificate as well; with `direct` "
        "`implicit` makes no sense",
    )
    hostname: str = Field(
        "localhost", description="Name in EHLO; with `direct` a public name whose address points back"
    )
    source_address: str | None = Field(
        None, description="Local IP address that mail leaves from; default: the system's"
    )
    connections_per_host: int = Field(10, ge=1, le=100, description="With `direct`: connections at once to one server")
    messages_per_connection: int = Field(100, ge=1, le=10_000, description="With `direct`: then a connection is closed")
    allow_private: bool = Field(
        False, description="With `direct`: deliver to servers on loopback and private addresses too (closed networks)"
    )
    check_null_mx: bool = Field(
        True, description="With `smarthost`: ask DNS for a null MX (RFC 7505) and bounce at once where there is one"
    )
    mta_sts: bool = Field(
        True, description="With `direct`: obey the MTA-STS policies of recipients' domains (RFC 8461)"
    )
    dane: bool = Field(
        False,
        description="With `direct`: obey TLSA records (DANE, RFC 7672). Only where the system's resolver validates "
        "DNSSEC and nobody stands between it and us: its word is taken",
    )
    spf: str = Field(
        "",
        description="SPF mechanisms of the servers that mail leaves from, such as `include:_spf.example.net`: what "
        "owners of domains are asked to publish; empty asks for none",
    )
    return_path: str | None = Field(
        None,
        description="Domain of return paths (envelope senders), such as bounces.example.com, whose mail comes to the "
        "bounce intake. Default: the domain that each message is from",
    )
    connections: int = Field(20, ge=1, le=1000, description="SMTP connections at once to the transport")
    claim_size: int = Field(100, ge=1, le=1000, description="Recipients claimed at a time from one lane")
    lease: Duration = Field(timedelta(seconds=60), description="How long a claim is held before others take it over")
    horizon: Duration = Field(timedelta(hours=72), description="How long a temporary failure is retried")
    retry_base: Duration = Field(timedelta(seconds=60), description="First wait after a temporary failure; doubles")
    poll: Duration = Field(timedelta(seconds=1), description="Longest wait between looks at the queue")
    lanes_file: Path | None = Field(
        None,
        description="TOML file with your own lane policies, back-off rules and IP pools, over those that are shipped "
        "(docs/lanes.md)",
    )


class CheckSettings(BaseSettings):
    """What checks of content ask."""

    model_config = _concern("PENGUINMAILS_")

    spamd_url: str | None = Field(
        None,
        description="SpamAssassin's spamd, as host:port, for `POST /v1/content_checks`; none: its rules are left out",
    )
    uri_blocklists: list[str] = Field(
        default_factory=list,
        description="DNS zones that list hosts of links (RFC 5782), such as `dbl.example.net`. Read their terms first",
    )

    @field_validator("spamd_url")
    @classmethod
    def _host_and_port(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(r".+:\d{1,5}", value):
            raise ValueError("must be host:port, such as 127.0.0.1:783")
        return value


class BounceSettings(BaseSettings):
    """The door that bounces and complaints come in by. Their domain is PENGUINMAILS_SENDER_RETURN_PATH."""

    model_config = _concern("PENGUINMAILS_BOUNCES_")

    port: int | None = Field(
        None,
        ge=0,
        le=65535,
        description="SMTP port that the worker takes reports on; 0 picks a free one. Default: none",
    )
    host: str = Field("127.0.0.1", description="Address to listen on")
    hostname: str = Field("localhost", description="Name in the greeting: the host that the domain's MX names")
    max_bytes: int = Field(10 * 1024 * 1024, ge=64 * 1024, description="Largest report that is taken")
    connections: int = Field(100, ge=1, le=10_000, description="Connections at once")
    feedback: list[str] = Field(
        default_factory=lambda: ["complaints"],
        description="Local parts besides return paths that take complaints: what feedback loops are registered with",
    )
    keep_refused: Duration = Field(
        timedelta(days=30), description="How long reports that proved nothing can be looked at"
    )


class AuthSettings(BaseSettings):
    """How people sign in."""

    model_config = _concern("PENGUINMAILS_AUTH_")

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

    model_config = _concern("PENGUINMAILS_AUDIT_")

    retention: Duration = Field(
        timedelta(days=730), description="How long entries stay; the rest still verifies when older ones are dropped"
    )


class RequestLogSettings(BaseSettings):
    """The log of API requests that organizations read at `/v1/logs`. Bodies, headers and queries are never kept."""

    model_config = _concern("PENGUINMAILS_REQUEST_LOG_")

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

    model_config = _concern("PENGUINMAILS_OAUTH_")

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

    model_config = _concern("PENGUINMAILS_WORKER_")

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

    model_config = _concern("PENGUINMAILS_OTEL_")

    enabled: bool = Field(False, description="Send traces and metrics")
    endpoint: str | None = Field(
        None, description="Collector, such as http://collector:4318. Default: OTEL_EXPORTER_OTLP_ENDPOINT"
    )
    service_name: str = Field("penguinmails", description="`service.name` of all that is sent")
    sample: float = Field(1.0, ge=0, le=1, description="Share of traces that is kept")
    metrics_interval: Duration = Field(timedelta(seconds=60), description="How often metrics are sent")


class InboundSettings(BaseSettings):
    """Webhooks of others, received at /inbound/TOKEN."""

    model_config = _concern("PENGUINMAILS_INBOUND_")

    max_body_bytes: int = Field(1024 * 1024, ge=1024, le=32 * 1024 * 1024, description="Largest body that is taken")
    rate_limit: int = Field(3000, ge=1, description="Requests a minute to one source")
    rate_burst: int = Field(1000, ge=1, description="Requests to one source at once")
    retention: Duration = Field(
        timedelta(days=30), description="How long messages stay; a repeat is known as one for so long"
    )
    concurrency: int = Field(16, ge=1, le=200, description="Messages that are handled at once")
    lease: Duration = Field(timedelta(minutes=5), description="How long a handler may take before others try again")
    poll: Duration = Field(timedelta(seconds=1), description="Longest wait between looks for messages")


class MailboxSettings(BaseSettings):
    """People's own mailboxes: how their servers are called, and the OAuth apps that sign in to Google and Microsoft."""

    model_config = _concern("PENGUINMAILS_MAILBOX_")

    allow_private: bool = Field(False, description="Allow mail servers on private and loopback addresses")
    timeout: float = Field(15.0, gt=0, le=120, description="Seconds that each step of a connection test may take")
    ca_file: Path | None = Field(
        None, description="File of certificate authorities (PEM) to trust besides the system's, for own mail servers"
    )
    google_client_id: str | None = Field(None, description="OAuth client at Google, for Gmail by OAuth")
    google_client_secret: SecretStr | None = Field(None, description="Its secret")
    google_token_url: str = Field("https://oauth2.googleapis.com/token", description="Where Google renews tokens")
    microsoft_client_id: str | None = Field(None, description="OAuth client at Microsoft, for Microsoft 365 by OAuth")
    microsoft_client_secret: SecretStr | None = Field(None, description="Its secret")
    microsoft_token_url: str = Field(
        "https://login.microsoftonline.com/common/oauth2/v2.0/token", description="Where Microsoft renews tokens"
    )


class WebhookSettings(BaseSettings):
    """Outgoing webhooks."""

    model_config = _concern("PENGUINMAILS_WEBHOOK_")

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


class TrackingSettings(BaseSettings):
    """Opens and clicks, for messages that ask for it."""

    model_config = _concern("PENGUINMAILS_TRACKING_")

    url: str | None = Field(
        None,
        description="Where tracked links lead, such as https://links.example.com: another name of this server. "
        "Default: PENGUINMAILS_PUBLIC_URL",
    )
    retention: Duration = Field(timedelta(days=90), description="How long single opens and clicks stay")

    @field_validator("url")
    @classmethod
    def _check_url(cls, value: str | None) -> str | None:
        return None if value is None else public_origin(value)


class DomainsSettings(BaseSettings):
    """What sending domains should publish in DNS, and how it is watched."""

    model_config = _concern("PENGUINMAILS_DOMAINS_")

    return_path_host: str = Field(
        "", description="Host with our MX and SPF that `bounces.DOMAIN` is to be an alias of; empty asks for none"
    )
    tracking_host: str = Field(
        "", description="Host of this server that `links.DOMAIN` is to be an alias of; empty asks for none"
    )
    mta_sts_host: str = Field(
        "", description="Host that serves MTA-STS policies, for domains that ask for one; empty offers none"
    )
    dmarc_reports: str = Field(
        "", description="Address that aggregate DMARC reports are to be sent to; empty asks for none"
    )
    tls_reports: str = Field("", description="Address that reports about TLS are to be sent to; empty offers none")
    resolvers: Annotated[list[str], NoDecode] = Field(
        default_factory=list,
        description="Comma-separated addresses of DNS servers that are asked each for itself; default: the system's",
    )
    grace: Duration = Field(
        timedelta(hours=72), description="How long mail still leaves after a domain's key has gone from DNS"
    )
    rotation_wait: Duration = Field(
        timedelta(hours=1), description="Least wait between seeing a new DKIM key in DNS and signing with it"
    )
    keep_old: Duration = Field(
        timedelta(days=7), description="How long a replaced DKIM key stays published; mail on its way needs it"
    )
    check_every: Duration = Field(timedelta(hours=6), description="How often the DNS of a verified domain is looked at")
    cloudflare_url: str = Field(
        "https://api.cloudflare.com/client/v4", description="Where Cloudflare's API is, for records written into zones"
    )
    apply_allow_private: bool = Field(
        False,
        description="Write records also by name servers on loopback and private addresses, and on other ports than 53",
    )

    @field_validator("resolvers", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value

    @field_validator("resolvers")
    @classmethod
    def _check_resolvers(cls, value: list[str]) -> list[str]:
        for address in value:
            ipaddress.ip_address(address)
        return value


CONCERNS: tuple[type[BaseSettings], ...] = (
    StackSettings,
    DatabaseSettings,
    RedisSettings,
    ContentSettings,
    ApiSettings,
    SenderSettings,
    AuditSettings,
    AuthSettings,
    BounceSettings,
    RequestLogSettings,
    OAuthSettings,
    TelemetrySettings,
    WorkerSettings,
    WebhookSettings,
    InboundSettings,
    TrackingSettings,
    MailboxSettings,
    DomainsSettings,
)
# Read elsewhere: the SDK and the embedded stack.
_OTHER_NAMES = {
    "PENGUINMAILS_API_KEY",
    "PENGUINMAILS_BASE_URL",
    "PENGUINMAILS_WEBHOOK_SECRET",
    "PENGUINMAILS_LOG",
    "PENGUINMAILS_POSTGRES_BIN",
}


def known_names() -> dict[str, str]:
    """Every environment variable the server reads, with its description."""
    names = {}
    for concern in CONCERNS:
        prefix = concern.model_config.get("env_prefix", "")
        for name, info in concern.model_fields.items():
            alias = info.validation_alias
            key = str(alias.choices[0]) if isinstance(alias, AliasChoices) else prefix + name.upper()
            names[key] = info.description or ""
    return names


def check_environment(environ: Mapping[str, str] | None = None) -> None:
    """Raises `ConfigError` for a `PENGUINMAILS_*` variable that nothing reads (a typo would be silent otherwise)."""
    known = set(known_names()) | _OTHER_NAMES
    for name in environ if environ is not None else os.environ:
        if name.startswith("PENGUINMAILS_") and name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            raise ConfigError(f"unknown setting {name}" + (f"; did you mean {near[0]}?" if near else ""))
