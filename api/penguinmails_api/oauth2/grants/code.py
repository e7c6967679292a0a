"""Authorization code (RFC 6749 §4.1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from authlib.oauth2.rfc6749.grants import AuthorizationCodeGrant

from penguinmails_api.oauth2.call import current
from penguinmails_api.oauth2.issuing import Issuing
from penguinmails_api.oauth2.server import Client
from penguinmails_core.oauth import flow_repository as sql
from penguinmails_core.oauth.records import Code, Grant, Person

AUTH_METHODS = ["client_secret_basic", "client_secret_post", "none"]


@dataclass(frozen=True, slots=True)
class CodeInRequest:
    """`redirect_uri` is None when the token request leaves it out: OAuth 2.1 §4.1.3 has none, PKCE binds the two
    requests. When it is sent, it must be the same, port included."""

    code: Code
    redirect_uri: str | None

    def get_redirect_uri(self) -> str | None:
        return self.redirect_uri

    def get_scope(self) -> str:
        return self.code.get_scope()


class CodeGrant(Issuing, AuthorizationCodeGrant):  # type: ignore[misc]
    TOKEN_ENDPOINT_AUTH_METHODS = AUTH_METHODS

    def query_authorization_code(self, code: str, client: Client) -> CodeInRequest | None:
        """A second use revokes everything that came of the first (RFC 6749 §4.1.2)."""
        store = current().store
        found = store.code
        if found is None or found.grant.app_id != client.app.id:
            return None
        grant = found.grant
        if found.used:
            store.write(sql.REVOKE_GRANT, grant.organization_id, grant.id, "code_replay")
            return None
        if found.expired or grant.revoked or grant.jkt not in (None, current().jkt):
            return None
        sent = self.request.payload.redirect_uri
        return CodeInRequest(found, found.redirect_uri if sent is not None else None)

    def authenticate_user(self, authorization_code: CodeInRequest) -> Person | None:
        return current().store.person

    def issue_for(self) -> tuple[Grant, str | None]:
        code: Code = self.request.authorization_code.code
        return code.grant, code.nonce

    def delete_authorization_code(self, authorization_code: CodeInRequest) -> None:
        current().store.write(sql.USE_CODE, authorization_code.code.hash)

    def save_authorization_code(self, code: str, request: Any) -> None:
        """The consent page has done it (`core/oauth/consent.py`), with the grant that the code belongs to."""
