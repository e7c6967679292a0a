"""What a caller may do to others, as it stands at this moment and not when the request was let in.

Three rules, wherever people get or lose rights: nobody gives more than they have, only owners give or take the roles
of owner and admin, and who is bound to a workspace acts inside of it only.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncSession

from penguinmails_core.api_keys import authority as keys
from penguinmails_core.errors import FieldError, GrantExceeded, LiveModeRequired, MissingScope, NotAMember, OwnersOnly
from penguinmails_core.members import repository
from penguinmails_core.members.places import Place
from penguinmails_core.members.service import standing_scopes
from penguinmails_core.models import Member
from penguinmails_core.principal import Principal, PrincipalKind
from penguinmails_core.roles import OrganizationRole
from penguinmails_core.scopes import Scope, expand

PRIVILEGED = (OrganizationRole.OWNER, OrganizationRole.ADMIN)  # given and taken by owners only


@dataclass(frozen=True, slots=True)
class Authority:
    """`member` is the person who acts, None for an API key. `scopes` are those of now."""

    principal: Principal
    scopes: frozenset[str]
    member: Member | None

    @property
    def is_owner(self) -> bool:
        """Owners act signed in: an app that acts for one is none itself, else what it gave away would outlive it."""
        signed_in = self.principal.kind is PrincipalKind.SESSION
        return signed_in and self.member is not None and self.member.role == OrganizationRole.OWNER

    def check_scope(self, scope: Scope) -> None:
        """The request was let in with a cached credential; this is what it has now. Raises `MissingScope`."""
        if scope not in self.scopes:
            raise MissingScope(
                f"This operation needs the scope {scope}, which was taken away a moment ago.",
                extra={"required_scope": str(scope), "granted_scopes": sorted(self.scopes)},
            )

    def check_target(self, member: Member) -> None:
        """Raises `OwnersOnly`."""
        if member.role in PRIVILEGED and not self.is_owner:
            raise OwnersOnly(f"Only an owner may change or remove an {member.role}.")

    def check_grant(self, place: Place, pointer: str = "/role") -> None:
        """Raises `OwnersOnly`, `GrantExceeded`."""
        if place.role in PRIVILEGED and not self.is_owner:
            raise OwnersOnly(f"Only an owner may make somebody an {place.role}.")
        bound_to = self.principal.workspace_id
        if bound_to is not None and {item.workspace_id for item in place.workspaces or ()} != {bound_to}:
            detail = "You are bound to one workspace and can give places in that workspace only."
            raise GrantExceeded(detail, errors=[FieldError("/workspaces", "exceeds_grant", detail)])
        self.check_scopes(place.scopes(), pointer)

    def check_scopes(self, wanted: Collection[str], pointer: str) -> None:
        """Raises `GrantExceeded` naming what the caller lacks."""
        excess = sorted(expand(wanted) - self.scopes)
        if excess:
            detail = f"You cannot give {', '.join(excess)}: you do not have it yourself."
            raise GrantExceeded(
                detail,
                errors=[FieldError(pointer, "exceeds_grant", detail)],
                extra={
                    "excess": [{"constraint": "scopes", "value": excess, "limit": sorted(self.scopes)}],
                    "excess_scopes": excess,
                },
            )


async def hold(session: AsyncSession, principal: Principal) -> None:
    """Puts the caller in line: see `authority_of`."""
    await repository.lock(session, principal.organization_id)


async def authority_of(session: AsyncSession, principal: Principal, scope: Scope) -> Authority:
    """Puts everybody who changes people, roles or workspaces of the organization in line: what is read from here on
    holds until the commit. Raises `MissingScope` when the right was taken away meanwhile, `NotAMember`."""
    await hold(session, principal)
    if principal.kind is PrincipalKind.API_KEY:
        grant, _ = await keys.own(session, principal)
        authority = Authority(principal, grant.scopes, None)
    else:
        standing = principal.user_id and await repository.standing_of(
            session, principal.organization_id, principal.user_id
        )
        if not standing:
            raise NotAMember("You do not belong to this organization any more.")
        scopes = await standing_scopes(session, standing, principal.workspace_id)
        if principal.kind is PrincipalKind.OAUTH:
            scopes &= principal.scopes
        authority = Authority(principal, scopes, standing.member)
    authority.check_scope(scope)
    return authority


def refuse_test_mode(principal: Principal) -> None:
    """Raises `LiveModeRequired`."""
    if principal.mode != "live":
        raise LiveModeRequired("This belongs to both modes. A test key may read it, not change it.")
