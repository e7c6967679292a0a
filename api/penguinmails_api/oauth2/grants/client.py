"""Client credentials (RFC 6749 §4.4): an app of the organization acts for itself, as an API key does."""

from __future__ import annotations

from typing import Any

from authlib.oauth2.rfc6749 import InvalidScopeError
from authlib.oauth2.rfc6749.grants import ClientCredentialsGrant

from penguinmails_api.oauth2.call import current
from penguinmails_api.oauth2.issuing import Issuing
from penguinmails_core.oauth.records import Grant
from penguinmails_core.oauth.scopes import api_scopes


class ClientGrant(Issuing, ClientCredentialsGrant):  # type: ignore[misc]
    TOKEN_ENDPOINT_AUTH_METHODS: tuple[str, ...] = ("client_secret_basic", "client_secret_post")

    def validate_requested_scope(self) -> None:
        """Nothing about a person: there is none."""
        super().validate_requested_scope()
        app = self.request.client.app
        wanted = (self.request.payload.scope or "").split() or list(api_scopes(app.scopes))
        if not wanted or not api_scopes(app.scopes).issuperset(wanted):
            raise InvalidScopeError()
        self.scopes = wanted

    def issue_for(self) -> tuple[Grant, str | None]:
        grant = current().store.grant
        if grant is None:
            raise LookupError("no grant was read")
        return grant, None

    def generate_token(
        self,
        user: Any = None,
        scope: str | None = None,
        grant_type: str | None = None,
        expires_in: int | None = None,
        include_refresh_token: bool = False,
    ) -> dict[str, Any]:
        return super().generate_token(scope=" ".join(self.scopes), include_refresh_token=False)
