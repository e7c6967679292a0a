"""Signing in: password, second factor, passkey, and proving again who one is (sudo mode).

    identity = Identity(database, redis, settings.auth, box, mail)
    signed = await identity.sign_in(email, password, browser)

Every wrong answer sounds the same, takes the same work, and was counted before it was judged.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from redis.asyncio import Redis

from penguinmails_core.config import AuthSettings
from penguinmails_core.errors import Conflict, SsoRequired, Unauthenticated
from penguinmails_core.identity import repository, sudo
from penguinmails_core.identity.accounts import Accounts
from penguinmails_core.identity.breached import BreachedPasswords
from penguinmails_core.identity.factors import Factors
from penguinmails_core.identity.notices import Notices
from penguinmails_core.identity.origin import PublicUrl
from penguinmails_core.identity.passkeys import Passkeys, Proven
from penguinmails_core.identity.passwords import Passwords
from penguinmails_core.identity.sessions import OTP, PASSKEY, PASSWORD, RECOVERY, Browser, Session, Sessions
from penguinmails_core.identity.throttle import Throttle
from penguinmails_core.identity.trail import tell
from penguinmails_core.kit.clock import utcnow
from penguinmails_core.kit.crypto import SecretBox
from penguinmails_core.kit.db import Database
from penguinmails_core.sso.flow_repository import must_use
from penguinmails_core.system_mail.budget import MailBudget
from penguinmails_core.system_mail.service import SystemMail

log = logging.getLogger(__name__)

WRONG = "The e-mail address or the password is wrong."
WRONG_CODE = "This code is wrong, or was used before."


@dataclass(frozen=True, slots=True)
class SignedIn:
    """`token` goes into the cookie. `pending`: the second factor is still to come."""

    token: str
    pending: bool = False


class Identity:
    """Everything about people and their browsers. `box` seals one-time-code secrets; without it there are none."""

    def __init__(
        self, database: Database, redis: Redis | None, settings: AuthSettings, box: SecretBox | None, mail: SystemMail
    ) -> None:
        breached = BreachedPasswords(settings.breached_passwords) if settings.breached_passwords else None
        self._pool = database.worker
        self.settings = settings
        self.sessions = Sessions(database.worker, redis, settings)
        self.passwords = Passwords(settings, breached)
        self.throttle = Throttle(redis)
        self.notices = Notices(mail, MailBudget(redis))
        self.passkeys = Passkeys(database)
        self.factors = Factors(database, box, self.notices)
        self.accounts = Accounts(database, self.passwords, self.sessions, self.throttle, self.notices)

    async def close(self) -> None:
        await self.notices.drain()

    async def sign_in(self, email: str, password: str, browser: Browser, old: str | None = None) -> SignedIn:
        """By password. `old` is the session this browser had, which ends. Raises `Unauthenticated` with the same words
        for unknown people and wrong passwords, `RateLimited`."""
        await self.throttle.attempt("password", browser.address, email)
        account = await repository.account_by_email(self._pool, email)
        hashed = account["password_hash"] if account is not None else None
        if not await self.passwords.verify(hashed, password) or account is None or hashed is None:
            raise Unauthenticated(WRONG)
        if self.passwords.needs_rehash(hashed):
            await repository.replace_hash(self._pool, account["id"], hashed, await self.passwords.hash(password))
        await self._refuse_enforced(account["id"])
        pending = _owns_second_factor(account)
        if not pending:
            await self.throttle.forgive("password", browser.address, email)
        return await self._start(account["id"], [PASSWORD], browser, old, pending=pending)

    async def sign_in_with_passkey(
        self, credential: Any, browser: Browser, browser_hash: bytes, public: PublicUrl, old: str | None = None
    ) -> SignedIn:
        """A passkey with user verification is two factors: nothing else is asked. No account is named before it is
        proven, so no account can be slowed down by others. Raises `Unauthenticated`, `RateLimited`."""
        await self.throttle.attempt("passkey", browser.address)
        proven = await self.passkeys.prove(credential, browser_hash, public)
        await self._refuse_enforced(proven.user_id)
        return await self._start(proven.user_id, [PASSKEY], browser, old)

    async def start_session(
        self,
        user_id: UUID,
        amr: list[str],
        browser: Browser,
        old: str | None = None,
        *,
        organization_id: UUID | None = None,
        pending: bool = False,
    ) -> SignedIn:
        """For those who have proven who it is in another way (single sign-on, a link that set the first password).
        `organization_id` is where they go on to work; `pending`: their second factor is still to come."""
        return await self._start(user_id, amr, browser, old, pending=pending, organization_id=organization_id)

    async def confirm_elsewhere(self, token: str, session: Session, amr: list[str], browser: Browser) -> SignedIn:
        """Sudo mode for an active session whose person proved anew who they are by single sign-on."""
        if not session.active:
            raise Unauthenticated("The session waits for its second factor. Sign in again.")
        return await self._step_up(token, session, amr, browser)

    async def answer_code(self, token: str, session: Session, code: str, browser: Browser) -> SignedIn:
        """The second factor after the password, or proof again in an active session: a one-time code or a recovery
        code. Raises `Unauthenticated`; after five wrong ones a pending session is over."""
        await self.throttle.attempt("code", browser.address, session.email)
        if not session.active and not await self.sessions.count_try(token):
            raise Unauthenticated("Too many wrong codes. Sign in again.")
        method = await self._method_of(session.user_id, code)
        if method is None:
            raise Unauthenticated(WRONG_CODE)
        if method == RECOVERY:
            self.notices.send(session.email, "a recovery code was used")
        return await self._step_up(token, session, [method], browser)

    async def answer_passkey(
        self, token: str, session: Session, credential: Any, browser: Browser, browser_hash: bytes, public: PublicUrl
    ) -> SignedIn:
        """As `answer_code`, by passkey. It must be one of the same person."""
        await self.throttle.attempt("passkey", browser.address)
        proven: Proven = await self.passkeys.prove(credential, browser_hash, public)
        if proven.user_id != session.user_id:
            raise Unauthenticated("This passkey belongs to another account.")
        return await self._step_up(token, session, [PASSKEY], browser)

    async def confirm_password(self, token: str, session: Session, password: str, browser: Browser) -> SignedIn:
        """Proof again by password, for who has nothing stronger. Raises `Unauthenticated`, `Conflict` for others."""
        await self.throttle.attempt("password", browser.address, session.email)
        account = await repository.account_by_id(self._pool, session.user_id)
        if account is not None and _owns_second_factor(account):
            raise Conflict("You have a stronger factor than a password: use it.")
        hashed = account["password_hash"] if account is not None else None
        if not session.active or not await self.passwords.verify(hashed, password):
            raise Unauthenticated("The password is wrong.")
        return await self._step_up(token, session, [PASSWORD], browser)

    async def in_sudo(self, session: Session) -> bool:
        account = await repository.account_by_id(self._pool, session.user_id)
        return sudo.fresh(
            session,
            owns_second_factor=account is not None and _owns_second_factor(account),
            within=self.settings.sudo,
            now=utcnow(),
        )

    async def require_sudo(self, session: Session) -> None:
        """Raises `ReauthenticationRequired` unless the person proved who they are a moment ago."""
        account = await repository.account_by_id(self._pool, session.user_id)
        sudo.require(
            session,
            owns_second_factor=account is not None and _owns_second_factor(account),
            within=self.settings.sudo,
            now=utcnow(),
        )

    async def _refuse_enforced(self, user_id: UUID) -> None:
        """After the proof, so that nobody else learns of it. Raises `SsoRequired`."""
        if await must_use(self._pool, user_id) is not None:
            raise SsoRequired("Your organization asks you to sign in with single sign-on.")

    async def _method_of(self, user_id: UUID, code: str) -> str | None:
        if await self.factors.use_code(user_id, code):
            return OTP
        if await self.factors.use_recovery_code(user_id, code):
            return RECOVERY
        return None

    async def _step_up(self, token: str, session: Session, amr: list[str], browser: Browser) -> SignedIn:
        fresh = await self.sessions.step_up(token, amr)
        if fresh is None:
            raise Unauthenticated("The session has ended. Sign in again.")
        if not session.active:
            await self._tell_signed_in(session.user_id, [*session.amr, *amr])
        for kind in ("password", "code"):
            await self.throttle.forgive(kind, browser.address, session.email)
        return SignedIn(fresh)

    async def _start(
        self,
        user_id: UUID,
        amr: list[str],
        browser: Browser,
        old: str | None,
        *,
        pending: bool = False,
        organization_id: UUID | None = None,
    ) -> SignedIn:
        if old is not None:
            await self.sessions.end(old)
        organizations = await repository.organizations_of(self._pool, user_id)
        first = organizations[0]["id"] if organizations else None
        token = await self.sessions.start(
            user_id,
            amr,
            browser,
            pending=pending,
            organization_id=organization_id or first,
        )
        if not pending:
            await self._tell_signed_in(user_id, amr)
        return SignedIn(token, pending)

    async def _tell_signed_in(self, user_id: UUID, amr: list[str]) -> None:
        async with self._pool.acquire() as connection, connection.transaction():
            await tell(connection, user_id, "user.signed_in", after={"methods": sorted(amr)})


def _owns_second_factor(account: Any) -> bool:
    return account["totp_confirmed_at"] is not None or account["has_passkey"]
