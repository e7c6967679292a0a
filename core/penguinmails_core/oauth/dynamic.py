"""Apps that register themselves (RFC 7591), and manage their registration (RFC 7592).

Nobody has looked at them, so: code, refresh and device only, never credentials that act alone; read scopes until an
organization approves more; marked as unverified wherever people see them; gone when nobody uses them for 30 days.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from penguinmails_core.kit.db import Pool
from penguinmails_core.kit.ids import new_uuid
from penguinmails_core.models import NOBODY
from penguinmails_core.oauth import dynamic_repository as repository
from penguinmails_core.oauth.app_rules import LINKS, MAX_NAME, MAX_REDIRECT_URIS, is_web_url
from penguinmails_core.oauth.records import CODE_GRANT, DEVICE_GRANT, REFRESH_GRANT
from penguinmails_core.oauth.redirect_uris import problem_with
from penguinmails_core.oauth.scopes import SUPPORTED, dynamic_part, in_order, unapproved_part
from penguinmails_core.oauth.secrets import Kind, digest, hint, new_secret

ALLOWED_GRANTS = (CODE_GRANT, REFRESH_GRANT, DEVICE_GRANT)
_METHODS = ("client_secret_basic", "client_secret_post", "none")
_MAX_TEXT, _MAX_LIST, _MAX_SCOPE = 200, 20, 4096
DEFAULT_NAME = "Unnamed app"


class RegistrationRefused(Exception):
    """`error` is one of RFC 7591 §3.2.2."""

    def __init__(self, error: str, description: str) -> None:
        super().__init__(description)
        self.error = error
        self.description = description


@dataclass(slots=True)
class Registration:
    """`values` are columns. The two secrets are shown once; None when they did not change, or there are none."""

    id: UUID
    values: dict[str, Any]
    created_at: datetime
    method: str
    secret: str | None = None
    access_token: str | None = None
    ignored: list[str] = field(default_factory=list)


async def register(pool: Pool, metadata: Mapping[str, Any]) -> Registration:
    """Raises `RegistrationRefused`."""
    values, method = _read(metadata)
    app_id, access_token = new_uuid(), new_secret(Kind.REGISTRATION_TOKEN)
    secret = new_secret(Kind.CLIENT_SECRET) if values["confidential"] else None
    values |= {
        "secret_hash": digest(secret) if secret else None,
        "secret_hint": hint(secret) if secret else None,
        "registration_hash": digest(access_token),
    }
    created_at = await repository.insert(pool, NOBODY, app_id, values)
    return Registration(app_id, values, created_at, method, secret, access_token)


async def find(pool: Pool, app_id: UUID, access_token: str) -> Registration | None:
    """For whoever shows the registration's access token; None for everybody else."""
    row = await repository.get(pool, NOBODY, app_id)
    if row is None or not hmac.compare_digest(row["registration_hash"] or b"", digest(access_token)):
        return None
    values = {name: row[name] for name in repository.COLUMNS}
    method = "client_secret_basic" if row["confidential"] else "none"
    return Registration(app_id, values, row["created_at"], method)


async def update(pool: Pool, known: Registration, metadata: Mapping[str, Any]) -> Registration:
    """The whole metadata anew (RFC 7592 §2.2); what is left out falls back to its default. A client that becomes
    confidential gets a secret. What organizations approved was the app as it was: more scopes need approval anew."""
    values, method = _read(metadata)
    kept: dict[str, Any] = {"secret_hash": None, "secret_hint": None}
    secret = None
    if values["confidential"]:
        kept = {name: known.values[name] for name in kept}
        if kept["secret_hash"] is None:
            secret = new_secret(Kind.CLIENT_SECRET)
            kept = {"secret_hash": digest(secret), "secret_hint": hint(secret)}
    values |= kept | {"registration_hash": known.values["registration_hash"]}
    widened = not set(values["requested_scopes"]) <= set(known.values["requested_scopes"])
    moved = values["redirect_uris"] != list(known.values["redirect_uris"])
    await repository.update(pool, NOBODY, known.id, values, withdraw=widened or moved)
    return Registration(known.id, values, known.created_at, method, secret)


async def delete(pool: Pool, known: Registration) -> None:
    """With every grant."""
    await repository.delete(pool, NOBODY, known.id)


def _read(metadata: Mapping[str, Any]) -> tuple[dict[str, Any], str]:
    """Columns, and the way the client authenticates. Unknown metadata is ignored (RFC 7591 §2)."""
    metadata = {name: value for name, value in metadata.items() if value is not None}
    if "software_statement" in metadata:
        raise RegistrationRefused("unapproved_software_statement", "Software statements are not accepted.")
    grant_types = _texts(metadata, "grant_types", [CODE_GRANT])
    refused = [name for name in grant_types if name not in ALLOWED_GRANTS]
    if refused or not set(grant_types) - {REFRESH_GRANT}:
        raise _invalid(f"grant_types may hold {', '.join(ALLOWED_GRANTS)}")
    response_types = _texts(metadata, "response_types", ["code"] if CODE_GRANT in grant_types else [])
    if set(response_types) - {"code"}:
        raise _invalid("the only response type is code")
    method = metadata.get("token_endpoint_auth_method", "client_secret_basic")
    if method not in _METHODS:
        raise _invalid(f"token_endpoint_auth_method must be one of {', '.join(_METHODS)}")
    algorithm = metadata.get("id_token_signed_response_alg", "RS256")
    if algorithm not in ("RS256", "ES256"):
        raise _invalid("id_token_signed_response_alg must be RS256 or ES256")
    asked = _scopes(metadata)
    values = {
        "name": _text(metadata, "client_name", MAX_NAME) or DEFAULT_NAME,
        "confidential": method != "none",
        "redirect_uris": _redirect_uris(metadata, needed=CODE_GRANT in grant_types),
        "grant_types": list(dict.fromkeys(grant_types)),
        "scopes": unapproved_part(asked),
        "requested_scopes": [scope for scope in dynamic_part(asked) if scope not in unapproved_part(asked)],
        "contacts": _texts(metadata, "contacts", []),
        "software_id": _text(metadata, "software_id", _MAX_TEXT),
        "software_version": _text(metadata, "software_version", _MAX_TEXT),
        "id_token_alg": algorithm,
        "dpop_bound": metadata.get("dpop_bound_access_tokens", False) is True,
    }
    for name in LINKS:
        if metadata.get(name) is not None and not is_web_url(metadata[name]):
            raise _invalid(f"{name} must be a URL that begins with https:// or http://")
        values[name] = metadata.get(name)
    if not values["scopes"]:
        raise _invalid("an app that registers itself begins with read scopes, and none of those was asked for")
    return values, method


def _scopes(metadata: Mapping[str, Any]) -> list[str]:
    """Left out: all that reads. Unknown ones are left away: the answer says what was registered."""
    text = metadata.get("scope")
    if text is None:
        return unapproved_part(SUPPORTED)
    if not isinstance(text, str) or len(text) > _MAX_SCOPE:
        raise _invalid("scope must be a string of scopes separated by spaces")
    return in_order(text.split())


def _redirect_uris(metadata: Mapping[str, Any], *, needed: bool) -> list[str]:
    uris = metadata.get("redirect_uris", [])
    if not isinstance(uris, list) or len(uris) > MAX_REDIRECT_URIS or (needed and not uris):
        raise RegistrationRefused(
            "invalid_redirect_uri", f"redirect_uris must be a list of 1 to {MAX_REDIRECT_URIS} URIs."
        )
    for uri in uris:
        if (problem := problem_with(uri)) is not None:
            raise RegistrationRefused("invalid_redirect_uri", f"A redirect URI {problem}.")
    return uris


def _texts(metadata: Mapping[str, Any], name: str, default: Sequence[str]) -> list[str]:
    found = metadata.get(name)
    if found is None:
        return list(default)
    texts = isinstance(found, list) and all(isinstance(item, str) and len(item) <= _MAX_TEXT for item in found)
    if not texts or len(found) > _MAX_LIST:
        raise _invalid(f"{name} must be a list of at most {_MAX_LIST} strings")
    return list(found)


def _text(metadata: Mapping[str, Any], name: str, most: int) -> str | None:
    found = metadata.get(name)
    if found is None:
        return None
    if not isinstance(found, str) or not 0 < len(found.strip()) <= len(found) <= most or not found.isprintable():
        raise _invalid(f"{name} must be a string of 1 to {most} printable characters")
    return found


def _invalid(what: str) -> RegistrationRefused:
    return RegistrationRefused("invalid_client_metadata", f"{what[0].upper()}{what[1:]}.")
