"""From a grant to tokens: the one place where they are made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from authlib.oauth2.rfc6749 import InvalidScopeError, OAuth2Error

from penguinmails_api.oauth2.call import Call, current
from penguinmails_core.kit import ids
from penguinmails_core.kit.ids import Prefix
from penguinmails_core.oauth import flow_repository as sql
from penguinmails_core.oauth.records import App, Grant, Person
from penguinmails_core.oauth.scopes import EMAIL, IDENTITY_SCOPES, OPENID, PROFILE, in_order
from penguinmails_core.oauth.secrets import Kind, digest, new_secret
from penguinmails_core.oauth.tokens import mint_access_token, mint_id_token


class InvalidTargetError(OAuth2Error):  # type: ignore[misc]
    """RFC 8707 §2."""

    error = "invalid_target"


@dataclass(frozen=True, slots=True)
class Issue:
    """`nonce` is of an authorization code; `refresh` says whether a refresh token comes along."""

    grant: Grant
    scopes: tuple[str, ...]
    resources: tuple[str, ...]
    refresh: bool
    nonce: str | None = None


class Issuing:
    """Mixed into Authlib's grants: its token generators see neither the request nor the grant."""

    request: Any

    def issue_for(self) -> tuple[Grant, str | None]:
        """The grant that tokens are made for, and a nonce."""
        raise NotImplementedError

    def generate_token(
        self,
        user: Any = None,
        scope: str | None = None,
        grant_type: str | None = None,
        expires_in: int | None = None,
        include_refresh_token: bool = True,
    ) -> dict[str, Any]:
        grant, nonce = self.issue_for()
        wanted = tuple(scope.split()) if scope else grant.scopes
        resources = tuple(self.request.payload.datalist.get("resource", ()))
        return issue(current(), Issue(grant, wanted, resources, include_refresh_token, nonce))


def issue(call: Call, wanted: Issue) -> dict[str, Any]:
    """The answer of the token endpoint. Raises `InvalidTargetError` for a resource that is not ours or was not
    granted, `InvalidScopeError` when nothing is left that the person may do."""
    store, app = call.store, call.store.app
    if app is None:
        raise LookupError("no app was read")
    grant, person = wanted.grant, store.person
    scopes = _possible(wanted, person)
    audience = check_resources(call, wanted.resources, grant.resources)
    access_token = mint_access_token(
        call.ring,
        call.issuer,
        grant_id=grant.id,
        organization_id=grant.organization_id,
        app_id=app.id,
        user_id=grant.user_id,
        scopes=scopes,
        audience=audience,
        lifetime=call.settings.access_token_lifetime,
        jkt=call.jkt,
    )
    token: dict[str, Any] = {
        "access_token": access_token,
        "token_type": "DPoP" if call.jkt else "Bearer",
        "expires_in": int(call.settings.access_token_lifetime.total_seconds()),
        "scope": " ".join(scopes),
    }
    if wanted.refresh:
        token["refresh_token"] = _new_refresh_token(call, grant)
    if OPENID in scopes and person is not None:
        token["id_token"] = _id_token(call, app, grant, person, scopes, access_token, wanted.nonce)
    if call.jkt is not None and wanted.refresh and not app.confidential:
        store.write(sql.BIND_GRANT, grant.organization_id, grant.id, call.jkt)
    store.write(sql.TOUCH_GRANT, grant.organization_id, grant.id)
    store.write(sql.TOUCH_APP, app.id)
    return token


def check_resources(call: Call, asked: tuple[str, ...], granted: tuple[str, ...]) -> tuple[str, ...]:
    """The audience of a token: what is asked for now, of what was granted, else all of that, else the whole API."""
    possible = granted or call.resources
    if any(resource not in possible for resource in asked):
        raise InvalidTargetError("A resource is not one of this server, or was not granted.")
    return tuple(dict.fromkeys(asked)) or granted or call.resources[:1]


def _possible(wanted: Issue, person: Person | None) -> list[str]:
    """What the person may still do of what was granted."""
    if person is None:
        return in_order(wanted.scopes)
    scopes = in_order(scope for scope in wanted.scopes if scope in IDENTITY_SCOPES or scope in person.scopes)
    if not scopes:
        raise InvalidScopeError("The person may not do any of this any more.")
    return scopes


def _new_refresh_token(call: Call, grant: Grant) -> str:
    token = new_secret(Kind.REFRESH_TOKEN)
    lifetime = call.settings.refresh_token_lifetime
    call.store.write(sql.ADD_REFRESH, digest(token), grant.organization_id, grant.id, lifetime)
    return token


def _id_token(
    call: Call, app: App, grant: Grant, person: Person, scopes: list[str], access_token: str, nonce: str | None
) -> str:
    claims = user_claims(person, scopes)
    if grant.auth_time is not None:
        claims["auth_time"] = int(grant.auth_time.timestamp())
    if grant.amr:
        claims["amr"] = list(grant.amr)
    if nonce is not None:
        claims["nonce"] = nonce
    return mint_id_token(
        call.ring,
        call.issuer,
        alg=app.id_token_alg,
        client_id=app.client_id,
        claims=claims,
        access_token=access_token,
    )


def user_claims(person: Person, scopes: list[str]) -> dict[str, Any]:
    """Of an id_token and of userinfo (OpenID Connect Core §5.4)."""
    claims: dict[str, Any] = {"sub": ids.encode(Prefix.USER, person.id)}
    if EMAIL in scopes:
        claims |= {"email": person.email, "email_verified": person.email_verified}
    if PROFILE in scopes and person.name:
        claims["name"] = person.name
    return claims
