"""From what an identity provider proved to a person of ours with a session.

An account is known by (connection, subject). The first time, the address decides, and only in domains that the
organization has proven: else any organization could bring in, or squat, addresses of others.
"""

from __future__ import annotations

import secrets
from dataclasses import asdict, dataclass
from datetime import timedelta
from hashlib import sha256
from typing import Any
from uuid import UUID

from penguinmails_core.audit import service as audit
from penguinmails_core.audit.actor import Actor, Resource
from penguinmails_core.errors import Forbidden, LinkExpired, NotFound
from penguinmails_core.identity import repository as people
from penguinmails_core.identity.passkeys import HANDLE_BYTES
from penguinmails_core.identity.service import Identity, SignedIn
from penguinmails_core.identity.sessions import SSO, Browser, Session
from penguinmails_core.kit.addresses import AddressError, parse_address
from penguinmails_core.kit.clock import utcnow
from penguinmails_core.kit.db import Connection, Database, Pool
from penguinmails_core.kit.ids import Prefix, new_uuid
from penguinmails_core.limits.catalogue import DEFAULT_PLAN, SELF_HOSTED, Limit
from penguinmails_core.limits.service import require_room_on
from penguinmails_core.members import tell
from penguinmails_core.sso import flow_repository as repository

REQUEST_LIFETIME = timedelta(minutes=10)
ANSWER_LIFETIME = timedelta(seconds=60)
MAX_SUBJECT, MAX_NAME = 512, 100
AGAIN = "This sign-in was used or took too long. Start it again."


@dataclass(frozen=True, slots=True)
class Provider:
    """A connection as the sign-in pages use it."""

    organization_id: UUID
    id: UUID
    protocol: str
    name: str
    issuer: str
    client_id: str | None
    sealed_secret: bytes | None
    sso_url: str | None
    certificates: tuple[str, ...]
    default_role: str


@dataclass(frozen=True, slots=True)
class Proven:
    """What the identity provider says. `email_verified` is None where it says nothing of it, as SAML never does."""

    subject: str
    email: str | None = None
    name: str | None = None
    email_verified: bool | None = None


@dataclass(frozen=True, slots=True)
class Underway:
    """A browser that left for its provider. `data` is what the protocol has to remember; `next` where to go after."""

    connection_id: UUID
    data: dict[str, Any]

    @property
    def next(self) -> str:
        return str(self.data["next"])

    @property
    def confirms(self) -> UUID | None:
        """The session that is to be confirmed, for sudo mode."""
        return UUID(self.data["confirms"]) if self.data.get("confirms") else None


class SingleSignOn:
    def __init__(self, database: Database, identity: Identity) -> None:
        self._pool: Pool = database.worker
        self._default_plan: str = database.info.get(DEFAULT_PLAN, SELF_HOSTED)
        self._identity = identity

    async def provider(self, connection_id: UUID) -> Provider:
        """Raises `NotFound`, for disabled ones too."""
        row = await repository.connection_by_id(self._pool, connection_id)
        if row is None:
            raise NotFound("There is no such single sign-on connection, or it is turned off.")
        return _provider(row)

    async def provider_of_address(self, email: str) -> Provider | None:
        """By the domain alone, so that the answer says nothing of people."""
        try:
            domain = parse_address(email.strip()).address.rpartition("@")[2]
        except AddressError:
            return None
        rows = await repository.connections_of_domain(self._pool, domain)
        return _provider(rows[0]) if rows else None

    async def provider_of_session(self, session: Session) -> Provider | None:
        """Where this person could confirm who they are."""
        row = await repository.connection_of_user(self._pool, session.user_id, session.organization_id)
        return _provider(row) if row is not None else None

    # On the way

    async def leave(self, state: str, provider: Provider, browser: bytes, data: dict[str, Any]) -> None:
        """Remember a browser that goes to its provider with `state`."""
        expires_at = utcnow() + REQUEST_LIFETIME
        await repository.insert_request(self._pool, _hash(state), provider.id, browser, data, expires_at)

    async def come_back(self, state: str, provider: Provider, browser: bytes) -> Underway:
        """OIDC: the browser is here again. Works once. Raises `LinkExpired`, `Forbidden` for another browser."""
        row = await repository.take_request(self._pool, _hash(state))
        return _underway(row, provider, browser)

    async def peek(self, state: str, provider: Provider) -> Underway:
        """SAML: an answer has come in a request that cannot tell which browser it is of. Raises `LinkExpired`."""
        row = await repository.peek_request(self._pool, _hash(state))
        if row is None or row["connection_id"] != provider.id:
            raise LinkExpired(AGAIN)
        return Underway(row["connection_id"], row["data"])

    async def keep_answer(self, state: str, proven: Proven) -> str:
        """SAML: what was proven waits a minute for the browser that asked; returns the code to fetch it with."""
        code = secrets.token_urlsafe(32)
        expires_at = utcnow() + ANSWER_LIFETIME
        if not await repository.answer_request(self._pool, _hash(state), _hash(code), asdict(proven), expires_at):
            raise LinkExpired(AGAIN)
        return code

    async def fetch_answer(self, code: str, browser: bytes) -> tuple[Provider, Underway, Proven]:
        """Works once. Raises `LinkExpired`, `Forbidden` for another browser than the one that asked."""
        row = await repository.take_answer(self._pool, _hash(code))
        if row is None:
            raise LinkExpired(AGAIN)
        provider = await self.provider(row["connection_id"])
        return provider, _underway(row, provider, browser), Proven(**row["result"])

    async def use_assertion(self, provider: Provider, assertion_id: str, lifetime: timedelta) -> bool:
        """False when it was used before. `lifetime`: how long it could be shown again."""
        return await repository.use_assertion(self._pool, provider.id, _hash(assertion_id), utcnow() + lifetime)

    # Here

    async def sign_in(self, provider: Provider, proven: Proven, browser: Browser, old: str | None) -> SignedIn:
        """A session in the connection's organization. `old` is the session the browser had, which ends. Raises
        `Forbidden` saying what the identity provider has to send."""
        user_id, linked = await self._account(provider, proven)
        account = await people.account_by_id(self._pool, user_id)
        assert account is not None
        second = account["totp_confirmed_at"] is not None or account["has_passkey"]
        return await self._identity.start_session(
            user_id, [SSO], browser, old, organization_id=provider.organization_id, pending=linked and second
        )

    async def confirm(
        self, provider: Provider, proven: Proven, underway: Underway, token: str, session: Session, browser: Browser
    ) -> SignedIn:
        """Sudo mode: the same person proved anew who they are. Raises `Forbidden` when it is somebody else."""
        async with self._pool.acquire() as connection:
            row = await repository.identity(connection, provider.organization_id, provider.id, proven.subject)
        if row is None or row["user_id"] != session.user_id or underway.confirms != session.id:
            raise Forbidden("You signed in as somebody else. Confirm with the account you are signed in with here.")
        return await self._identity.confirm_elsewhere(token, session, [SSO], browser)

    async def _account(self, provider: Provider, proven: Proven) -> tuple[UUID, bool]:
        """(the person, whether the account was there before the connection). Makes them a member."""
        async with self._pool.acquire() as connection, connection.transaction():
            row = await repository.identity(connection, provider.organization_id, provider.id, proven.subject)
            if row is None:
                user_id, linked = await self._first_time(connection, provider, proven)
                await repository.link(
                    connection, provider.organization_id, provider.id, proven.subject, user_id, linked
                )
            else:
                user_id, linked = row["user_id"], row["linked"]
            await self._join(connection, provider, user_id, new=row is None)
            await repository.touch(connection, provider.organization_id, provider.id, proven.subject)
        return user_id, linked

    async def _first_time(self, connection: Connection, provider: Provider, proven: Proven) -> tuple[UUID, bool]:
        email = await self._proven_address(connection, provider, proven)
        account = await people.account_by_email(connection, email)
        if account is None:
            user_id = new_uuid()
            name = (proven.name or "").strip()[:MAX_NAME]
            if not await people.insert_user(connection, user_id, email, name if name.isprintable() and name else None):
                raise LinkExpired(AGAIN)  # somebody made the same account in this moment
            await people.ensure_credential(connection, user_id, secrets.token_bytes(HANDLE_BYTES))
            await people.set_email_verified(connection, user_id)
            return user_id, False
        user_id = account["id"]
        known = await repository.provisioned(connection, provider.organization_id, provider.id, user_id)
        if known is None and provider.protocol == "oidc" and proven.email_verified is not True:
            raise Forbidden(
                "There is an account with your address already. To connect it, the identity provider has to send "
                "`email_verified: true`."
            )
        return user_id, True

    async def _proven_address(self, connection: Connection, provider: Provider, proven: Proven) -> str:
        try:
            email = parse_address(proven.email or "").address
        except AddressError:
            raise Forbidden(
                "The identity provider sent no e-mail address that could be used. It is needed once."
            ) from None
        if proven.email_verified is False:
            raise Forbidden("The identity provider says that your e-mail address is not verified.")
        domain = email.rpartition("@")[2]
        if not await repository.owns_domain(connection, provider.id, domain):
            raise Forbidden(
                f"Addresses of {domain} cannot sign in here: {provider.name} has not proven that the domain is its own."
            )
        return email

    async def _join(self, connection: Connection, provider: Provider, user_id: UUID, *, new: bool) -> None:
        """A member on the first visit. Whoever was removed since, or deactivated by SCIM, does not get back in."""
        organization_id = provider.organization_id
        if await repository.provisioned(connection, organization_id, provider.id, user_id) is False:
            raise Forbidden("Your account is deactivated by your organization.")
        if await repository.is_member(connection, organization_id, user_id):
            return
        if not new:
            raise Forbidden("You were removed from this organization. Ask one of its admins to invite you.")
        await require_room_on(connection, organization_id, Limit.MAX_USERS, self._default_plan)
        member_id = new_uuid()
        await people.insert_member(connection, organization_id, member_id, user_id, provider.default_role)
        account = await people.account_by_id(connection, user_id)
        assert account is not None
        email, via = account["email"], "single_sign_on"
        await tell.member_on(connection, organization_id, member_id, user_id, email, provider.default_role, via)
        resource = Resource(Prefix.MEMBER, member_id)
        after = {"role": provider.default_role, "connection": provider.name}
        await audit.record_on(connection, Actor.user(organization_id, user_id), "member.joined", resource, None, after)


def _hash(text: str) -> bytes:
    return sha256(text.encode()).digest()


def _underway(row: Any, provider: Provider, browser: bytes) -> Underway:
    if row is None or not row["current"] or row["connection_id"] != provider.id:
        raise LinkExpired(AGAIN)
    if row["browser"] != browser:
        raise Forbidden("This sign-in was started in another browser. Start it again here.")
    return Underway(row["connection_id"], row["data"])


def _provider(row: Any) -> Provider:
    return Provider(
        organization_id=row["organization_id"],
        id=row["id"],
        protocol=row["protocol"],
        name=row["name"],
        issuer=row["issuer"],
        client_id=row["client_id"],
        sealed_secret=row["client_secret"],
        sso_url=row["sso_url"],
        certificates=tuple(row["certificates"]),
        default_role=row["default_role"],
    )
