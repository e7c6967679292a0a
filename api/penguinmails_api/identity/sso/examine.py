"""What can be seen of a connection without a person who signs in."""

from __future__ import annotations

from cryptography import x509

from penguinmails_api.identity.sso import saml
from penguinmails_api.identity.sso.id_token import ALGORITHMS
from penguinmails_api.identity.sso.oidc import OidcClient
from penguinmails_core.errors import Problem
from penguinmails_core.kit.clock import utcnow
from penguinmails_core.models import SsoConnection

Finding = tuple[str, str | None]
"""What was looked at, and what is wrong with it (None: nothing)."""


async def examine(client: OidcClient, row: SsoConnection, outside: int = 0) -> list[Finding]:
    """`outside`: provisioned users who are no members."""
    found = await _examine(client, row)
    if outside:
        detail = f"{outside} provisioned users are no members: no address of theirs is in a proven domain."
        found.append(("provisioning", detail))
    return found


async def _examine(client: OidcClient, row: SsoConnection) -> list[Finding]:
    if row.protocol == "oidc":
        return await _examine_oidc(client, row.issuer)
    library = None if saml.available() else "This server lacks penguinmails-server[saml]."
    return [("library", library), ("certificates", _expired(row.certificates))]


def _expired(certificates: list[str]) -> str | None:
    """One that is valid is enough: the others may be of the past or the future."""
    now = utcnow()
    for text in certificates:
        certificate = x509.load_pem_x509_certificate(text.encode())
        if certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc:
            return None
    return "No certificate is valid at the moment. Enter the provider's present one."


async def _examine_oidc(client: OidcClient, issuer: str) -> list[Finding]:
    try:
        metadata = await client.discover(issuer, anew=True)
    except Problem as problem:
        return [("discovery", problem.detail)]
    found: list[Finding] = [("discovery", None)]
    algorithms = metadata.list_of("id_token_signing_alg_values_supported", ("RS256",))
    usable = [name for name in algorithms if name in ALGORITHMS]
    found.append(("signing_algorithms", None if usable else "The provider signs ID tokens with none of ours."))
    found.append(("keys", None if list(metadata.keys) else "The provider publishes no keys."))
    methods = metadata.list_of("code_challenge_methods_supported")
    found.append(("pkce", None if not methods or "S256" in methods else "The provider does not know PKCE with S256."))
    return found
