"""PKCE (RFC 7636) for every client, S256 only: OAuth 2.1 §4.1.1."""

from __future__ import annotations

import re
from typing import Any

from authlib.oauth2.rfc6749 import InvalidGrantError, InvalidRequestError
from authlib.oauth2.rfc7636 import create_s256_code_challenge

_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")  # 32 octets in base64url
_VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}")


class RequirePkce:
    """An extension of the code grant. Authlib's own binds public clients only, takes `plain`, and is content with no
    challenge at all."""

    def __call__(self, grant: Any) -> None:
        grant.register_hook("after_validate_authorization_request_payload", self.check_challenge)
        grant.register_hook("after_validate_token_request", self.check_verifier)

    def check_challenge(self, grant: Any, _: Any) -> None:
        data = grant.request.payload.data
        if not _CHALLENGE.fullmatch(data.get("code_challenge", "")):
            raise InvalidRequestError("A code_challenge is required (RFC 7636): 43 characters of base64url.")
        if data.get("code_challenge_method") != "S256":
            raise InvalidRequestError("code_challenge_method must be S256.")

    def check_verifier(self, grant: Any, _: Any) -> None:
        verifier = grant.request.form.get("code_verifier")
        if verifier is None:
            raise InvalidRequestError("A code_verifier is required.")
        if not _VERIFIER.fullmatch(verifier):
            raise InvalidRequestError("The code_verifier must have 43 to 128 characters of A-Z a-z 0-9 - . _ ~")
        if create_s256_code_challenge(verifier) != grant.request.authorization_code.code.code_challenge:
            raise InvalidGrantError("The code_verifier does not match the code_challenge.")
