"""Refresh tokens that change with each use (RFC 9700 §4.14.2)."""

from __future__ import annotations

from typing import Any

from authlib.oauth2.rfc6749 import InvalidGrantError
from authlib.oauth2.rfc6749.grants import RefreshTokenGrant

from penguinmails_api.oauth2.call import current
from penguinmails_api.oauth2.grants.code import AUTH_METHODS
from penguinmails_api.oauth2.issuing import Issuing
from penguinmails_core.oauth import flow_repository as sql
from penguinmails_core.oauth.records import Grant, Person, RefreshToken


class _Usable:
    """A token that was found good, with the question Authlib asks last."""

    def __init__(self, token: RefreshToken) -> None:
        self.token = token

    def check_client(self, client: Any) -> bool:
        return True  # `authenticate_refresh_token` compared them before it revoked anything

    def get_scope(self) -> str:
        return self.token.get_scope()


class RefreshGrant(Issuing, RefreshTokenGrant):  # type: ignore[misc]
    TOKEN_ENDPOINT_AUTH_METHODS = AUTH_METHODS
    INCLUDE_NEW_REFRESH_TOKEN = True

    def authenticate_refresh_token(self, refresh_token: str) -> _Usable | None:
        """One that was used is, within the grace, the second of two requests at once, and gets a token of its own in
        the same family. Later it is theft: of either the thief or the owner, so the family ends."""
        call = current()
        found = call.store.refresh_token
        if found is None or found.grant.app_id != self.request.client.app.id:
            return None
        grant = found.grant
        if grant.revoked or found.expired:
            return None
        if found.used_for is not None and found.used_for >= call.settings.refresh_grace.total_seconds():
            call.store.write(sql.REVOKE_GRANT, grant.organization_id, grant.id, "refresh_token_reuse")
            return None
        # A confidential client proves who it is in another way, and may change its key (RFC 9449 §5).
        if not self.request.client.app.confidential and grant.jkt not in (None, call.jkt):
            return None
        return _Usable(found)

    def authenticate_user(self, refresh_token: _Usable) -> Person:
        person = current().store.person
        if person is None:
            raise InvalidGrantError("The person is not a member any more.")
        return person

    def issue_for(self) -> tuple[Grant, str | None]:
        return self.request.refresh_token.token.grant, None

    def revoke_old_credential(self, refresh_token: _Usable) -> None:
        current().store.write(sql.USE_REFRESH, refresh_token.token.hash)
