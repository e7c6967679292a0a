"""The OAuth server of one process: keys, tokens of callers, and what it is called."""

from __future__ import annotations

from collections.abc import Callable, MutableMapping
from typing import Any

from penguinmails_api.oauth2 import proofs
from penguinmails_api.oauth2.call import Call
from penguinmails_core.api_keys.authenticator import Credential
from penguinmails_core.config import OAuthSettings
from penguinmails_core.identity.origin import PublicUrl
from penguinmails_core.kit.crypto import SecretBox
from penguinmails_core.kit.db import Database
from penguinmails_core.kit.doorbell import Doorbell
from penguinmails_core.oauth.bearer import TokenAuthenticator, TokenCredential
from penguinmails_core.oauth.keys import KeyRing
from penguinmails_core.oauth.records import Store

RESOURCES = ("", "/v1", "/v2", "/graphql")  # behind the public URL; the first is all of them (RFC 8707)


class OAuth:
    """`public` tells where people and clients reach us; it is settled once the server listens."""

    def __init__(
        self,
        database: Database,
        doorbell: Doorbell,
        settings: OAuthSettings,
        box: SecretBox | None,
        public: Callable[[], PublicUrl],
    ) -> None:
        self.settings = settings
        self._database = database
        self.ring = KeyRing(database.worker, box, settings)
        self.tokens = TokenAuthenticator(database, self.ring, doorbell, lambda: (self.issuer, self.resources))
        self._public = public

    @property
    def issuer(self) -> str:
        return self._public().base

    @property
    def resources(self) -> tuple[str, ...]:
        return tuple(self.issuer + path for path in RESOURCES)

    @property
    def resource_metadata(self) -> str:
        """Where a client that was refused learns whom to ask (RFC 9728 §5.1)."""
        return self.issuer + "/.well-known/oauth-protected-resource"

    def new_call(self, store: Store) -> Call:
        return Call(store, self.ring, self.settings, self.issuer, self.resources, self._database)

    async def check_proof(self, credential: Credential, scope: MutableMapping[str, Any], authorization: bytes) -> None:
        """Of a token at the API (RFC 9449). Raises `Unauthenticated`."""
        scheme, _, token = authorization.partition(b" ")
        dpop = scheme.lower() == b"dpop"
        if isinstance(credential, TokenCredential) and (dpop or credential.jkt is not None):
            text = token.strip().decode("latin-1")
            await proofs.at_api(self._database.worker, self._public(), credential, scope, text, dpop=dpop)

    async def start(self) -> None:
        await self.tokens.start()

    async def stop(self) -> None:
        await self.tokens.stop()
