"""OpenID Connect, as relying party: authorization code with PKCE (S256), state, nonce and issuer.

Every outgoing request is `kit/http`'s: the addresses that a provider's metadata names are checked as any other URL. So
the form of the code exchange is put together here (RFC 6749 §4.1.3); tokens and keys are left to libraries.
"""

from __future__ import annotations

import base64
import logging
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import orjson
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from penguinmails_api.identity.sso.id_token import BadToken, Expected, check
from penguinmails_core.errors import Forbidden, Unavailable
from penguinmails_core.kit.http import OutgoingError, OutgoingHttp
from penguinmails_core.sso.sign_in import Proven, Provider

log = logging.getLogger(__name__)

SCOPE = "openid email profile"
CACHE_SECONDS = 600.0
_CACHE_SIZE = 500
_NEEDED = ("authorization_endpoint", "token_endpoint", "jwks_uri")


class ProviderFailed(Unavailable):
    """The detail is for people; what exactly went wrong is in the log."""

    cause = "The identity provider of the organization could not be reached, or what it answered is not usable."
    fix = "Try again. If it stays, tell the administrator of the organization; `test` of the connection says more."


@dataclass(frozen=True, slots=True)
class Metadata:
    """What a provider says of itself (OpenID Connect Discovery §3), with its keys."""

    document: Mapping[str, Any]
    keys: KeySet
    read_at: float = field(default_factory=time.monotonic)

    def url(self, name: str) -> str | None:
        value = self.document.get(name)
        return value if isinstance(value, str) else None

    def list_of(self, name: str, default: tuple[str, ...] = ()) -> list[str]:
        value = self.document.get(name, list(default))
        return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


@dataclass(frozen=True, slots=True)
class Departure:
    """Where to send the browser, and what to remember meanwhile."""

    url: str
    state: str
    data: dict[str, Any]


class OidcClient:
    """One for a process. Metadata and keys are kept for ten minutes; an unknown key fetches them anew."""

    def __init__(self, http: OutgoingHttp) -> None:
        self._http = http
        self._cache: dict[str, Metadata] = {}

    async def discover(self, issuer: str, *, anew: bool = False) -> Metadata:
        """Raises `ProviderFailed`."""
        known = self._cache.get(issuer)
        if known is not None and not anew and known.read_at + CACHE_SECONDS > time.monotonic():
            return known
        document = await self._json("GET", issuer.rstrip("/") + "/.well-known/openid-configuration")
        if document.get("issuer") != issuer:
            raise ProviderFailed("The provider's metadata is of another issuer than the one that is configured.")
        for name in _NEEDED:
            self._check_url(name, document.get(name))
        try:
            published: Any = await self._json("GET", document["jwks_uri"])
            keys = KeySet.import_key_set(published)
        except (JoseError, ValueError, KeyError, TypeError):
            raise ProviderFailed("The provider's keys (JWKS) cannot be read.") from None
        if len(self._cache) >= _CACHE_SIZE:
            self._cache.clear()
        self._cache[issuer] = metadata = Metadata(document, keys)
        return metadata

    async def depart(self, provider: Provider, redirect_uri: str, *, login_hint: str = "", fresh: bool) -> Departure:
        """`fresh`: the person must prove anew who they are. Raises `ProviderFailed`."""
        metadata = await self.discover(provider.issuer)
        state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
        parameters = {
            "response_type": "code",
            "client_id": provider.client_id or "",
            "redirect_uri": redirect_uri,
            "scope": SCOPE,
            "state": state,
            "nonce": nonce,
            "code_challenge": create_s256_code_challenge(verifier),
            "code_challenge_method": "S256",
        }
        if login_hint:
            parameters["login_hint"] = login_hint
        if fresh:
            parameters["max_age"] = "0"
        endpoint = metadata.url("authorization_endpoint") or ""
        joint = "&" if urlsplit(endpoint).query else "?"
        data = {"nonce": nonce, "verifier": verifier, "since": time.time() if fresh else None}
        return Departure(endpoint + joint + urlencode(parameters), state, data)

    async def prove(
        self,
        provider: Provider,
        secret: str | None,
        redirect_uri: str,
        data: Mapping[str, Any],
        answer: Mapping[str, str],
    ) -> Proven:
        """Who signed in, from the parameters the browser brought back. Raises `Forbidden`, `ProviderFailed`."""
        metadata = await self.discover(provider.issuer)
        self._check_answer(provider, metadata, answer)
        tokens = await self._exchange(provider, secret, metadata, redirect_uri, answer["code"], data["verifier"])
        access_token = tokens.get("access_token")
        expected = Expected(
            provider.issuer,
            provider.client_id or "",
            data["nonce"],
            access_token if isinstance(access_token, str) else None,
            data["since"],
        )
        claims = await self._claims(provider, metadata, str(tokens.get("id_token", "")), expected)
        if "email" not in claims and expected.access_token:
            claims |= await self._userinfo(metadata, expected.access_token, claims["sub"])
        return _proven(claims)

    def _check_answer(self, provider: Provider, metadata: Metadata, answer: Mapping[str, str]) -> None:
        """RFC 9207: an answer that names its issuer, or that has to, is of this very one."""
        issuer = answer.get("iss")
        must = metadata.document.get("authorization_response_iss_parameter_supported") is True
        if (issuer is not None or must) and issuer != provider.issuer:
            raise Forbidden("The answer came from another identity provider than the one that was asked.")
        if "error" in answer:
            log.info("sso: %s refused: %s", provider.id, answer["error"][:100])
            raise Forbidden("The identity provider did not sign you in. Start again, or ask your administrator.")
        if not answer.get("code"):
            raise Forbidden("The identity provider's answer holds no code.")

    async def _exchange(
        self,
        provider: Provider,
        secret: str | None,
        metadata: Metadata,
        redirect_uri: str,
        code: str,
        verifier: str,
    ) -> dict[str, Any]:
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": redirect_uri,
            "code_verifier": verifier,
        }
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
        client_id = provider.client_id or ""
        methods = metadata.list_of("token_endpoint_auth_methods_supported", ("client_secret_basic",))
        if secret is not None and ("client_secret_basic" in methods or "client_secret_post" not in methods):
            pair = f"{quote(client_id, safe='')}:{quote(secret, safe='')}"  # RFC 6749 §2.3.1
            headers["Authorization"] = "Basic " + base64.b64encode(pair.encode()).decode()
        else:
            form["client_id"] = client_id
            if secret is not None:
                form["client_secret"] = secret
        url = metadata.url("token_endpoint") or ""
        return await self._json("POST", url, body=urlencode(form).encode(), headers=headers)

    async def _claims(self, provider: Provider, metadata: Metadata, token: str, expected: Expected) -> dict[str, Any]:
        try:
            try:
                return _check(token, metadata, expected)
            except BadToken:
                metadata = await self.discover(provider.issuer, anew=True)  # its keys may have been changed
                return _check(token, metadata, expected)
        except BadToken as error:
            log.warning("sso: an ID token for %s is refused: %s", provider.id, error)
            raise Forbidden("What the identity provider says of you does not hold. Nobody was signed in.") from None

    async def _userinfo(self, metadata: Metadata, access_token: str, subject: str) -> dict[str, Any]:
        """E-mail and name, where the ID token leaves them out. It must be about the same subject (Core §5.3.2)."""
        url = metadata.url("userinfo_endpoint")
        if url is None:
            return {}
        self._check_url("userinfo_endpoint", url)
        found = await self._json("GET", url, headers={"Authorization": f"Bearer {access_token}"})
        if found.get("sub") != subject:
            raise Forbidden("The identity provider's user info is about somebody else.")
        return {name: found[name] for name in ("email", "email_verified", "name") if name in found}

    def _check_url(self, name: str, url: object) -> None:
        try:
            self._http.check_url(url if isinstance(url, str) else "")
        except OutgoingError as error:
            raise ProviderFailed(f"The provider's `{name}` cannot be used: {error.detail}.") from None

    async def _json(
        self, method: str, url: str, *, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        try:
            answer = await self._http.request(method, url, body=body, headers=headers)
        except OutgoingError as error:
            raise ProviderFailed(f"The identity provider cannot be reached: {error.detail}.") from None
        if answer.status != 200 or answer.truncated:
            log.warning("sso: %s answered %d", urlsplit(url).hostname, answer.status)
            raise ProviderFailed(f"The identity provider answered {answer.status} where 200 was needed.")
        try:
            found = orjson.loads(answer.body)
        except orjson.JSONDecodeError:
            found = None
        if not isinstance(found, dict):
            raise ProviderFailed("The identity provider's answer is no JSON object.")
        return found


def _check(token: str, metadata: Metadata, expected: Expected) -> dict[str, Any]:
    algorithms = metadata.list_of("id_token_signing_alg_values_supported", ("RS256",))
    return check(token, metadata.keys, algorithms, expected)


def _proven(claims: Mapping[str, Any]) -> Proven:
    email, name, verified = claims.get("email"), claims.get("name"), claims.get("email_verified")
    if isinstance(verified, str):  # some providers send text
        verified = verified.lower() == "true"
    return Proven(
        claims["sub"],
        email if isinstance(email, str) else None,
        name if isinstance(name, str) else None,
        verified if isinstance(verified, bool) else None,
    )
