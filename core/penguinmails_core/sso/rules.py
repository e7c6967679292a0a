"""What a connection may say: every field that is wrong is named, all together."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding

from penguinmails_core.errors import FieldError, GrantExceeded, Unprocessable
from penguinmails_core.kit.addresses import AddressError, to_ascii
from penguinmails_core.kit.http import OutgoingError, check_url
from penguinmails_core.principal import Principal
from penguinmails_core.roles import OrganizationRole, scopes_of

MAX_CONNECTIONS = 10
MAX_DOMAINS, MAX_CERTIFICATES, MAX_GROUPS = 50, 5, 100
MAX_TEXT = 1024
ROLES = tuple(str(role) for role in OrganizationRole if role not in (OrganizationRole.OWNER, OrganizationRole.ADMIN))
"""What a connection may give. Owners and admins are made by owners."""

_PEM = re.compile(r"-----BEGIN CERTIFICATE-----(.+?)-----END CERTIFICATE-----", re.DOTALL)
_OIDC_ONLY, _SAML_ONLY = ("client_id", "client_secret"), ("sso_url", "certificates")


def check_fields(protocol: str, given: Mapping[str, Any], *, allow_private: bool) -> dict[str, Any]:
    """The fields in the form they are stored. `given` holds only what was given. Raises `Unprocessable`."""
    values, errors = dict(given), list[FieldError]()
    for name in _SAML_ONLY if protocol == "oidc" else _OIDC_ONLY:
        if values.get(name):
            errors.append(
                FieldError(f"/{name}", "not_allowed", f"`{name}` does not belong to a {protocol} connection.")
            )
    for name in ("name", "issuer", "client_id", "client_secret", "sso_url"):
        value = values.get(name)
        if isinstance(value, str) and not value.isprintable():
            errors.append(FieldError(f"/{name}", "control_character", f"Remove control characters from `{name}`."))
    urls = ("issuer",) if protocol == "oidc" else ("sso_url",)
    errors += [error for name in urls if name in values for error in _check_url(name, values[name], allow_private)]
    if values.get("certificates"):
        values["certificates"], wrong = read_certificates(values["certificates"])
        errors += wrong
    if "domains" in values:
        values["domains"], wrong = _read_domains(values["domains"])
        errors += wrong
    raise_all(errors)
    return values


def check_complete(protocol: str, values: Mapping[str, Any]) -> None:
    """Raises `Unprocessable` naming what the protocol cannot do without."""
    needed = ("issuer", "client_id") if protocol == "oidc" else ("issuer", "sso_url", "certificates")
    raise_all(
        [
            FieldError(f"/{name}", "required", f"A connection by {protocol} needs `{name}`.")
            for name in needed
            if not values.get(name)
        ]
    )


def check_roles(principal: Principal, roles: Sequence[str]) -> None:
    """Nobody hands out more than they have. Raises `GrantExceeded`."""
    excess = sorted({scope for role in roles for scope in scopes_of(role)} - principal.scopes)
    if excess:
        raise GrantExceeded(
            "These roles may do more than you.",
            extra={
                "excess": [{"constraint": "scopes", "value": excess, "limit": sorted(principal.scopes)}],
                "excess_scopes": excess,
            },
        )


def _check_url(name: str, url: str | None, allow_private: bool) -> list[FieldError]:
    try:
        check_url(url or "", allow_private=allow_private)
    except OutgoingError as error:
        return [FieldError(f"/{name}", error.reason, f"`{name}` cannot be used: {error.detail}.")]
    if name == "issuer" and ("?" in (url or "") or "#" in (url or "")):
        return [
            FieldError("/issuer", "invalid", "An issuer has no query and no fragment (OpenID Connect Discovery §2).")
        ]
    return []


def read_certificates(texts: Sequence[str]) -> tuple[list[str], list[FieldError]]:
    """PEM or bare base64, each as one PEM block; and what is wrong."""
    found, errors = [], []
    for position, text in enumerate(texts):
        try:
            found.append(_certificate(text))
        except ValueError as error:
            errors.append(FieldError(f"/certificates/{position}", "invalid_certificate", f"{error}"))
    return list(dict.fromkeys(found)), errors


def _certificate(text: str) -> str:
    match = _PEM.search(text)
    body = "".join((match[1] if match else text).split())
    pem = "\n".join(["-----BEGIN CERTIFICATE-----", *textwrap.wrap(body, 64), "-----END CERTIFICATE-----", ""])
    try:
        certificate = x509.load_pem_x509_certificate(pem.encode())
        key = certificate.public_key()
    except Exception:
        raise ValueError("This is no X.509 certificate in PEM or base64.") from None
    if isinstance(key, rsa.RSAPublicKey):
        if key.key_size < 2048:
            raise ValueError(f"The RSA key has {key.key_size} bits; 2048 are the least.")
    elif not isinstance(key, ec.EllipticCurvePublicKey):
        raise ValueError("The certificate must hold an RSA or EC key.")
    return certificate.public_bytes(Encoding.PEM).decode()


def _read_domains(names: Sequence[str]) -> tuple[list[str], list[FieldError]]:
    found, errors = [], []
    for position, name in enumerate(names):
        try:
            domain = to_ascii(name)
            if "." not in domain:
                raise AddressError("invalid_domain", "Give a domain with at least two labels, such as example.com.")
            found.append(domain)
        except AddressError as error:
            errors.append(FieldError(f"/domains/{position}", error.code, error.detail))
    return list(dict.fromkeys(found)), errors


def raise_all(errors: Sequence[FieldError]) -> None:
    if errors:
        detail = errors[0].detail if len(errors) == 1 else f"{len(errors)} fields need attention; see `errors`."
        raise Unprocessable(detail, errors=errors)
