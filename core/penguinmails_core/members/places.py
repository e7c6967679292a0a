"""The place somebody has, or is invited to: a role, for all of the organization or for some workspaces."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from penguinmails_core.errors import FieldError, Unprocessable
from penguinmails_core.members import places_repository as repository
from penguinmails_core.roles import CUSTOM, OrganizationRole, scopes_in_workspace, scopes_of

MAX_WORKSPACES = 100


@dataclass(frozen=True, slots=True)
class WorkspacePlace:
    workspace_id: UUID
    role: str


@dataclass(frozen=True, slots=True)
class Place:
    """`workspaces` is None for a place in all of them. `custom_scopes` are those of a custom role."""

    role: str
    custom_role_id: UUID | None = None
    workspaces: tuple[WorkspacePlace, ...] | None = None
    custom_scopes: tuple[str, ...] = ()

    @property
    def limited(self) -> bool:
        return self.workspaces is not None

    def scopes(self) -> frozenset[str]:
        """All that it gives, wherever."""
        if self.workspaces is None:
            return scopes_of(self.role, self.custom_scopes)
        return frozenset[str]().union(*(scopes_in_workspace(item.role) for item in self.workspaces))


async def resolve(
    session: AsyncSession, organization_id: UUID, given: Mapping[str, Any], current: Place | None = None
) -> Place:
    """`given` holds `role`, `custom_role_id` and `workspaces` (a list of (workspace id, role there), or None for all)
    as far as they were sent; the rest is as in `current`. Raises `Unprocessable` naming fields."""
    custom_role_id = given.get("custom_role_id")
    role = given.get("role") or (CUSTOM if custom_role_id else current.role if current else None)
    errors: list[FieldError] = []
    if role is None:
        errors.append(FieldError("/role", "required", "`role` is required: one of the built-in roles, or `custom`."))
    custom_scopes: tuple[str, ...] = ()
    if role == CUSTOM:
        if custom_role_id is None and current is not None:
            custom_role_id = current.custom_role_id
        custom_scopes = await _custom_scopes(session, organization_id, custom_role_id, errors)
    elif custom_role_id is not None:
        errors.append(
            FieldError("/custom_role_id", "not_allowed", "`custom_role_id` goes with the role `custom` alone.")
        )
    workspaces = given["workspaces"] if "workspaces" in given else _kept(current, role)
    if workspaces is not None:
        errors += await _check_workspaces(session, organization_id, role, workspaces)
    if errors or role is None:
        detail = errors[0].detail if len(errors) == 1 else f"{len(errors)} fields need attention; see `errors`."
        raise Unprocessable(detail, errors=errors)
    return Place(role, custom_role_id, tuple(workspaces) if workspaces is not None else None, custom_scopes)


def _kept(current: Place | None, role: str | None) -> tuple[WorkspacePlace, ...] | None:
    """A member who is given another role leaves the limits behind: they would not fit."""
    return current.workspaces if current is not None and role == OrganizationRole.MEMBER else None


async def _custom_scopes(
    session: AsyncSession, organization_id: UUID, role_id: UUID | None, errors: list[FieldError]
) -> tuple[str, ...]:
    if role_id is None:
        errors.append(FieldError("/custom_role_id", "required", "The role `custom` needs `custom_role_id`."))
        return ()
    found = await repository.scopes_of_role(session, organization_id, role_id)
    if found is None:
        errors.append(FieldError("/custom_role_id", "not_found", "There is no such custom role."))
    return tuple(found or ())


async def _check_workspaces(
    session: AsyncSession, organization_id: UUID, role: str | None, workspaces: Sequence[WorkspacePlace]
) -> list[FieldError]:
    if role != OrganizationRole.MEMBER:
        detail = f"Only the role `member` can be limited to workspaces; `{role}` spans all of them. Send null."
        return [FieldError("/workspaces", "not_allowed", detail)]
    if not 0 < len(workspaces) <= MAX_WORKSPACES:
        detail = f"`workspaces` names 1 to {MAX_WORKSPACES} workspaces; null is a place in all of them."
        return [FieldError("/workspaces", "invalid_length", detail)]
    wanted = [item.workspace_id for item in workspaces]
    usable = await repository.usable_workspaces(session, organization_id, wanted)
    errors = []
    for index, workspace_id in enumerate(wanted):
        pointer = f"/workspaces/{index}/workspace_id"
        if workspace_id in wanted[:index]:
            errors.append(FieldError(pointer, "duplicate", "This workspace is named twice."))
        elif workspace_id not in usable:
            errors.append(FieldError(pointer, "not_found", "There is no such workspace, or it is archived."))
    return errors
