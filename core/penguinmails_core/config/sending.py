"""Sending mail: transports, domains, mailboxes, what comes back, and what is looked at before."""

from __future__ import annotations

import ipaddress
import re
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, NoDecode

from penguinmails_core.config.values import Duration, concern, public_origin


class SenderSettings(BaseSettings):
    """How mail leaves."""

    model_config = concern("PENGUINMAILS_SENDER_")

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


class DomainsSettings(BaseSettings):
    """What sending domains should publish in DNS, and how it is watched."""

    model_config = concern("PENGUINMAILS_DOMAINS_")

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


class MailboxSettings(BaseSettings):
    """People's own mailboxes: how their servers are called, and the OAuth apps that sign in to Google and Microsoft."""

    model_config = concern("PENGUINMAILS_MAILBOX_")

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


class BounceSettings(BaseSettings):
    """The door that bounces and complaints come in by. Their domain is PENGUINMAILS_SENDER_RETURN_PATH."""

    model_config = concern("PENGUINMAILS_BOUNCES_")

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


class TrackingSettings(BaseSettings):
    """Opens and clicks, for messages that ask for it."""

    model_config = concern("PENGUINMAILS_TRACKING_")

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


class CheckSettings(BaseSettings):
    """What checks of content ask."""

    model_config = concern("PENGUINMAILS_")

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
