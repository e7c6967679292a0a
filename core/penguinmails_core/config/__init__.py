"""Configuration: one object per concern, read from the environment (and `.env`), no default secrets.

`check_environment` refuses misspelled names, which a settings class alone would silently ignore.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping

from pydantic import AliasChoices
from pydantic_settings import BaseSettings

from penguinmails_core.config.sending import (
    BounceSettings,
    CheckSettings,
    DomainsSettings,
    MailboxSettings,
    SenderSettings,
    TrackingSettings,
)
from penguinmails_core.config.server import (
    ApiSettings,
    AuditSettings,
    AuthSettings,
    ContentSettings,
    DatabaseSettings,
    OAuthSettings,
    RedisSettings,
    RequestLogSettings,
    StackSettings,
    TelemetrySettings,
    WorkerSettings,
)
from penguinmails_core.config.values import (
    ConfigError,
    Duration,
    public_origin,
)
from penguinmails_core.config.webhooks import (
    InboundSettings,
    WebhookSettings,
)

__all__ = [
    "CONCERNS",
    "ApiSettings",
    "AuditSettings",
    "AuthSettings",
    "BounceSettings",
    "CheckSettings",
    "ConfigError",
    "ContentSettings",
    "DatabaseSettings",
    "DomainsSettings",
    "Duration",
    "InboundSettings",
    "MailboxSettings",
    "OAuthSettings",
    "RedisSettings",
    "RequestLogSettings",
    "SenderSettings",
    "StackSettings",
    "TelemetrySettings",
    "TrackingSettings",
    "WebhookSettings",
    "WorkerSettings",
    "check_environment",
    "known_names",
    "public_origin",
]

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
    CheckSettings,
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
