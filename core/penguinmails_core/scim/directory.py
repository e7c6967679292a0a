"""Members that follow the identity provider: a user of SCIM who is active is a member, one who is not is none.

A group gives a role when the connection's `group_roles` names it; of several, the one with most rights counts, and
`default_role` is for all others. Owners, admins, custom roles and members limited to workspaces are left as they are:
their place was given by a person on purpose.

An address counts in proven domains only, as when signing in. A user without one is kept, so that the provider finds
what it sent, and is no member; `test` of the connection counts them.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from penguinmails_core.audit import service as audit
from penguinmails_core.audit.actor import Actor, Resource
from penguinmails_core.errors import Conflict, LastOwner
from penguinmails_core.events.types import EventType
from penguinmails_core.identity import repository as people
from penguinmails_core.identity.passkeys import HANDLE_BYTES
from penguinmails_core.kit.addresses import AddressError, parse_address
from penguinmails_core.kit.db import Database
from penguinmails_core.kit.ids import Prefix, new_uuid
from penguinmails_core.limits.catalogue import Limit
from penguinmails_core.limits.service import require_room
from penguinmails_core.members import manage, tell
from penguinmails_core.members import repository as members
from penguinmails_core.members.endings import end_everything, fit_everything
from penguinmails_core.models import Member, ScimResource
from penguinmails_core.roles import OrganizationRole
from penguinmails_core.scim import repository

USER, GROUP = "User", "Group"
MAX_NAME = 100
_ORDER = [str(role) for role in OrganizationRole]
_GIVEN = frozenset(("developer", "member", "viewer", "billing"))


@dataclass(frozen=True, slots=True)
class ScimClient:
    """Who provisions: a connection, by one of its tokens."""

    organization_id: UUID
    connection_id: UUID
    name: str
    default_role: str
    group_roles: Mapping[str, str]

    @property
    def actor(self) -> Actor:
        return Actor.system(self.organization_id, f"SCIM: {self.name}")


class Directory:
    """Works in the caller's transaction, which is bound to the organization. New people alone are written before it:
    they belong to no organization, and one who is left over has no rights."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.roles_changed = False  # since the object was made

    async def hold(self, session: AsyncSession, client: ScimClient) -> None:
        """Before any change: nobody else changes the organization's people until the commit."""
        await members.lock(session, client.organization_id)

    async def user_changed(self, session: AsyncSession, client: ScimClient, row: ScimResource) -> UUID | None:
        """After `row` was written. Returns the person whose membership ended. Raises `LastOwner`, `Conflict`,
        `LimitReached`."""
        if row.document.get("active") is False:
            return await self.user_gone(session, client, row)
        if row.user_id is None:
            row.user_id = await self._person(session, client, row)
            await session.flush()
        if row.user_id is not None:
            await self._join(session, client, row)
        return None

    async def user_gone(self, session: AsyncSession, client: ScimClient, row: ScimResource) -> UUID | None:
        """Ends the membership with everything that hangs on it. Returns the person. Raises `LastOwner`."""
        if row.user_id is None:
            return None
        member = await repository.member_of(session, client.organization_id, row.user_id)
        if member is None:
            return None
        owners = await members.owners(session, client.organization_id)
        if owners and all(owner.id == member.id for owner in owners):
            raise LastOwner("This is the only owner of the organization. Make another member an owner first.")
        heir = next((owner.user_id for owner in owners if owner.id != member.id), None)
        before = {"role": member.role}
        view = await manage.view_of(session, member)
        await members.hand_over(session, client.organization_id, member.user_id, heir)
        reason = {"reason": "deprovisioned"}
        await tell.member(session, EventType.MEMBER_REMOVED, member, view.place, view.email, reason)
        await session.delete(member)
        await session.flush()
        await end_everything(session, client.organization_id, member.user_id, client.actor)
        await audit.record(session, client.actor, "member.removed", Resource(Prefix.MEMBER, member.id), before, None)
        return row.user_id

    async def group_changed(self, session: AsyncSession, client: ScimClient, resource_ids: Iterable[str]) -> None:
        """Gives the users of a group that was written or deleted (those it had before, too) the role they now have."""
        wanted = {found for value in resource_ids if (found := as_uuid(value)) is not None}
        rows = await repository.people_of(session, client.organization_id, client.connection_id, wanted)
        await self._give_roles(session, client, rows)

    async def _person(self, session: AsyncSession, client: ScimClient, row: ScimResource) -> UUID | None:
        """Who it is: somebody with that address, or a new person; None without a usable address."""
        domains = await repository.proven_domains(session, client.organization_id, client.connection_id)
        email = next((email for email in _addresses(row.document) if email.rpartition("@")[2] in domains), None)
        if email is None:
            return None
        async with self._database.worker.acquire() as connection, connection.transaction():
            user_id = await repository.user_by_email(connection, email)
            if user_id is None:
                user_id = new_uuid()
                if not await people.insert_user(connection, user_id, email, _name(row.document)):
                    raise Conflict("Somebody made an account with this address in this moment. Try again.")
                await people.ensure_credential(connection, user_id, secrets.token_bytes(HANDLE_BYTES))
                await people.set_email_verified(connection, user_id)
        if await repository.is_another(session, row, user_id):
            raise Conflict("Another user of this provider has the same address.")
        return user_id

    async def _join(self, session: AsyncSession, client: ScimClient, row: ScimResource) -> None:
        assert row.user_id is not None
        if await repository.member_of(session, client.organization_id, row.user_id) is None:
            await require_room(session, client.organization_id, Limit.MAX_USERS)
            member = Member(
                organization_id=client.organization_id, id=new_uuid(), user_id=row.user_id, role=client.default_role
            )
            session.add(member)
            await session.flush()
            resource = Resource(Prefix.MEMBER, member.id)
            after = {"role": member.role, "connection": client.name}
            await self._give_roles(session, client, [row], told=False)
            after["role"] = member.role
            view = await manage.view_of(session, member)
            await tell.member(session, EventType.MEMBER_ADDED, member, view.place, view.email, {"via": "provisioning"})
            await audit.record(session, client.actor, "member.joined", resource, None, after)
        else:
            await self._give_roles(session, client, [row])

    async def _give_roles(
        self, session: AsyncSession, client: ScimClient, rows: Collection[ScimResource], *, told: bool = True
    ) -> None:
        if not client.group_roles or not rows:
            return
        groups = await repository.candidates(session, client.organization_id, client.connection_id, [GROUP])
        for row in rows:
            assert row.user_id is not None
            member = await repository.member_of(session, client.organization_id, row.user_id)
            if member is None or member.role not in _GIVEN or member.limited:
                continue
            role = _role_of(str(row.id), groups, client)
            if role == member.role:
                continue
            before, member.role = {"role": member.role}, role
            await session.flush()
            self.roles_changed = True
            await fit_everything(session, client.organization_id, member.user_id, client.actor)
            if told:
                view = await manage.view_of(session, member)
                await tell.member(
                    session, EventType.MEMBER_UPDATED, member, view.place, view.email, {"changed": ["role"]}
                )
                resource = Resource(Prefix.MEMBER, member.id)
                await audit.record(session, client.actor, "member.updated", resource, before, {"role": role})


def as_uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def members_of(document: Mapping[str, Any]) -> set[str]:
    """Ids of the users of a group."""
    return {str(item["value"]) for item in document.get("members") or () if item.get("value")}


def _role_of(resource_id: str, groups: Iterable[ScimResource], client: ScimClient) -> str:
    given = [
        role
        for group in groups
        if (role := client.group_roles.get(group.document.get("displayName", ""))) in _GIVEN
        and resource_id in members_of(group.document)
    ]
    return min(given, key=_ORDER.index, default=client.default_role)


def _addresses(document: Mapping[str, Any]) -> list[str]:
    """The primary one first, then the others, then the userName."""
    emails = sorted(document.get("emails") or (), key=lambda item: item.get("primary") is not True)
    found = []
    for text in [*(item.get("value") for item in emails), document.get("userName")]:
        try:
            found.append(parse_address(text or "").address)
        except AddressError:
            continue
    return found


def _name(document: Mapping[str, Any]) -> str | None:
    name = document.get("name") or {}
    parts = " ".join(part for part in (name.get("givenName"), name.get("familyName")) if part)
    text = (document.get("displayName") or name.get("formatted") or parts or "").strip()[:MAX_NAME]
    return text if text and text.isprintable() else None
