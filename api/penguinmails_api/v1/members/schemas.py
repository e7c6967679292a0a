"""Members as the API shows them, and the place that a request gives to somebody."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated, Any, Self
from uuid import UUID

from pydantic import Field

from penguinmails_api.v1.common import Page, RequestBody, Resource, Timestamp, from_path, typeid
from penguinmails_api.v1.members.ids import decode_in_body
from penguinmails_api.v1.paging import PageQuery, next_cursor
from penguinmails_core.kit import ids
from penguinmails_core.kit.ids import Prefix
from penguinmails_core.members.manage import MemberView
from penguinmails_core.members.places import MAX_WORKSPACES, Place, WorkspacePlace
from penguinmails_core.roles import WorkspaceRole

MemberIdInPath = Annotated[UUID, from_path(Prefix.MEMBER, "member"), typeid(Prefix.MEMBER)]


class MemberRole(StrEnum):
    """Built-in roles, from most to least, and `custom` for one of the organization's own. docs/roles.md says what each
    may do."""

    OWNER = "owner"
    ADMIN = "admin"
    DEVELOPER = "developer"
    MEMBER = "member"
    VIEWER = "viewer"
    BILLING = "billing"
    CUSTOM = "custom"


class MemberWorkspace(RequestBody):
    """One workspace of a limited member, and the role there."""

    workspace_id: Annotated[str, Field(max_length=100), typeid(Prefix.WORKSPACE)]
    role: WorkspaceRole


def unset() -> Any:
    """Of a field that may be left out. Never read: see `place`."""


_WORKSPACES = "Null for all workspaces. A list limits the member to these; the role must be `member` then."


class PlaceBody(RequestBody):
    """A role, for all of the organization or for some workspaces."""

    role: MemberRole = Field(default_factory=unset, description="`custom` goes with `custom_role_id`.")
    custom_role_id: Annotated[str, Field(max_length=100), typeid(Prefix.ROLE)] | None = Field(
        default_factory=unset, description="Given alone, it means the role `custom`."
    )
    workspaces: Annotated[list[MemberWorkspace], Field(min_length=1, max_length=MAX_WORKSPACES)] | None = Field(
        default_factory=unset, description=_WORKSPACES
    )

    def place(self) -> dict[str, Any]:
        """The fields that were sent, as `places.resolve` takes them. Raises `Unprocessable` for ids that are none."""
        found: dict[str, Any] = {}
        if "role" in self.model_fields_set:
            found["role"] = self.role.value
        if "custom_role_id" in self.model_fields_set:
            sent = self.custom_role_id
            found["custom_role_id"] = decode_in_body(Prefix.ROLE, sent, "/custom_role_id") if sent else None
        if "workspaces" in self.model_fields_set:
            found["workspaces"] = None if self.workspaces is None else _places(self.workspaces)
        return found


def _places(workspaces: Sequence[MemberWorkspace]) -> tuple[WorkspacePlace, ...]:
    return tuple(
        WorkspacePlace(
            decode_in_body(Prefix.WORKSPACE, item.workspace_id, f"/workspaces/{index}/workspace_id"), item.role.value
        )
        for index, item in enumerate(workspaces)
    )


def workspaces_of(place: Place) -> "list[MemberWorkspace] | None":
    if place.workspaces is None:
        return None
    return [
        MemberWorkspace(workspace_id=ids.encode(Prefix.WORKSPACE, item.workspace_id), role=WorkspaceRole(item.role))
        for item in place.workspaces
    ]


class MemberUpdate(PlaceBody):
    """Only what is given is changed. Another role than `member` lifts the limit to workspaces."""


class MemberListQuery(PageQuery):
    role: list[MemberRole] = Field([], max_length=7, description="With this role; may be repeated.")
    email: str | None = Field(None, max_length=320, description="With this address, in whatever case.")


class Member(Resource):
    """A person's place in the organization."""

    id: Annotated[str, typeid(Prefix.MEMBER)]
    user_id: Annotated[str, typeid(Prefix.USER)] = Field(description="The same in all organizations.")
    email: str = Field(examples=["ada@example.com"])
    name: str | None = Field(examples=["Ada Lovelace"])
    role: MemberRole
    custom_role_id: Annotated[str, typeid(Prefix.ROLE)] | None
    custom_role_name: str | None = Field(examples=["Copywriter"])
    workspaces: list[MemberWorkspace] | None = Field(
        description="What a limited member sees, nothing when it is empty; null for all workspaces."
    )
    created_at: Timestamp = Field(description="Since when they are a member.")
    updated_at: Timestamp

    @classmethod
    def of(cls, view: MemberView) -> Self:
        row = view.row
        return cls(
            id=ids.encode(Prefix.MEMBER, row.id),
            user_id=ids.encode(Prefix.USER, row.user_id),
            email=view.email,
            name=view.name,
            role=MemberRole(row.role),
            custom_role_id=ids.encode(Prefix.ROLE, row.custom_role_id) if row.custom_role_id else None,
            custom_role_name=view.role_name,
            workspaces=workspaces_of(view.place),
            created_at=row.created_at,
            updated_at=row.updated_at,
        )


class MemberList(Page[Member]):
    """Members, the newest first."""

    @classmethod
    def of(cls, views: Sequence[MemberView], has_more: bool, *, backwards: bool) -> Self:
        return cls(
            data=[Member.of(view) for view in views],
            has_more=has_more,
            next_cursor=next_cursor([row.row.id for row in views], has_more, backwards=backwards),
        )
