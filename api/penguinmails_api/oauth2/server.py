"""Authlib's server over what was read ahead. It does no I/O: reads come from the `Store`, writes go into it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from authlib.oauth2.rfc6749 import AuthorizationServer, InvalidScopeError, OAuth2Error, OAuth2Payload, OAuth2Request
from authlib.oauth2.rfc6749.errors import InvalidClientError

from penguinmails_api.oauth2.call import current
from penguinmails_api.oauth2.errors import OAuthError, invalid_client
from penguinmails_api.oauth2.forms import Parameters
from penguinmails_core.oauth.records import App
from penguinmails_core.oauth.redirect_uris import is_registered
from penguinmails_core.oauth.scopes import SUPPORTED

Answer = tuple[int, Any, dict[str, str]]


class Client:
    """An app with the questions that Authlib asks about it."""

    def __init__(self, app: App) -> None:
        self.app = app

    def get_client_id(self) -> str:
        return self.app.client_id

    def get_default_redirect_uri(self) -> str | None:
        """Only when there is no choice (RFC 6749 §3.1.2.3)."""
        return self.app.redirect_uris[0] if len(self.app.redirect_uris) == 1 else None

    def get_allowed_scope(self, scope: str | None) -> str | None:
        """None, which becomes `invalid_scope`, rather than silently less than was asked for."""
        possible = {*self.app.scopes, *(self.app.requested_scopes if self.app.approved else ())}
        wanted = scope.split() if scope else list(self.app.scopes)
        return " ".join(dict.fromkeys(wanted)) if wanted and possible.issuperset(wanted) else None

    def check_redirect_uri(self, redirect_uri: str) -> bool:
        return is_registered(redirect_uri, self.app.redirect_uris)

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        """A client with a secret may send it either way, and must send it everywhere."""
        return (method != "none") == self.app.confidential

    def check_response_type(self, response_type: str) -> bool:
        return response_type == "code" and "authorization_code" in self.app.grant_types

    def check_grant_type(self, grant_type: str) -> bool:
        return grant_type in self.app.grant_types


class Payload(OAuth2Payload):  # type: ignore[misc]
    def __init__(self, parameters: Parameters) -> None:
        self.parameters = parameters

    @property
    def data(self) -> dict[str, str]:
        return self.parameters.data

    @property
    def datalist(self) -> Mapping[str, list[str]]:
        return self.parameters.lists


class FormRequest(OAuth2Request):  # type: ignore[misc]
    """The URI is the configured one: behind a proxy that ends TLS the scheme of the connection says nothing."""

    def __init__(self, method: str, uri: str, parameters: Parameters, headers: Mapping[str, str]) -> None:
        # Authlib insists on https here; plain http is for the operator to allow, by the public URL they set.
        super().__init__(method, uri.replace("http://", "https://", 1), headers=dict(headers))
        self.payload = Payload(parameters)

    @property
    def args(self) -> dict[str, str]:
        return {}

    @property
    def form(self) -> dict[str, str]:
        data: dict[str, str] = self.payload.data
        return data


class Server(AuthorizationServer):  # type: ignore[misc]
    """`handle_response` gives plain tuples, which the shell turns into answers."""

    def query_client(self, client_id: str) -> Client | None:
        app = current().store.app
        return Client(app) if app is not None and app.client_id == client_id else None

    def authenticate_client(self, request: Any, methods: list[str], endpoint: str = "token") -> Client:
        """By what the shell read (`forms.read_client`), the one method that was used. Authlib's own tries methods one
        after the other, and decodes HTTP Basic in another way than clients encode it."""
        call = current()
        shown, app = call.client, call.store.app
        if shown is None or app is None or app.client_id != shown.client_id or shown.method not in methods:
            raise InvalidClientError(status_code=401)
        client = Client(app)
        if not client.check_endpoint_auth_method(shown.method, endpoint):
            raise InvalidClientError(status_code=401)
        if shown.method != "none" and not app.check_secret(shown.secret or ""):
            raise InvalidClientError(status_code=401)
        request.auth_method = shown.method
        return client

    def save_token(self, token: dict[str, Any], request: Any) -> None:
        """What is kept of a token was queued when it was made."""

    def send_signal(self, name: str, *args: Any, **kwargs: Any) -> None:
        pass

    def create_oauth2_request(self, request: Any) -> Any:
        return request

    def create_json_request(self, request: Any) -> Any:
        return request

    def handle_response(self, status: int, body: Any, headers: list[tuple[str, str]]) -> Answer:
        return status, body, dict(headers)

    def handle_error_response(self, request: Any, error: OAuth2Error) -> Answer:
        raise as_error(error)

    def validate_requested_scope(self, scope: str | None) -> None:
        if scope and not set(SUPPORTED).issuperset(scope.split()):
            raise InvalidScopeError()


def as_error(error: OAuth2Error) -> OAuthError:
    """An error of Authlib in our form."""
    if error.error == "invalid_client":
        shown = current().client
        return invalid_client(with_basic=shown is not None and shown.method == "client_secret_basic")
    description = error.get_error_description() or _WORDS.get(error.error, "The request was refused.")
    return OAuthError(error.error, _plain(description), 400, redirect_uri=error.redirect_uri)


_WORDS = {
    "invalid_grant": "The grant is unknown, was used, has expired, was revoked, or belongs to another client.",
    "unauthorized_client": "The client may not use this grant type.",
}


def _plain(text: str) -> str:
    """The characters that RFC 6749 §5.2 allows."""
    return "".join(c if " " <= c <= "~" and c not in '"\\' else "'" for c in text)
