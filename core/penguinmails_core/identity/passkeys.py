"""Passkeys (WebAuthn Level 3): discoverable credentials with user verification, which makes one of them two factors.

What the library leaves to us: a challenge belongs to one browser, is good once and for five minutes; the user handle
must be the owner's; a counter that goes back is a security event, because it means that the key was copied.
"""

from __future__ import annotations

import logging
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
from webauthn import (
    generate_authentication_options,
    generate_registration_options,
    verify_authentication_response,
    verify_registration_response,
)
from webauthn.helpers import base64url_to_bytes, options_to_json_dict
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import (
    AttestationConveyancePreference,
    AuthenticatorSelectionCriteria,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from penguinmails_core.errors import Conflict, FieldError, Unauthenticated, Unprocessable
from penguinmails_core.identity import repository
from penguinmails_core.identity.origin import PublicUrl
from penguinmails_core.identity.trail import tell
from penguinmails_core.kit import ids
from penguinmails_core.kit.clock import utcnow
from penguinmails_core.kit.db import Database
from penguinmails_core.kit.ids import Prefix, new_uuid

log = logging.getLogger(__name__)

CHALLENGE_LIFETIME = timedelta(minutes=5)
MAX_NAME = 60
MAX_PASSKEYS = 20
HANDLE_BYTES = 64
REGISTER, SIGN_IN = "register", "sign-in"
_RP_NAME = "PenguinMails"
# What malformed JSON of a credential can make the library raise besides its own errors.
_MALFORMED = (WebAuthnException, ValueError, TypeError, KeyError, AttributeError)


@dataclass(frozen=True, slots=True)
class Proven:
    """Whose passkey it was."""

    user_id: UUID
    passkey_id: UUID
    email: str


@dataclass(frozen=True, slots=True)
class Passkey:
    """One of a person's, as they see it."""

    id: UUID
    name: str
    backed_up: bool
    created_at: datetime
    last_used_at: datetime | None


class Passkeys:
    """`browser` is a hash of the cookie of the browser that asks; `public` says which site we are."""

    def __init__(self, database: Database) -> None:
        self._pool = database.worker

    async def creation_options(
        self, user_id: UUID, email: str, name: str | None, handle: bytes, browser: bytes, public: PublicUrl
    ) -> dict[str, Any]:
        """What ``navigator.credentials.create`` is given (JSON form)."""
        known = await repository.passkeys_of(self._pool, user_id)
        if len(known) >= MAX_PASSKEYS:
            raise Conflict(f"There are {MAX_PASSKEYS} passkeys already. Delete one first.")
        challenge = await self._ask(browser, REGISTER)
        options = generate_registration_options(
            rp_id=public.rp_id,
            rp_name=_RP_NAME,
            user_id=handle,
            user_name=email,
            user_display_name=name or email,
            challenge=challenge,
            timeout=int(CHALLENGE_LIFETIME.total_seconds() * 1000),
            attestation=AttestationConveyancePreference.NONE,
            authenticator_selection=AuthenticatorSelectionCriteria(
                resident_key=ResidentKeyRequirement.REQUIRED,
                require_resident_key=True,
                user_verification=UserVerificationRequirement.REQUIRED,
            ),
            exclude_credentials=[PublicKeyCredentialDescriptor(id=row["credential_id"]) for row in known],
        )
        return options_to_json_dict(options)

    async def register(self, user_id: UUID, credential: Any, name: str, browser: bytes, public: PublicUrl) -> UUID:
        """Keeps a new passkey; returns its id. Raises `Unprocessable` when the answer is not good, `Conflict` for a
        passkey that is known."""
        challenge = await repository.take_challenge(self._pool, browser, REGISTER)
        if challenge is None:
            raise _unusable("The question was answered before, or more than five minutes ago. Try again.")
        try:
            verified = verify_registration_response(
                credential=credential,
                expected_challenge=challenge,
                expected_rp_id=public.rp_id,
                expected_origin=sorted(public.origins),
                require_user_verification=True,
            )
        except _MALFORMED as error:
            log.info("a passkey was refused: %s", error)
            raise _unusable("The passkey could not be verified. Try again.") from None
        passkey_id, name = new_uuid(), name.strip()[:MAX_NAME] or "Passkey"
        try:
            async with self._pool.acquire() as connection, connection.transaction():
                await repository.insert_passkey(
                    connection,
                    passkey_id,
                    user_id,
                    verified.credential_id,
                    verified.credential_public_key,
                    verified.sign_count,
                    name,
                    verified.credential_backed_up,
                )
                await tell(connection, user_id, "passkey.created", passkey_id=passkey_id, after={"name": name})
        except asyncpg.UniqueViolationError:
            raise Conflict("This passkey is registered already.") from None
        return passkey_id

    async def list_for(self, user_id: UUID) -> list[Passkey]:
        return [
            Passkey(row["id"], row["name"], row["backed_up"], row["created_at"], row["last_used_at"])
            for row in await repository.passkeys_of(self._pool, user_id)
        ]

    async def request_options(self, browser: bytes, public: PublicUrl, user_id: UUID | None = None) -> dict[str, Any]:
        """What ``navigator.credentials.get`` is given. Without `user_id` any passkey of this site will do, and nobody
        learns who has one."""
        known = await repository.passkeys_of(self._pool, user_id) if user_id else []
        challenge = await self._ask(browser, SIGN_IN)
        options = generate_authentication_options(
            rp_id=public.rp_id,
            challenge=challenge,
            timeout=int(CHALLENGE_LIFETIME.total_seconds() * 1000),
            allow_credentials=[PublicKeyCredentialDescriptor(id=row["credential_id"]) for row in known],
            user_verification=UserVerificationRequirement.REQUIRED,
        )
        return options_to_json_dict(options)

    async def prove(self, credential: Any, browser: bytes, public: PublicUrl) -> Proven:
        """Raises `Unauthenticated`, with the same words whatever was wrong."""
        challenge = await repository.take_challenge(self._pool, browser, SIGN_IN)
        try:
            credential_id = base64url_to_bytes(credential["rawId"])
            handle = base64url_to_bytes(credential["response"]["userHandle"])
        except _MALFORMED:
            raise _refused() from None
        row = await repository.passkey_by_credential(self._pool, credential_id)
        if challenge is None or row is None or not secrets.compare_digest(handle, row["webauthn_handle"]):
            raise _refused()
        try:
            verified = verify_authentication_response(
                credential=credential,
                expected_challenge=challenge,
                expected_rp_id=public.rp_id,
                expected_origin=sorted(public.origins),
                credential_public_key=row["public_key"],
                credential_current_sign_count=0,  # compared by the update below, which also settles races
                require_user_verification=True,
            )
        except _MALFORMED as error:
            log.info("a passkey was refused: %s", error)
            raise _refused() from None
        if not await repository.use_passkey(self._pool, row["id"], verified.new_sign_count):
            log.warning(
                "security: the counter of passkey %s went back; it may have been copied",
                ids.encode(Prefix.PASSKEY, row["id"]),
            )
            async with self._pool.acquire() as connection, connection.transaction():
                await tell(connection, row["user_id"], "passkey.copy_refused", passkey_id=row["id"])
            raise _refused()
        return Proven(row["user_id"], row["id"], row["email"])

    async def _ask(self, browser: bytes, purpose: str) -> bytes:
        challenge = secrets.token_bytes(32)
        await repository.set_challenge(self._pool, browser, purpose, challenge, utcnow() + CHALLENGE_LIFETIME)
        return challenge


def _unusable(detail: str) -> Unprocessable:
    return Unprocessable(detail, errors=[FieldError("/credential", "not_verified", detail)])


def _refused() -> Unauthenticated:
    return Unauthenticated("The passkey could not be verified. Try again, or sign in another way.")
