"""What may be said of a connection. Its fields are judged in core; here their size."""

from __future__ import annotations

from typing import Any

import strawberry
from strawberry.scalars import JSON

from penguinmails_core.errors import FieldError, Unprocessable
from penguinmails_core.kit.http_guard import MAX_URL
from penguinmails_core.sso import rules
from penguinmails_graphql.relay import bounded, given
from penguinmails_graphql.scalars import string_map
from penguinmails_graphql.sso_connections.types import SsoProtocol, SsoRole, SsoStatus

MAX_NAME = 100
_MOST = {
    "name": MAX_NAME,
    "issuer": rules.MAX_TEXT,
    "client_id": rules.MAX_TEXT,
    "client_secret": rules.MAX_TEXT,
    "sso_url": MAX_URL,
    "certificates": rules.MAX_CERTIFICATES,
    "domains": rules.MAX_DOMAINS,
}
_MOST_OF_EACH = {"certificates": 10_000, "domains": 255}
_EMPTIED = ("client_id", "client_secret", "sso_url")


@strawberry.input(description="An identity provider to sign in with.")
class CreateSsoConnectionInput:
    protocol: SsoProtocol
    name: str
    issuer: str = strawberry.field(description="OIDC: the issuer URL; SAML: the provider's entity id.")
    client_id: str | None = strawberry.field(default=None, description="OIDC only, needed there.")
    client_secret: str | None = strawberry.field(default=None, description="OIDC only; never shown.")
    sso_url: str | None = strawberry.field(default=None, description="SAML only, needed there.")
    certificates: list[str] = strawberry.field(
        default_factory=list, description="SAML only, at least one there: X.509 in PEM or base64."
    )
    domains: list[str] = strawberry.field(
        default_factory=list, description="People come in by address only in proven ones."
    )
    enforced: bool = strawberry.field(
        default=False, description="Members of proven domains sign in here only; owners are free."
    )
    default_role: SsoRole = SsoRole.MEMBER
    group_roles: JSON | None = strawberry.field(
        default=None, description='Roles by the display name of SCIM groups, such as {"Sales": "viewer"}.'
    )

    def values(self) -> dict[str, Any]:
        return _checked(given(self, *_FIELDS) | {"group_roles": self.group_roles or {}})


@strawberry.input(
    description="Only what is given is changed. Lists and `groupRoles` are replaced as a whole; domains that stay keep "
    "their proof. A null `clientSecret` takes the secret away."
)
class UpdateSsoConnectionInput:
    id: strawberry.ID
    name: str | None = strawberry.UNSET
    status: SsoStatus | None = strawberry.UNSET
    issuer: str | None = strawberry.UNSET
    client_id: str | None = strawberry.UNSET
    client_secret: str | None = strawberry.UNSET
    sso_url: str | None = strawberry.UNSET
    certificates: list[str] | None = strawberry.UNSET
    domains: list[str] | None = strawberry.UNSET
    enforced: bool | None = strawberry.UNSET
    default_role: SsoRole | None = strawberry.UNSET
    group_roles: JSON | None = strawberry.UNSET

    def values(self) -> dict[str, Any]:
        found = given(self, *_FIELDS, "status")
        return _checked({name: value for name, value in found.items() if value is not None or name in _EMPTIED})


_FIELDS = (*_MOST, "enforced", "default_role", "group_roles")


def checked_name(name: str) -> str:
    """Raises `Unprocessable`."""
    bounded(name, MAX_NAME, "/name")
    if not name.strip():
        raise Unprocessable("`name` is empty.", errors=[FieldError("/name", "too_short", "`name` is empty.")])
    return name


def _checked(values: dict[str, Any]) -> dict[str, Any]:
    for name, most in _MOST.items():
        bounded(values.get(name), most, f"/{name}")
    for name, most in _MOST_OF_EACH.items():
        for index, text in enumerate(values.get(name) or ()):
            bounded(text, most, f"/{name}/{index}")
    if "name" in values:
        checked_name(values["name"])
    if "group_roles" in values:
        values["group_roles"] = _group_roles(values["group_roles"])
    return values | {name: str(values[name]) for name in ("status", "default_role") if name in values}


def _group_roles(value: Any) -> dict[str, str]:
    found = string_map(value, "group_roles")
    bounded(list(found), rules.MAX_GROUPS, "/group_roles")
    if wrong := sorted(set(found.values()) - set(rules.ROLES)):
        detail = f"`group_roles` gives {', '.join(rules.ROLES)}; not {wrong[0][:50]!r}."
        raise Unprocessable(detail, errors=[FieldError("/group_roles", "invalid", detail)])
    return found
