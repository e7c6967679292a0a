"""What one request works with while Authlib's synchronous rules run: found through a ContextVar, since Authlib hands
nothing down to where it looks a client up."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from penguinmails_api.oauth2.forms import ClientCredentials
from penguinmails_core.config import OAuthSettings
from penguinmails_core.kit.db import Database
from penguinmails_core.oauth.keys import KeyRing
from penguinmails_core.oauth.records import Grant, RefreshToken, Store
from penguinmails_core.oauth.tokens import AccessToken


@dataclass(frozen=True, slots=True)
class Shown:
    """A token somebody asks about: an access token whose signature, issuer and times were found good, or a refresh
    token; with the grant it belongs to and whether it was revoked alone. `check_client` and the rest are Authlib's."""

    grant: Grant
    access: AccessToken | None = None
    refresh: RefreshToken | None = None
    revoked: bool = False

    def check_client(self, client: Any) -> bool:
        return bool(self.grant.app_id == client.app.id)

    def is_expired(self) -> bool:
        return self.refresh is not None and (self.refresh.expired or self.refresh.used_for is not None)

    def is_revoked(self) -> bool:
        return self.revoked or self.grant.revoked


@dataclass(slots=True)
class Call:
    """`resources` are the audiences that tokens can be for, the default one first; `asked_resources` those that this
    request names. `jkt`: the key of a DPoP proof. `shown`: the token that revocation or introspection is about.
    `database` is for reading ahead, never for the rules."""

    store: Store
    ring: KeyRing
    settings: OAuthSettings
    issuer: str
    resources: tuple[str, ...]
    database: Database | None = None
    client: ClientCredentials | None = None
    asked_resources: Sequence[str] = ()
    jkt: str | None = None
    shown: Shown | None = None


_CURRENT: ContextVar[Call] = ContextVar("oauth call")


def current() -> Call:
    return _CURRENT.get()


@contextmanager
def as_current(call: Call) -> Iterator[Call]:
    token = _CURRENT.set(call)
    try:
        yield call
    finally:
        _CURRENT.reset(token)
