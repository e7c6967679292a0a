"""Invitations: made, mailed again, revoked.

The token is 256 random bits, stored as SHA-256, good once and for seven days. It goes into the mail and nowhere else:
no answer of the API holds it, so whoever invites cannot accept in somebody else's place. A pending invitation takes no
seat: it is taken by accepting. Those of test mode are mailed to nobody and can be accepted by nobody: they are for
trying a program.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import func
from sqlalchemy.ext.asyncio import AsyncSession

from penguinmails_core.audit import service as audit
from penguinmails_core.audit.actor import Resource
from penguinmails_core.errors import Conflict, Forbidden, NotFound, OwnersOnly, Unprocessable
from penguinmails_core.events.types import EventType
from penguinmails_core.identity.sessions import new_token, token_hash
from penguinmails_core.invitations import repository
from penguinmails_core.kit.clock import utcnow
from penguinmails_core.kit.ids import Prefix, encode, new_uuid
from penguinmails_core.kit.pages import cut
from penguinmails_core.kit.texts import text_errors
from penguinmails_core.limits.catalogue import Limit
from penguinmails_core.limits.service import require_room
from penguinmails_core.members import repository as members
from penguinmails_core.members import tell
from penguinmails_core.members.authority import PRIVILEGED, Authority, authority_of
from penguinmails_core.members.places import Place, WorkspacePlace, resolve
from penguinmails_core.models import Invitation
from penguinmails_core.organizations import repository as organizations
from penguinmails_core.principal import Principal
from penguinmails_core.roles import OrganizationRole, WorkspaceRole
from penguinmails_core.scopes import Scope
from penguinmails_core.users.service import normalise_email

LIFETIME = timedelta(days=7)
MAX_NOTE = 500
MAX_OPEN = 500
RESEND_AFTER = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class InvitationView:
    """An invitation as the API shows one."""

    row: Invitation
    role_name: str | None

    @property
    def status(self) -> str:
        """pending, accepted, revoked or expired."""
        if self.row.accepted_at is not None:
            return "accepted"
        if self.row.revoked_at is not None:
            return "revoked"
        return "pending" if self.row.expires_at > utcnow() else "expired"

    @property
    def place(self) -> Place:
        return place_of(self.row)


@dataclass(frozen=True, slots=True)
class Letter:
    """What the mail needs. Nothing is to be mailed when there is none (test mode)."""

    to: str
    token: str
    organization: str
    invited_by: str | None
    role: str
    note: str | None


def place_of(row: Invitation) -> Place:
    """Without the scopes of a custom role."""
    workspaces = tuple(WorkspacePlace(UUID(item["workspace_id"]), item["role"]) for item in row.workspaces)
    return Place(row.role, row.custom_role_id, workspaces if row.limited else None)


async def get(session: AsyncSession, principal: Principal, invitation_id: UUID) -> InvitationView:
    """Raises `NotFound`."""
    found = await repository.get(session, principal, invitation_id)
    if found is None:
        raise NotFound("There is no such invitation.")
    return InvitationView(*found)


async def list_invitations(
    session: AsyncSession,
    principal: Principal,
    *,
    status: str | None = None,
    limit: int,
    after: UUID | None = None,
    before: UUID | None = None,
) -> tuple[list[InvitationView], bool]:
    """A page, the newest first, and whether there is more in the direction of travel."""
    found = await repository.list_invitations(session, principal, status, limit=limit + 1, after=after, before=before)
    kept, has_more = cut(found, limit, backwards=before is not None)
    return [InvitationView(*row) for row in kept], has_more


async def create(
    session: AsyncSession, principal: Principal, given: Mapping[str, Any]
) -> tuple[InvitationView, Letter | None]:
    """`given`: email, note, and a place (`members.places.resolve`); who is bound to a workspace invites to that one
    unless told otherwise. Mail the letter after the commit.

    Raises `Conflict` for a member, for who is invited already and at 500 open ones, `LimitReached` when no seat is free
    now, `OwnersOnly`, `GrantExceeded`, `Unprocessable`.
    """
    authority = await authority_of(session, principal, Scope.MEMBERS_WRITE)
    email, note = normalise_email(given["email"]), _note(given.get("note"))
    place = await resolve(session, principal.organization_id, _wanted(principal, given))
    authority.check_grant(place)
    await _check_free(session, principal, email)
    if principal.mode == "live":
        await require_room(session, principal.organization_id, Limit.MAX_USERS)
    token = new_token()
    invitation = Invitation(
        organization_id=principal.organization_id,
        id=new_uuid(),
        mode=principal.mode,
        email=email,
        role=place.role,
        custom_role_id=place.custom_role_id,
        limited=place.limited,
        workspaces=[{"workspace_id": str(p.workspace_id), "role": p.role} for p in place.workspaces or ()],
        note=note,
        token_hash=token_hash(token),
        expires_at=utcnow() + LIFETIME,
        created_by=principal.user_id,
    )
    session.add(invitation)
    await session.flush()
    await session.refresh(invitation)
    view = await get(session, principal, invitation.id)
    letter = await _letter(session, principal, view, token)
    await tell.invitation(session, EventType.INVITATION_CREATED, invitation, view.place)
    await audit.record(session, principal, "invitation.created", _resource(invitation), after=_told(view))
    return view, letter


async def resend(
    session: AsyncSession, principal: Principal, invitation_id: UUID
) -> tuple[InvitationView, Letter | None]:
    """A new token, good for seven days from now; the one before is void. An expired one comes back to life.

    Raises `Conflict` when it was accepted or revoked, or was mailed less than a minute ago.
    """
    view, _ = await _pending(session, principal, invitation_id)
    row = view.row
    if utcnow() - row.sent_at < RESEND_AFTER:
        raise Conflict("It was mailed less than a minute ago. Wait a moment.", headers={"Retry-After": "60"})
    token = new_token()
    row.token_hash, row.expires_at, row.sent_at = token_hash(token), utcnow() + LIFETIME, utcnow()
    row.updated_at = func.now()
    await session.flush()
    await session.refresh(row)
    letter = await _letter(session, principal, view, token)
    await audit.record(session, principal, "invitation.resent", _resource(row), after=_told(view))
    return view, letter


async def revoke(session: AsyncSession, principal: Principal, invitation_id: UUID) -> InvitationView:
    """Twice is once. Raises `Conflict` when it was accepted: remove the member instead."""
    found = await get(session, principal, invitation_id)
    if found.status == "revoked":
        return found
    view, _ = await _pending(session, principal, invitation_id)
    view.row.revoked_at = func.now()
    view.row.updated_at = func.now()
    await session.flush()
    await session.refresh(view.row)
    await tell.invitation(session, EventType.INVITATION_REVOKED, view.row, view.place)
    await audit.record(session, principal, "invitation.revoked", _resource(view.row), before=_told(view))
    return view


async def _pending(
    session: AsyncSession, principal: Principal, invitation_id: UUID
) -> tuple[InvitationView, Authority]:
    """Not accepted and not revoked, and the caller may have to do with it."""
    authority = await authority_of(session, principal, Scope.MEMBERS_WRITE)
    view = await get(session, principal, invitation_id)
    if view.row.role in PRIVILEGED and not authority.is_owner:
        raise OwnersOnly(f"Only an owner has to do with the invitation of an {view.row.role}.")
    bound_to = principal.workspace_id
    if bound_to is not None and {item.workspace_id for item in view.place.workspaces or ()} != {bound_to}:
        raise Forbidden("This invitation is to other workspaces too. Ask an admin of the organization.")
    if view.status in ("accepted", "revoked"):
        raise Conflict(f"The invitation was {view.status}.", extra={"current_status": view.status})
    return view, authority


def _wanted(principal: Principal, given: Mapping[str, Any]) -> dict[str, Any]:
    wanted = {name: given[name] for name in ("role", "custom_role_id", "workspaces") if name in given}
    if principal.workspace_id is not None and "workspaces" not in wanted:
        wanted["workspaces"] = [WorkspacePlace(principal.workspace_id, WorkspaceRole.MEMBER)]
    if "role" not in wanted and not wanted.get("custom_role_id"):
        wanted["role"] = OrganizationRole.MEMBER
    return wanted


async def _check_free(session: AsyncSession, principal: Principal, email: str) -> None:
    organization_id = principal.organization_id
    if await members.is_member(session, organization_id, email):
        raise Conflict("Somebody with this address is a member already.")
    open_one = await repository.find_open(session, organization_id, principal.mode, email)
    if open_one is not None and open_one.expires_at > utcnow():
        raise Conflict(
            "There is a pending invitation for this address. Send it again, or revoke it first.",
            extra={"invitation_id": encode(Prefix.INVITATION, open_one.id)},
        )
    if open_one is not None:  # expired: the new one takes its place
        await repository.drop(session, open_one)
    if await repository.count_open(session, organization_id) >= MAX_OPEN:
        raise Conflict(
            f"An organization has at most {MAX_OPEN} pending invitations. Revoke some.", extra={"limit": MAX_OPEN}
        )


async def _letter(session: AsyncSession, principal: Principal, view: InvitationView, token: str) -> Letter | None:
    row = view.row
    organization = await organizations.get(session, row.organization_id)
    if row.mode != "live" or organization is None:
        return None
    return Letter(
        row.email,
        token,
        organization.name,
        await repository.inviter(session, principal.user_id),
        view.role_name or row.role,
        row.note,
    )


def _note(note: str | None) -> str | None:
    errors = text_errors("/note", note, most=MAX_NOTE, least=0, lines=True) if note is not None else []
    if errors:
        raise Unprocessable(errors[0].detail, errors=errors)
    return note.strip() or None if note is not None else None


def _resource(row: Invitation) -> Resource:
    return Resource(Prefix.INVITATION, row.id)


def _told(view: InvitationView) -> dict[str, Any]:
    """For the audit log."""
    row = view.row
    return {
        "email": row.email,
        "role": row.role,
        "custom_role_id": encode(Prefix.ROLE, row.custom_role_id) if row.custom_role_id else None,
        "workspaces": {encode(Prefix.WORKSPACE, p.workspace_id): p.role for p in view.place.workspaces or ()},
    }
