"""Whether the settings of an endpoint can be used, and what columns they become."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from penguinmails_core.errors import FieldError, Unprocessable
from penguinmails_core.kit.http import OutgoingError, check_url
from penguinmails_core.models import WebhookEndpoint
from penguinmails_core.webhook_endpoints.certificates import UnusableCertificate, check_certificate
from penguinmails_core.webhook_endpoints.consumers import check_consumer
from penguinmails_core.webhook_endpoints.headers import check_headers, check_together
from penguinmails_core.webhook_endpoints.pace import check_pace
from penguinmails_core.webhook_endpoints.secrets import SigningSecret

MAX_DESCRIPTION = 500
MAX_METADATA, MAX_METADATA_KEY, MAX_METADATA_VALUE = 50, 64, 500
PAYLOADS = ("full", "thin")


@dataclass(frozen=True, slots=True)
class EndpointRules:
    """What only the webhook component knows.

    `check_events`: patterns -> (patterns without repeats, what is wrong with them). `check_filter`: a payload filter ->
    what is wrong with it. `new_secret`: a fresh signing secret for `hmac` or `ed25519`. `read_secret`: one that was
    brought along; raises ValueError. `versions`: how many schema versions there are. `allow_private`: plain http and
    private hosts may be named. `check_destination`: (kind, url, settings, secret) -> what is wrong with a place beside
    HTTP.
    """

    check_events: Callable[[Sequence[str]], tuple[list[str], Sequence[FieldError]]]
    check_filter: Callable[[Any], Sequence[FieldError]]
    new_secret: Callable[[str], SigningSecret]
    read_secret: Callable[[str], SigningSecret]
    versions: int
    allow_private: bool
    check_destination: Callable[[str, str, Mapping[str, Any], str | None], Sequence[FieldError]]

    def secret(self, given: str | None, signature: str | None, otherwise: str) -> SigningSecret:
        """The one that was brought along, or a fresh one. Raises `Unprocessable`."""
        if given is None:
            return self.new_secret(signature or otherwise)
        try:
            found = self.read_secret(given)
        except ValueError as error:
            raise refusal([FieldError("/secret", "invalid_secret", f"`secret` cannot be used: {error}.")]) from None
        if signature is not None and signature != found.signature:
            detail = f"This secret makes {found.signature} signatures; leave `signature` out, or bring another secret."
            raise refusal([FieldError("/secret", "wrong_kind", detail)])
        return found


def refusal(errors: Sequence[FieldError]) -> Unprocessable:
    detail = errors[0].detail if len(errors) == 1 else f"{len(errors)} fields need attention; see `errors`."
    return Unprocessable(detail, errors=list(errors))


def check(given: Mapping[str, Any], rules: EndpointRules, current: WebhookEndpoint | None = None) -> dict[str, Any]:
    """Column values of the settings that are given, for a new endpoint or for `current`; `secret_headers` (a mapping),
    `client_certificate` (chain, key) and `destination_secret` are still in the clear. Raises `Unprocessable` naming all
    that is wrong."""
    values, errors = check_pace(given)
    if "url" in given or given.get("destination") is not None:
        errors += _check_place(given, values, rules, current)
    if "events" in given:
        values["events"], wrong = rules.check_events(given["events"])
        errors += wrong
    if "description" in given:
        values["description"] = given["description"]
        errors += _check_text("/description", given["description"] or "", MAX_DESCRIPTION)
    if "consumer" in given:
        values["consumer"] = given["consumer"]
        errors += check_consumer(given["consumer"])
    if "metadata" in given:
        values["metadata_"] = dict(given["metadata"] or {})
        errors += _check_metadata(values["metadata_"])
    errors += _check_request(given, values, rules)
    if errors:
        raise refusal(errors)
    return values


def check_both(plain: Mapping[str, str], secret: Mapping[str, str] | Sequence[str]) -> None:
    """Raises `Unprocessable` for a header that is both plain and secret, or too many together."""
    errors = check_together(plain, list(secret))
    if errors:
        raise refusal(errors)


def _check_place(
    given: Mapping[str, Any], values: dict[str, Any], rules: EndpointRules, current: WebhookEndpoint | None
) -> list[FieldError]:
    """Where events go: `url`, and what kind of place that is."""
    if "url" in given:
        values["url"] = given["url"]
    url = given["url"] if "url" in given or current is None else current.url
    kind, settings, sealed = ("http", {}, None)
    if current is not None:
        kind, settings, sealed = current.destination, current.destination_settings, current.destination_secret
    secret = "set" if sealed is not None else None
    if (asked := given.get("destination")) is not None:
        own = ("type", "secret")
        settings = {name: value for name, value in asked.items() if name not in own and value is not None}
        if asked["type"] != kind or asked.get("secret") is not None:  # of the same kind, the one before stays
            secret = values["destination_secret"] = asked.get("secret")
        kind = values["destination"] = str(asked["type"])
        values["destination_settings"] = settings
    if kind != "http":
        return list(rules.check_destination(kind, url, settings, secret))
    errors = [
        FieldError(f"/destination/{name}", "unknown_field", f"`{name}` is no setting of http.")
        for name in (*settings, *(("secret",) if secret is not None else ()))
    ]
    try:
        check_url(url, allow_private=rules.allow_private)
    except OutgoingError as error:
        errors.append(FieldError("/url", error.reason, f"`url` cannot be called: {error.detail}."))
    return errors


def _check_request(given: Mapping[str, Any], values: dict[str, Any], rules: EndpointRules) -> list[FieldError]:
    """What is sent, and with what."""
    errors: list[FieldError] = []
    if "payload" in given:
        values["payload"] = str(given["payload"])
        if values["payload"] not in PAYLOADS:
            errors.append(FieldError("/payload", "unknown_value", "`payload` is one of full, thin."))
    if "filter" in given:
        values["filter"] = given["filter"]
        if given["filter"] is not None:
            errors += rules.check_filter(given["filter"])
    if "schema_version" in given:
        values["schema_version"] = given["schema_version"]
        if not 1 <= given["schema_version"] <= rules.versions:
            detail = f"`schema_version` is {given['schema_version']}; there are versions 1 to {rules.versions}."
            errors.append(FieldError("/schema_version", "out_of_range", detail))
    for name in ("headers", "secret_headers"):
        if name in given:
            values[name] = dict(given[name] or {})
            errors += check_headers(values[name], f"/{name}")
    if "client_certificate" in given:
        pair = given["client_certificate"]
        try:
            values["client_certificate"] = pair and check_certificate(pair["certificate"], pair["private_key"])
        except UnusableCertificate as error:
            errors += error.errors
    return errors


def _check_metadata(metadata: Mapping[str, str]) -> list[FieldError]:
    errors = []
    if len(metadata) > MAX_METADATA:
        detail = f"`metadata` has {len(metadata)} entries; the limit is {MAX_METADATA}."
        errors.append(FieldError("/metadata", "too_many", detail))
    for key, value in metadata.items():
        if not key:
            errors.append(FieldError("/metadata", "empty", "A metadata key has at least one character."))
        pointer = "/metadata/" + key[:MAX_METADATA_KEY].replace("~", "~0").replace("/", "~1")
        errors += _check_text("/metadata", key, MAX_METADATA_KEY) + _check_text(pointer, value, MAX_METADATA_VALUE)
    return errors


def _check_text(pointer: str, text: str, most: int) -> list[FieldError]:
    if len(text) > most:
        return [FieldError(pointer, "too_long", f"{pointer} has {len(text)} characters; the limit is {most}.")]
    if "\0" in text:
        return [FieldError(pointer, "control_character", f"Remove U+0000 NUL from {pointer}.")]
    return []
