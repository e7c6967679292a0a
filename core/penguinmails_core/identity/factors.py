"""Second factors of a person: one-time codes of an authenticator app, and recovery codes."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from penguinmails_core.errors import Conflict, FieldError, Unavailable, Unprocessable
from penguinmails_core.identity import recovery, repository, totp
from penguinmails_core.identity.notices import Notices
from penguinmails_core.identity.trail import tell
from penguinmails_core.kit.crypto import SecretBox
from penguinmails_core.kit.db import Database


@dataclass(frozen=True, slots=True)
class Enrolment:
    """What the page shows: the secret for typing, the URI for the QR code."""

    secret: str
    uri: str


class Factors:
    def __init__(self, database: Database, box: SecretBox | None, notices: Notices) -> None:
        self._database = database
        self._pool = database.worker
        self._box_or_none = box
        self._notices = notices

    @property
    def _box(self) -> SecretBox:
        if self._box_or_none is None:
            raise Unavailable("PENGUINMAILS_SECRET_KEYS is not set, so one-time codes cannot be kept.")
        return self._box_or_none

    async def enrol(self, user_id: UUID, email: str) -> Enrolment:
        """The secret to be confirmed: the same until it is, so that reloading the page does not void the QR code that
        was just scanned. Raises `Conflict` when one-time codes are on already."""
        account = await repository.account_by_id(self._pool, user_id)
        if account is None or account["totp_confirmed_at"] is not None:
            raise Conflict("One-time codes are on already.")
        context = totp.secret_context(user_id)
        if account["totp_secret"] is not None:
            secret = self._box.open(account["totp_secret"], context).decode()
        else:
            secret = totp.new_secret()
            if not await repository.set_totp(self._pool, user_id, self._box.seal(secret.encode(), context)):
                raise Conflict("One-time codes are on already.")
        return Enrolment(secret, totp.provisioning_uri(secret, email))

    async def confirm(self, user_id: UUID, email: str, code: str) -> list[str]:
        """Turns one-time codes on with a first code; returns new recovery codes, to be shown once."""
        account = await repository.account_by_id(self._pool, user_id)
        if account is None or account["totp_secret"] is None or account["totp_confirmed_at"] is not None:
            raise Conflict("There is nothing to confirm. Start again.")
        step = totp.step_of(self._box.open(account["totp_secret"], totp.secret_context(user_id)).decode(), code)
        if step is None or not await repository.use_step(self._pool, user_id, step):
            detail = "This code is wrong. Wait for the next one in your app and try again."
            raise Unprocessable(detail, errors=[FieldError("/code", "wrong_code", detail)])
        async with self._pool.acquire() as connection, connection.transaction():
            if not await repository.confirm_totp(connection, user_id, account["totp_secret"]):
                raise Conflict("One-time codes are on already.")
            await tell(connection, user_id, "user.codes_enabled")
        self._notices.send(email, "one-time codes were turned on")
        return await self.new_recovery_codes(user_id)

    async def disable(self, user_id: UUID, email: str) -> None:
        async with self._pool.acquire() as connection, connection.transaction():
            cleared = await repository.clear_totp(connection, user_id)
            if cleared:
                await tell(connection, user_id, "user.codes_disabled")
        if cleared:
            self._notices.send(email, "one-time codes were turned off")
        await self._drop_codes_without_factor(user_id)

    async def use_code(self, user_id: UUID, code: str) -> bool:
        """True once for each code."""
        account = await repository.account_by_id(self._pool, user_id)
        if account is None or account["totp_confirmed_at"] is None:
            return False
        step = totp.step_of(self._box.open(account["totp_secret"], totp.secret_context(user_id)).decode(), code)
        return step is not None and await repository.use_step(self._pool, user_id, step)

    async def use_recovery_code(self, user_id: UUID, code: str) -> bool:
        async with self._pool.acquire() as connection, connection.transaction():
            used = await repository.use_recovery_code(connection, user_id, recovery.digest(code))
            if used:
                await tell(connection, user_id, "user.recovery_code_used")
        return used

    async def new_recovery_codes(self, user_id: UUID) -> list[str]:
        """Ten new ones; the old are void."""
        codes = recovery.new_codes()
        async with self._pool.acquire() as connection, connection.transaction():
            await repository.replace_recovery_codes(connection, user_id, [recovery.digest(code) for code in codes])
            await tell(connection, user_id, "user.recovery_codes_renewed")
        return codes

    async def recovery_codes_left(self, user_id: UUID) -> int:
        return await repository.count_recovery_codes(self._pool, user_id)

    async def delete_passkey(self, user_id: UUID, email: str, passkey_id: UUID) -> str | None:
        """Its name, or None when that person has no such passkey."""
        async with self._pool.acquire() as connection, connection.transaction():
            name = await repository.delete_passkey(connection, user_id, passkey_id)
            if name is not None:
                await tell(connection, user_id, "passkey.deleted", passkey_id=passkey_id, before={"name": name})
        if name is not None:
            self._notices.send(email, "a passkey was deleted")
            await self._drop_codes_without_factor(user_id)
        return name

    async def _drop_codes_without_factor(self, user_id: UUID) -> None:
        """Recovery codes stand in for a second factor; when the last one is gone they are only a risk."""
        account = await repository.account_by_id(self._pool, user_id)
        if account is not None and account["totp_confirmed_at"] is None and not account["has_passkey"]:
            await repository.clear_recovery_codes(self._pool, user_id)
