"""The place that somebody is given."""

from __future__ import annotations

from typing import Any

import strawberry

from penguinmails_core.kit.ids import Prefix
from penguinmails_core.members.places import MAX_WORKSPACES, WorkspacePlace
from penguinmails_core.roles import WorkspaceRole
from penguinmails_graphql.members.types import MemberRole
from penguinmails_graphql.relay import argument_id, bounded, given


@strawberry.input
class MemberWorkspaceInput:
    workspace_id: strawberry.ID
    role: WorkspaceRole


@strawberry.input(description="A role, for all of the organization or for some workspaces.")
class PlaceInput:
    role: MemberRole | None = strawberry.field(
        default=strawberry.UNSET, description="`CUSTOM` goes with `customRoleId`."
    )
    custom_role_id: strawberry.ID | None = strawberry.field(
        default=strawberry.UNSET, description="Given alone, it means the role `CUSTOM`."
    )
    workspaces: list[MemberWorkspaceInput] | None = strawberry.field(
        default=strawberry.UNSET,
        description="Null for all workspaces. A list limits the member to these; the role must be `MEMBER` then.",
    )

    def place(self) -> dict[str, Any]:
        """As `places.resolve` takes it. Raises `Unprocessable` for ids that are none."""
        found = given(self, "role", "custom_role_id", "workspaces")
        if "role" in found:
            found["role"] = str(found["role"]) if found["role"] is not None else None
        if "custom_role_id" in found:
            found["custom_role_id"] = argument_id(Prefix.ROLE, found["custom_role_id"], "/custom_role_id")
        if found.get("workspaces") is not None:
            found["workspaces"] = _places(found["workspaces"])
        return found


def _places(items: list[MemberWorkspaceInput]) -> tuple[WorkspacePlace, ...]:
    bounded(items, MAX_WORKSPACES, "/workspaces")
    places = []
    for index, item in enumerate(items):
        workspace_id = argument_id(Prefix.WORKSPACE, item.workspace_id, f"/workspaces/{index}/workspace_id")
        assert workspace_id is not None
        places.append(WorkspacePlace(workspace_id, str(item.role)))
    return tuple(places)
