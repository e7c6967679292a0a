"""What an app may be, whoever registers it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from penguinmails_core.errors import FieldError
from penguinmails_core.oauth.records import CLIENT_GRANT, CODE_GRANT, GRANT_TYPES, REFRESH_GRANT
from penguinmails_core.oauth.redirect_uris import problem_with
from penguinmails_core.oauth.scopes import SUPPORTED, unknown

MAX_NAME, MAX_DESCRIPTION, MAX_URL = 100, 500, 2000
MAX_REDIRECT_URIS = 20
LINKS = ("client_uri", "policy_uri", "tos_uri")


def check(values: Mapping[str, Any]) -> list[FieldError]:
    """What is wrong with the fields that are given, each for itself."""
    errors: list[FieldError] = []
    if "name" in values and not _plain(values["name"], MAX_NAME):
        errors.append(_wrong("/name", "invalid_length", f"must have 1 to {MAX_NAME} printable characters"))
    if values.get("description") is not None and not _plain(values["description"], MAX_DESCRIPTION):
        errors.append(
            _wrong("/description", "invalid_length", f"must have 1 to {MAX_DESCRIPTION} printable characters")
        )
    for name in LINKS:
        if values.get(name) is not None and not is_web_url(values[name]):
            errors.append(_wrong(f"/{name}", "invalid_url", "must be a URL that begins with https:// or http://"))
    errors += _check_redirect_uris(values.get("redirect_uris", ()))
    errors += [
        _wrong(f"/grant_types/{index}", "unknown_grant_type", f"must be one of {', '.join(GRANT_TYPES)}")
        for index, grant_type in enumerate(values.get("grant_types", ()))
        if grant_type not in GRANT_TYPES
    ]
    for scope in unknown(values.get("scopes", ())):
        index = list(values["scopes"]).index(scope)
        errors.append(_wrong(f"/scopes/{index}", "unknown_scope", f"must be one of {', '.join(SUPPORTED)}"))
    return errors


def check_whole(app: Mapping[str, Any]) -> list[FieldError]:
    """What does not fit together."""
    grant_types, errors = set(app["grant_types"]), []
    if not grant_types - {REFRESH_GRANT}:
        errors.append(_wrong("/grant_types", "required", "must name a way to get a first token"))
    if CODE_GRANT in grant_types and not app["redirect_uris"]:
        errors.append(_wrong("/redirect_uris", "required", "must name where codes go (grant type authorization_code)"))
    if CLIENT_GRANT in grant_types and not app["confidential"]:
        errors.append(_wrong("/grant_types", "public_client", "may hold client_credentials for confidential apps only"))
    if not app["scopes"]:
        errors.append(_wrong("/scopes", "required", "must name at least one scope"))
    return errors


def is_web_url(value: object) -> bool:
    if not isinstance(value, str) or not 0 < len(value) <= MAX_URL or not value.isprintable() or " " in value:
        return False
    try:
        parts = urlsplit(value)
    except ValueError:
        return False
    return parts.scheme in ("https", "http") and bool(parts.hostname) and parts.username is None


def _check_redirect_uris(uris: Any) -> list[FieldError]:
    if len(uris) > MAX_REDIRECT_URIS:
        return [_wrong("/redirect_uris", "too_many", f"may hold at most {MAX_REDIRECT_URIS}")]
    return [
        _wrong(f"/redirect_uris/{index}", "invalid_redirect_uri", problem)
        for index, uri in enumerate(uris)
        if (problem := problem_with(uri)) is not None
    ]


def _plain(text: object, most: int) -> bool:
    return isinstance(text, str) and 0 < len(text.strip()) <= len(text) <= most and text.isprintable()


def _wrong(pointer: str, code: str, what: str) -> FieldError:
    return FieldError(pointer, code, f"`{pointer[1:].replace('/', '.')}` {what}.")
