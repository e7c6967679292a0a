"""Revocation (RFC 7009), introspection (RFC 7662) and the start of the device flow (RFC 8628 §3.1)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from authlib.oauth2.rfc6749 import InvalidRequestError, InvalidScopeError, UnauthorizedClientError
from authlib.oauth2.rfc7009 import RevocationEndpoint
from authlib.oauth2.rfc7662 import IntrospectionEndpoint
from authlib.oauth2.rfc8628 import DeviceAuthorizationEndpoint

from penguinmails_api.oauth2.call import Shown, current
from penguinmails_api.oauth2.grants.code import AUTH_METHODS
from penguinmails_api.oauth2.issuing import check_resources
from penguinmails_api.oauth2.server import Client
from penguinmails_core.kit import ids
from penguinmails_core.kit.ids import Prefix
from penguinmails_core.oauth import flow_repository as sql
from penguinmails_core.oauth.records import DEVICE_GRANT
from penguinmails_core.oauth.secrets import Kind, digest, new_secret, new_user_code, show_user_code

DEVICE_LIFETIME = timedelta(minutes=10)
POLL_INTERVAL = 5  # seconds


class _Shared:
    """Hints are hints (RFC 7009 §2.1), unknown ones too: we know our tokens by their looks."""

    def check_params(self, request: Any, client: Client) -> None:
        if "token" not in request.form:
            raise InvalidRequestError("token is missing.")

    def query_token(self, token_string: str, token_type_hint: str | None) -> Shown | None:
        return current().shown


class Revocation(_Shared, RevocationEndpoint):  # type: ignore[misc]
    CLIENT_AUTH_METHODS = AUTH_METHODS

    def revoke_token(self, token: Shown, request: Any) -> None:
        """A refresh token ends its whole grant, an access token itself alone (RFC 7009 §2.1)."""
        store = current().store
        if token.access is not None:
            store.write(sql.REVOKE_JTI, token.access.jti, float(token.access.expires_at))
        else:
            store.write(sql.REVOKE_GRANT, token.grant.organization_id, token.grant.id, "client")


class Introspection(_Shared, IntrospectionEndpoint):  # type: ignore[misc]
    CLIENT_AUTH_METHODS: tuple[str, ...] = ("client_secret_basic", "client_secret_post")

    def check_permission(self, token: Shown, client: Client, request: Any) -> bool:
        """A client asks about its own tokens, a resource server of an organization about those for its organization."""
        app = client.app
        return token.grant.app_id == app.id or (not app.dynamic and token.grant.organization_id == app.organization_id)

    def introspect_token(self, token: Shown) -> dict[str, Any]:
        grant, access = token.grant, token.access
        told: dict[str, Any] = {
            "client_id": ids.encode(Prefix.OAUTH_APP, grant.app_id),
            "scope": " ".join(access.scopes if access else grant.scopes),
            "iss": current().issuer,
            "sub": ids.encode(Prefix.USER, grant.user_id) if grant.user_id else None,
        }
        if access is not None:
            told |= {
                "token_type": "DPoP" if access.jkt else "Bearer",
                "sub": access.subject,
                "aud": list(access.audience),
                "exp": access.expires_at,
                "iat": access.issued_at,
                "jti": access.jti.hex,
            }
            if access.jkt is not None:
                told["cnf"] = {"jkt": access.jkt}
        return {name: value for name, value in told.items() if value is not None}


class Device(DeviceAuthorizationEndpoint):  # type: ignore[misc]
    CLIENT_AUTH_METHODS = AUTH_METHODS
    EXPIRES_IN = int(DEVICE_LIFETIME.total_seconds())
    INTERVAL = POLL_INTERVAL

    def create_endpoint_response(self, request: Any) -> tuple[int, dict[str, Any], list[tuple[str, str]]]:
        """Authlib's own looks neither at the client's grant types nor at its scopes."""
        client = self.authenticate_client(request)
        if not client.check_grant_type(DEVICE_GRANT):
            raise UnauthorizedClientError()
        self.server.validate_requested_scope(request.payload.scope)
        if client.get_allowed_scope(request.payload.scope) is None:
            raise InvalidScopeError()
        check_resources(current(), tuple(request.payload.datalist.get("resource", ())), ())
        answer: tuple[int, dict[str, Any], list[tuple[str, str]]] = super().create_endpoint_response(request)
        return answer

    def generate_device_code(self) -> str:
        return new_secret(Kind.DEVICE_CODE)

    def generate_user_code(self) -> str:
        return show_user_code(new_user_code())

    def get_verification_uri(self) -> str:
        return current().issuer + "/device"

    def save_device_credential(self, client_id: str, scope: str | None, data: dict[str, Any]) -> None:
        call = current()
        app = call.store.app
        assert app is not None
        call.store.write(
            sql.ADD_DEVICE,
            digest(data["device_code"]),
            data["user_code"].replace("-", ""),
            app.id,
            (Client(app).get_allowed_scope(scope) or "").split(),
            call.asked_resources,
            call.jkt,
            POLL_INTERVAL,
            DEVICE_LIFETIME,
        )
