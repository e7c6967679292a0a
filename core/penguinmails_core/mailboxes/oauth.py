"""Access tokens of Google and Microsoft mailboxes, bought with refresh tokens (RFC 6749 §6)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import orjson

from penguinmails_core.config import MailboxSettings
from penguinmails_core.kit.clock import utcnow
from penguinmails_core.kit.http import OutgoingHttp
from penguinmails_core.kit.http_guard import OutgoingError
from penguinmails_core.mailboxes.records import PROVIDERS, Check

_TITLES = {"google": "Google", "microsoft": "Microsoft"}
_FORM = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}


@dataclass(frozen=True, slots=True)
class Tokens:
    """`refresh` is None when the provider keeps the old one."""

    access: str = field(repr=False)
    expires_at: datetime
    refresh: str | None = field(default=None, repr=False)


class OAuthFailed(Exception):
    """No token. `check` says why, for the owner of the mailbox."""

    def __init__(self, code: str, detail: str, fix: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.check = Check("oauth", code, detail, fix)


class OAuthTokens:
    """Asks the provider. Stores nothing."""

    def __init__(self, http: OutgoingHttp, settings: MailboxSettings) -> None:
        self._http = http
        self._settings = settings

    async def refresh(self, provider: str, refresh_token: str) -> Tokens:
        """Raises `OAuthFailed`."""
        title, settings = _TITLES[provider], self._settings
        client = getattr(settings, f"{provider}_client_id")
        secret = getattr(settings, f"{provider}_client_secret")
        if client is None or secret is None:
            raise OAuthFailed(
                "oauth_not_configured",
                f"This server has no OAuth app at {title}.",
                f"Its operator sets PENGUINMAILS_MAILBOX_{provider.upper()}_CLIENT_ID and ..._CLIENT_SECRET.",
            )
        form = {
            "grant_type": "refresh_token",
            "refresh_token": refresh_token,
            "client_id": client,
            "client_secret": secret.get_secret_value(),
        }
        if PROVIDERS[provider].scope is not None:
            form["scope"] = str(PROVIDERS[provider].scope)
        try:
            answer = await self._http.post(
                getattr(settings, f"{provider}_token_url"), body=urlencode(form).encode(), headers=_FORM
            )
        except OutgoingError as error:
            fix = "Try again in a few minutes."
            raise OAuthFailed("oauth_unavailable", f"{title} does not answer: {error.detail}.", fix) from None
        return _read(title, answer.status, answer.body)


def _read(title: str, status: int, body: bytes) -> Tokens:
    try:
        data: Any = orjson.loads(body)
    except orjson.JSONDecodeError:
        data = None
    data = data if isinstance(data, Mapping) else {}
    access, lifetime = data.get("access_token"), data.get("expires_in")
    if status == 200 and isinstance(access, str) and access:
        seconds = lifetime if isinstance(lifetime, int) and 0 < lifetime < 1_000_000 else 300
        renewed = data.get("refresh_token")
        return Tokens(access, utcnow() + timedelta(seconds=seconds), renewed if isinstance(renewed, str) else None)
    code = str(data.get("error", ""))[:100]
    if code == "invalid_grant":
        detail = f"{title} does not accept the refresh token any more: access was withdrawn, or the password changed."
        raise OAuthFailed("oauth_revoked", detail, "Let the owner of the mailbox sign in and grant access again.")
    if status in (429, 500, 502, 503, 504):
        raise OAuthFailed("oauth_unavailable", f"{title} answered {status}.", "Try again in a few minutes.")
    detail = f"{title} refuses to renew the token ({code or status})."
    raise OAuthFailed("oauth_refused", detail, f"Check client id, secret and scopes of the OAuth app at {title}.")
