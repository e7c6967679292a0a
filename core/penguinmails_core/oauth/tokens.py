"""Access tokens as JWTs (RFC 9068) and id_tokens (OpenID Connect Core §2): minted and checked here, by nobody else.

Our own dozen lines, because a library's defaults are not these: ES256 by a key that the header names, `typ` must be
`at+jwt`, and issuer, audience and expiry are all required, with five seconds for clocks that disagree.
"""

from __future__ import annotations

import base64
import binascii
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256
from typing import Any
from uuid import UUID

import orjson
from joserfc import jwt
from joserfc.errors import JoseError

from penguinmails_core.kit import ids
from penguinmails_core.kit.ids import Prefix, new_uuid
from penguinmails_core.oauth.keys import ES256, KeyRing, RingKey

ACCESS_TOKEN_TYPE = "at+jwt"  # noqa: S105  (RFC 9068 §2.1)
LEEWAY = 5.0  # seconds
ID_TOKEN_LIFETIME = timedelta(hours=1)
MAX_LENGTH = 4096


class InvalidToken(Exception):
    """The message says what is wrong, for whoever holds the token."""


@dataclass(frozen=True, slots=True)
class AccessToken:
    """What a token says, once its signature and times were found good. `scopes` are not expanded."""

    jti: UUID
    grant_id: UUID
    organization_id: UUID
    app_id: UUID
    subject: str
    user_id: UUID | None
    scopes: tuple[str, ...]
    audience: tuple[str, ...]
    issued_at: int
    expires_at: int
    jkt: str | None = None


def mint_access_token(
    ring: KeyRing,
    issuer: str,
    *,
    grant_id: UUID,
    organization_id: UUID,
    app_id: UUID,
    user_id: UUID | None,
    scopes: Sequence[str],
    audience: Sequence[str],
    lifetime: timedelta,
    jkt: str | None = None,
) -> str:
    """`audience`: resources the token is for. `jkt`: thumbprint of the key that it is bound to (RFC 9449 §6.1)."""
    now = int(time.time())
    client_id = ids.encode(Prefix.OAUTH_APP, app_id)
    claims: dict[str, Any] = {
        "iss": issuer,
        "sub": ids.encode(Prefix.USER, user_id) if user_id else client_id,
        "aud": audience[0] if len(audience) == 1 else list(audience),
        "client_id": client_id,
        "iat": now,
        "exp": now + int(lifetime.total_seconds()),
        "jti": new_uuid().hex,
        "gid": ids.encode(Prefix.OAUTH_GRANT, grant_id),
        "org": ids.encode(Prefix.ORGANIZATION, organization_id),
        "scope": " ".join(scopes),
    }
    if jkt is not None:
        claims["cnf"] = {"jkt": jkt}
    return _sign(ring.current(ES256), claims, ACCESS_TOKEN_TYPE)


def mint_id_token(
    ring: KeyRing,
    issuer: str,
    *,
    alg: str,
    client_id: str,
    claims: dict[str, Any],
    access_token: str,
) -> str:
    """`claims`: `sub` and what the scopes allow, `nonce`, `auth_time`, `amr`."""
    now = int(time.time())
    half = sha256(access_token.encode()).digest()[:16]  # both algorithms hash with SHA-256 (Core §3.1.3.6)
    own = {
        "iss": issuer,
        "aud": client_id,
        "iat": now,
        "exp": now + int(ID_TOKEN_LIFETIME.total_seconds()),
        "at_hash": base64.urlsafe_b64encode(half).rstrip(b"=").decode(),
    }
    return _sign(ring.current(alg), claims | own, "JWT")


async def read_access_token(ring: KeyRing, token: str, issuer: str, audiences: Collection[str]) -> AccessToken:
    """Raises `InvalidToken`; `Unavailable` when the keys cannot be had."""
    key = await ring.find(*_key_of(token))
    if key is None:
        raise InvalidToken("The token was signed with a key that is not ours.")
    try:
        claims = jwt.decode(token, key.key, algorithms=[ES256]).claims
    except (JoseError, ValueError) as error:
        raise InvalidToken("The token's signature is wrong.") from error
    return _checked(claims, issuer, audiences)


def _key_of(token: str) -> tuple[str, str]:
    """(kid, alg) of a token that may be one of ours, before anything expensive is done with it."""
    if len(token) > MAX_LENGTH or token.count(".") != 2 or not token.isascii():
        raise InvalidToken("This is not a JWT.")
    head = token.partition(".")[0]
    try:
        header = orjson.loads(base64.urlsafe_b64decode(head + "=" * (-len(head) % 4)))
    except (binascii.Error, ValueError):
        raise InvalidToken("This is not a JWT.") from None
    if not isinstance(header, dict) or header.get("typ") != ACCESS_TOKEN_TYPE:
        raise InvalidToken("This is not an access token: its header must say typ at+jwt.")
    if header.get("alg") != ES256 or not isinstance(header.get("kid"), str) or "crit" in header:
        raise InvalidToken("Access tokens are signed with ES256, by a key that the header names.")
    return header["kid"], ES256


def _checked(claims: dict[str, Any], issuer: str, audiences: Collection[str]) -> AccessToken:
    audience = claims.get("aud")
    named = tuple(audience) if isinstance(audience, list) else (audience,)
    now = time.time()
    if claims.get("iss") != issuer:
        raise InvalidToken("The token is from another issuer.")
    if not any(name in audiences for name in named if isinstance(name, str)):
        raise InvalidToken("The token is for another resource (its aud does not name this API).")
    expires, issued = claims.get("exp"), claims.get("iat")
    if not isinstance(expires, int) or not isinstance(issued, int) or issued > now + LEEWAY:
        raise InvalidToken("The token has no usable times.")
    if expires + LEEWAY <= now:
        raise InvalidToken("The token has expired.")
    try:
        subject = str(claims["sub"])
        bound = claims.get("cnf")
        return AccessToken(
            jti=UUID(hex=claims["jti"]),
            grant_id=ids.decode(Prefix.OAUTH_GRANT, claims["gid"]),
            organization_id=ids.decode(Prefix.ORGANIZATION, claims["org"]),
            app_id=ids.decode(Prefix.OAUTH_APP, claims["client_id"]),
            subject=subject,
            user_id=ids.decode(Prefix.USER, subject) if subject.startswith(f"{Prefix.USER}_") else None,
            scopes=tuple(str(claims["scope"]).split()),
            audience=named,
            issued_at=issued,
            expires_at=expires,
            jkt=str(bound["jkt"]) if bound else None,
        )
    except (KeyError, ValueError, TypeError, AttributeError):
        raise InvalidToken("The token lacks claims that ours have.") from None


def _sign(key: RingKey, claims: dict[str, Any], kind: str) -> str:
    return jwt.encode({"alg": key.alg, "typ": kind, "kid": key.kid}, claims, key.key, algorithms=[key.alg])
