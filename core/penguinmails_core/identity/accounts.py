"""People: signing up, choosing a password, changing name and address. What is answered never tells who has an account.

Nothing is created before the address is confirmed, and the password is chosen by who opens the mail: nobody can prepare
an account for somebody else's address and wait for its owner to confirm it.
"""

from __future__ import annotations

import logging
import secrets
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote
from uuid import UUID

import asyncpg

from penguinmails_core.errors import Conflict, FieldError, LinkExpired, NotFound, Unprocessable
from penguinmails_core.identity import links, mails, repository
from penguinmails_core.identity.links import Link, Purpose
from penguinmails_core.identity.notices import Notices
from penguinmails_core.identity.origin import PublicUrl
from penguinmails_core.identity.passkeys import HANDLE_BYTES
from penguinmails_core.identity.passwords import Passwords
from penguinmails_core.identity.sessions import Sessions
from penguinmails_core.identity.throttle import Throttle
from penguinmails_core.identity.trail import tell
from penguinmails_core.kit.addresses import AddressError, parse_mailbox
from penguinmails_core.kit.db import Connection, Database
from penguinmails_core.kit.ids import new_uuid
from penguinmails_core.members.tell import member_on
from penguinmails_core.organizations.service import create_organization_for

log = logging.getLogger(__name__)

MAX_NAME = 100
MAX_ORGANIZATION = 200


@dataclass(frozen=True, slots=True)
class Account:
    """A person as the account page shows them."""

    id: UUID
    email: str
    name: str | None
    has_password: bool
    has_codes: bool
    has_passkey: bool
    handle: bytes


@dataclass(frozen=True, slots=True)
class Membership:
    organization_id: UUID
    name: str
    role: str


class Accounts:
    def __init__(
        self,
        database: Database,
        passwords: Passwords,
        sessions: Sessions,
        throttle: Throttle,
        notices: Notices,
    ) -> None:
        self._pool = database.worker
        self._passwords = passwords
        self._sessions = sessions
        self._throttle = throttle
        self._notices = notices

    async def get(self, user_id: UUID) -> Account:
        """Raises `NotFound` when the person is gone."""
        row = await repository.account_by_id(self._pool, user_id)
        if row is None:
            raise NotFound("There is no such person any more.")
        handle = row["webauthn_handle"]
        if handle is None:  # a person who was added, but never signed in before
            async with self._pool.acquire() as connection:
                await repository.ensure_credential(connection, user_id, secrets.token_bytes(HANDLE_BYTES))
            row = await repository.account_by_id(self._pool, user_id)
        return _account(row)

    async def memberships(self, user_id: UUID) -> list[Membership]:
        rows = await repository.organizations_of(self._pool, user_id)
        return [Membership(row["id"], row["name"], row["role"]) for row in rows]

    # Signing up

    async def request_signup(self, email: str, name: str, organization: str, address: str, public: PublicUrl) -> None:
        """Sends a link, or to who has an account already a hint to sign in. Raises `Unprocessable`, `RateLimited`."""
        email = check_email(email)
        _check_text("name", name, MAX_NAME)
        _check_text("organization", organization, MAX_ORGANIZATION)
        await self._throttle.attempt("signup", address, email)
        known = await repository.account_by_email(self._pool, email)
        if known is not None:
            self._notices.post(email, mails.known_account(public.base + "/login"))
            return
        data = {"name": name.strip(), "organization": organization.strip()}
        token = await links.create(self._pool, Purpose.SIGNUP, email, data=data)
        self._notices.post(email, mails.signup(_url(public, "/verify-email", token)))

    async def complete_signup(self, token: str, password: str) -> UUID:
        """Creates the person, their organization and their place as its owner; returns the person. Raises
        `Unprocessable` for a bad password (the link stays good), `LinkExpired`, `Conflict` when the address has an
        account meanwhile."""
        link = await links.peek(self._pool, Purpose.SIGNUP, token)
        await self._passwords.check_new(password, email=link.email)
        hashed = await self._passwords.hash(password)
        async with self._pool.acquire() as connection, connection.transaction():
            link = await links.use(connection, Purpose.SIGNUP, token)
            user_id = await _add_person(connection, link.email, link.data["name"] or None)
            await repository.set_password(connection, user_id, hashed)
            await repository.set_email_verified(connection, user_id)
            await create_organization_for(connection, user_id, link.data["organization"])
        return user_id

    async def has_account(self, email: str) -> bool:
        """Only for whoever has shown that mail to this address reaches them."""
        return await repository.account_by_email(self._pool, email) is not None

    async def create_invited(self, email: str, name: str, password: str) -> UUID:
        """Somebody without an account who opened the link of an invitation, which shows that the address is theirs.
        Raises `Unprocessable`, `Conflict` when the address has an account meanwhile."""
        if name.strip():
            _check_text("name", name, MAX_NAME)
        await self._passwords.check_new(password, email=email)
        hashed = await self._passwords.hash(password)
        async with self._pool.acquire() as connection, connection.transaction():
            user_id = await _add_person(connection, email, name.strip() or None)
            await repository.set_password(connection, user_id, hashed)
            await repository.set_email_verified(connection, user_id)
        return user_id

    # Passwords

    async def request_reset(self, email: str, address: str, public: PublicUrl) -> None:
        """Sends a link if somebody has this address; the answer is the same. Raises `RateLimited`."""
        await self._throttle.attempt("reset", address, email)
        account = await repository.account_by_email(self._pool, email)
        if account is None:
            return
        token = await links.create(self._pool, Purpose.RESET, account["email"], user_id=account["id"])
        self._notices.post(account["email"], mails.reset(_url(public, "/reset-password/choose", token)))

    async def peek(self, purpose: Purpose, token: str) -> Link:
        return await links.peek(self._pool, purpose, token)

    async def reset_password(self, token: str, password: str) -> Account:
        """Sets it, ends every session and keeps the second factor: whoever reads the mail alone is not in. Raises
        `Unprocessable` (the link stays good), `LinkExpired`."""
        link = await links.peek(self._pool, Purpose.RESET, token)
        await self._passwords.check_new(password, email=link.email)
        hashed = await self._passwords.hash(password)
        async with self._pool.acquire() as connection, connection.transaction():
            link = await links.use(connection, Purpose.RESET, token)
            assert link.user_id is not None
            await repository.ensure_credential(connection, link.user_id, secrets.token_bytes(HANDLE_BYTES))
            await repository.set_password(connection, link.user_id, hashed)
            await repository.set_email_verified(connection, link.user_id)
            await repository.void_links(connection, link.user_id, Purpose.RESET)
            await tell(connection, link.user_id, "user.password_reset")
        await self._sessions.end_all(link.user_id)
        self._notices.send(link.email, "the password was changed")
        return await self.get(link.user_id)

    async def change_password(self, user_id: UUID, password: str, keep: UUID) -> None:
        """Of somebody in sudo mode; ends their other sessions. Raises `Unprocessable`."""
        account = await self.get(user_id)
        await self._passwords.check_new(password, email=account.email)
        hashed = await self._passwords.hash(password)
        async with self._pool.acquire() as connection, connection.transaction():
            await repository.set_password(connection, user_id, hashed)
            await repository.void_links(connection, user_id, Purpose.RESET)
            await tell(connection, user_id, "user.password_changed")
        await self._sessions.end_all(user_id, keep=keep)
        self._notices.send(account.email, "the password was changed")

    # Profile

    async def set_name(self, user_id: UUID, name: str) -> None:
        if name.strip():
            _check_text("name", name, MAX_NAME)
        await repository.set_name(self._pool, user_id, name.strip() or None)
        await self._sessions.refresh_user(user_id)

    async def request_email_change(self, user_id: UUID, email: str, address: str, public: PublicUrl) -> None:
        """Sends a link to the new address; the old one stays until it is used. An address that somebody has gets a
        hint instead, and the answer is the same."""
        email = check_email(email)
        await self._throttle.attempt("email", address, str(user_id))
        if await repository.account_by_email(self._pool, email) is not None:
            self._notices.post(email, mails.known_account(public.base + "/login"))
            return
        token = await links.create(self._pool, Purpose.EMAIL, email, user_id=user_id)
        self._notices.post(email, mails.change_email(_url(public, "/account/email", token)))

    async def change_email(self, token: str, user_id: UUID) -> str:
        """Uses the link of a change that this person asked for; returns the new address. Raises `LinkExpired`,
        `Conflict` when somebody has the address meanwhile."""
        old = await self.get(user_id)
        try:
            async with self._pool.acquire() as connection, connection.transaction():
                link = await links.use(connection, Purpose.EMAIL, token)
                if link.user_id != user_id:
                    raise LinkExpired("This link is somebody else's. Sign in as who asked for it.")
                await repository.set_email(connection, user_id, link.email)
                await repository.set_email_verified(connection, user_id)
                for purpose in (Purpose.EMAIL, Purpose.RESET):
                    await repository.void_links(connection, user_id, purpose)
                was, now = {"email": old.email}, {"email": link.email}
                await tell(connection, user_id, "user.email_changed", before=was, after=now)
        except asyncpg.UniqueViolationError:
            raise Conflict("Somebody else uses this address meanwhile.") from None
        await self._sessions.refresh_user(user_id)
        self._notices.send(old.email, "the e-mail address was changed")
        return link.email


async def create_person(
    database: Database,
    email: str,
    *,
    name: str | None = None,
    organization_id: UUID | None = None,
    role: str = "member",
) -> tuple[UUID, str]:
    """By the operator of the machine: a person, and the token of a link to choose a password (`/reset-password/choose`,
    24 hours). Somebody with that address stays who they are and gets a new link. Raises `Unprocessable`."""
    email = check_email(email)
    async with database.worker.acquire() as connection, connection.transaction():
        row = await repository.account_by_email(connection, email)
        user_id: UUID = row["id"] if row is not None else await _add_person(connection, email, name)
        await repository.ensure_credential(connection, user_id, secrets.token_bytes(HANDLE_BYTES))
        if organization_id is not None:
            member_id = new_uuid()
            if await repository.insert_member(connection, organization_id, member_id, user_id, role):
                await member_on(connection, organization_id, member_id, user_id, email, role, "operator")
        lifetime = links.LIFETIMES[Purpose.SIGNUP]
        token = await links.create(connection, Purpose.RESET, email, user_id=user_id, lifetime=lifetime)
    return user_id, token


async def _add_person(connection: Connection, email: str, name: str | None) -> UUID:
    user_id = new_uuid()
    if not await repository.insert_user(connection, user_id, email, name):
        raise Conflict("This address has an account already. Sign in instead.")
    await repository.ensure_credential(connection, user_id, secrets.token_bytes(HANDLE_BYTES))
    return user_id


def check_email(text: str) -> str:
    """A bare address as it is stored. Raises `Unprocessable`."""
    try:
        mailbox = parse_mailbox(text.strip())
    except AddressError as error:
        raise Unprocessable(error.detail, errors=[FieldError("/email", error.code, error.detail)]) from None
    if mailbox.name:
        detail = "Give the address alone, such as ada@example.com."
        raise Unprocessable(detail, errors=[FieldError("/email", "invalid", detail)])
    return mailbox.address


def _check_text(field: str, value: str, most: int) -> None:
    if not 0 < len(value.strip()) <= most or not value.isprintable():
        detail = f"The {field} must have 1 to {most} printable characters."
        raise Unprocessable(detail, errors=[FieldError(f"/{field}", "invalid_length", detail)])


def _url(public: PublicUrl, path: str, token: str) -> str:
    return f"{public.base}{path}?token={quote(token)}"


def _account(row: Any) -> Account:
    return Account(
        id=row["id"],
        email=row["email"],
        name=row["name"],
        has_password=row["password_hash"] is not None,
        has_codes=row["totp_confirmed_at"] is not None,
        has_passkey=row["has_passkey"],
        handle=row["webauthn_handle"],
    )
