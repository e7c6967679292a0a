"""The table of schemes: one row for each kind of sender.

A row says how a signature is read (`readers`), what a secret looks like (`secrets`), and what a proven request says
about itself (`identities`). Whether it is proven is decided in `claims`, the same way for all.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from penguinmails_core.inbound.records import InboundRequest, Refused, SettingsError, Verified
from penguinmails_core.inbound.records import Scheme as Scheme
from penguinmails_core.kit.http import OutgoingHttp
from penguinmails_webhooks.inbound import identities, readers, secrets
from penguinmails_webhooks.inbound.claims import PLAIN, TOLERANCE, Reader, check_age, proves
from penguinmails_webhooks.inbound.secrets import Rule
from penguinmails_webhooks.inbound.sns import SnsScheme
from penguinmails_webhooks.inbound.sns_confirmation import fetch_by

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}\Z")  # a header's name (RFC 9110 §5.6.2)
_CHOICES = {"algorithm": ("sha1", "sha256", "sha384", "sha512"), "encoding": ("hex", "base64")}
_MAX_PREFIX = 50


@dataclass(frozen=True, slots=True)
class TableScheme:
    """`settings`: names of what the owner may choose. `timed`: it tells when it was signed, so that old requests are
    refused. `hint`: what the owner should look at when no signature fits."""

    name: str
    title: str
    read: Reader
    identify: Callable[[InboundRequest, Mapping[str, Any]], Verified]
    secret: Rule
    hint: str
    timed: bool = False
    settings: tuple[str, ...] = ()

    def check_secret(self, secret: str) -> None:
        self.secret.check(secret)

    def new_secret(self) -> str | None:
        return self.secret.new() if self.secret.new is not None else None

    def check_settings(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        for name, value in settings.items():
            if name not in self.settings:
                known = ", ".join(self.settings) or "none"
                raise SettingsError(f"settings/{name}", f"the scheme {self.name} has no setting {name}; it has {known}")
            _check_setting(name, value)
        return dict(settings)

    async def verify(
        self, request: InboundRequest, secrets: Sequence[str], *, settings: Mapping[str, Any], now: float
    ) -> Verified:
        claim = self.read(request, settings)
        if not proves(claim, [self.secret.key(secret) for secret in secrets]):
            plain = any(algorithm == PLAIN for algorithm, _ in claim.signatures)
            code = "wrong_credentials" if plain else "signature_mismatch"
            raise Refused(code, f"no secret of this source fits: {self.hint}")
        if claim.timestamp is not None:
            check_age(claim.timestamp, now, TOLERANCE)
        return self.identify(request, settings)


def _check_setting(name: str, value: Any) -> None:
    where = f"settings/{name}"
    if name in _CHOICES:
        if value not in _CHOICES[name]:
            raise SettingsError(where, f"{name} is one of {', '.join(_CHOICES[name])}")
        if name == "algorithm":
            hashlib.new(value)
    elif name == "prefix":
        if not isinstance(value, str) or len(value) > _MAX_PREFIX or not value.isprintable() or not value.isascii():
            raise SettingsError(where, f"prefix is up to {_MAX_PREFIX} printable ASCII characters")
    elif not isinstance(value, str) or not _TOKEN.match(value):
        raise SettingsError(where, f"{name} is the name of a header, such as X-Signature")


_RAW = "compare it with the sender's settings, and let no proxy change the body on its way here"

TABLE: tuple[TableScheme, ...] = (
    TableScheme(
        "standard_webhooks",
        "Standard Webhooks",
        readers.standard_webhooks,
        identities.standard_webhooks,
        secrets.STANDARD,
        f"it starts with whsec_ (or whpk_ for Ed25519) and is the endpoint's own; {_RAW}",
        timed=True,
    ),
    TableScheme(
        "svix",
        "Svix",
        readers.svix,
        identities.svix,
        secrets.STANDARD_OF_SENDER,
        f"it is the endpoint's signing secret, whsec_...; {_RAW}",
        timed=True,
    ),
    TableScheme(
        "hubspot",
        "HubSpot (v3)",
        readers.hubspot,
        identities.hubspot,
        secrets.OF_SENDER,
        "it is the app's client secret. HubSpot signs the URL too: PENGUINMAILS_PUBLIC_URL must be the origin that "
        "HubSpot calls, and the target URL must have no query",
        timed=True,
    ),
    TableScheme(
        "slack",
        "Slack (v0)",
        readers.slack,
        identities.slack,
        secrets.OF_SENDER,
        f"it is the app's signing secret, not a token; {_RAW}",
        timed=True,
    ),
    TableScheme(
        "stripe",
        "Stripe",
        readers.stripe,
        identities.stripe,
        secrets.OF_SENDER,
        f"it is the endpoint's own signing secret, whsec_..., not an API key, and live and test differ; {_RAW}",
        timed=True,
    ),
    TableScheme(
        "github",
        "GitHub",
        readers.github,
        identities.github,
        secrets.CHOSEN,
        f"it is the webhook's secret; {_RAW}",
    ),
    TableScheme(
        "segment",
        "Segment",
        readers.segment,
        identities.segment,
        secrets.CHOSEN,
        f"it is the shared secret of the webhook destination; {_RAW}",
    ),
    TableScheme(
        "mailgun",
        "Mailgun",
        readers.mailgun,
        identities.mailgun,
        secrets.OF_SENDER,
        "it is the account's HTTP webhook signing key, not an API key",
        timed=True,
    ),
    TableScheme(
        "pipedrive",
        "Pipedrive",
        readers.basic,
        identities.pipedrive,
        secrets.PASSWORD,
        "user and password are the webhook's http_auth_user and http_auth_password",
    ),
    TableScheme(
        "postmark",
        "Postmark",
        readers.basic,
        identities.postmark,
        secrets.PASSWORD,
        "user and password are those in the webhook's settings",
    ),
    TableScheme(
        "basic",
        "HTTP Basic",
        readers.basic,
        identities.unsigned,
        secrets.PASSWORD,
        "user and password differ from the source's",
        settings=("id_header",),
    ),
    TableScheme(
        "token",
        "Secret in a header",
        readers.token,
        identities.unsigned,
        secrets.TOKEN,
        "the token differs from the source's",
        settings=("header", "prefix", "id_header"),
    ),
    TableScheme(
        "hmac",
        "HMAC of the body",
        readers.hmac_of_body,
        identities.hmac_of_body,
        secrets.CHOSEN,
        f"header, algorithm, encoding and prefix must be the sender's, too; {_RAW}",
        settings=("header", "algorithm", "encoding", "prefix", "id_header"),
    ),
)

BY_NAME: Mapping[str, Scheme] = {scheme.name: scheme for scheme in TABLE}


def schemes(http: OutgoingHttp) -> dict[str, Scheme]:
    """All of them; SNS fetches certificates."""
    return {**BY_NAME, "sns": SnsScheme(fetch_by(http))}
