"""Is this ID token about somebody who just signed in here? (OpenID Connect Core §3.1.3.7)

Signatures and claims are checked by joserfc and Authlib. What we add is what their defaults leave open: the audience is
compared, the algorithms are ours (whatever the provider's metadata lists), and `auth_time` counts when we asked for it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519")
LEEWAY = 60  # seconds that two clocks may differ
MAX_TOKEN = 64 * 1024


class BadToken(Exception):
    """Why it is refused, in words for the log and the administrator; it holds nothing of the token."""


@dataclass(frozen=True, slots=True)
class Expected:
    """What we asked for. `since` (Unix time): the sign-in has to be newer, and the provider has to say when it was."""

    issuer: str
    client_id: str
    nonce: str
    access_token: str | None = None
    since: float | None = None


def check(token: str, keys: KeySet, algorithms: Sequence[str], expected: Expected) -> dict[str, Any]:
    """The claims. Raises `BadToken`. `algorithms` are those of the provider's metadata."""
    allowed = [name for name in ALGORITHMS if name in algorithms]
    if not allowed:
        raise BadToken("the provider lists no algorithm that we take")
    if len(token) > MAX_TOKEN:
        raise BadToken("it is too long")
    try:
        decoded = jwt.decode(token, keys, algorithms=allowed)
        claims = CodeIDToken(
            decoded.claims,
            decoded.header,
            {
                "iss": {"essential": True, "value": expected.issuer},
                "aud": {"essential": True, "value": expected.client_id},
                "nonce": {"essential": True},
            },
            {"nonce": expected.nonce, "client_id": expected.client_id, "access_token": expected.access_token},
        )
        claims.validate(leeway=LEEWAY)
    except (JoseError, ValueError, TypeError, KeyError) as error:
        raise BadToken(f"{type(error).__name__}: {error}"[:200]) from None
    _check_subject(claims)
    _check_audience(claims, expected)
    if expected.since is not None:
        _check_fresh(claims, expected.since)
    return dict(claims)


def _check_subject(claims: Mapping[str, Any]) -> None:
    subject = claims.get("sub")
    if not isinstance(subject, str) or not 0 < len(subject) <= 255 or not subject.isascii():
        raise BadToken("`sub` is not 1 to 255 ASCII characters")


def _check_audience(claims: Mapping[str, Any], expected: Expected) -> None:
    audience = claims["aud"]
    audiences = audience if isinstance(audience, list) else [audience]
    if len(audiences) > 1 and claims.get("azp") != expected.client_id:
        raise BadToken("it is for several audiences and `azp` is not us")


def _check_fresh(claims: Mapping[str, Any], since: float) -> None:
    at = claims.get("auth_time")
    if isinstance(at, bool) or not isinstance(at, int | float):
        raise BadToken("a fresh sign-in was asked for and `auth_time` is missing")
    if at + LEEWAY < since:
        raise BadToken("the sign-in is older than the question")
