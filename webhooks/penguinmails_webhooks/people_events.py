"""Events of the organization, its workspaces and its people. Of a person they say the address, as the API does."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from penguinmails_core.events.types import EventType
from penguinmails_webhooks.catalogue import EventData
from penguinmails_webhooks.payloads import OrganizationId, Part, Timestamp, TypeId, WorkspaceId

MemberId = Annotated[str, Field(pattern=TypeId.format("mem"), description="The membership")]
UserId = Annotated[str, Field(pattern=TypeId.format("usr"), description="The person, the same in all organizations")]
InvitationId = Annotated[str, Field(pattern=TypeId.format("inv"), description="The invitation")]
RoleId = Annotated[str, Field(pattern=TypeId.format("rol"))]
Changed = Annotated[list[str], Field(description="Names of the members that differ now")]

_PLACE: dict[str, Any] = {"role": "member", "custom_role_id": None, "workspaces": None}
_MEMBER: dict[str, Any] = {
    "member_id": "mem_01k5w8m3xjf2r9v0q4tz7h6cdp",
    "user_id": "usr_01k5w8m3xjf2r9v0q4tz7h6cdq",
    "email": "grace@example.com",
    **_PLACE,
}
_INVITATION: dict[str, Any] = {
    "invitation_id": "inv_01k5w8m3xjf2r9v0q4tz7h6cdr",
    "email": "grace@example.com",
    **_PLACE,
    "expires_at": "2026-12-01T12:00:00.000Z",
}
_WORKSPACE: dict[str, Any] = {
    "workspace_id": "ws_01k5w8m3xjf2r9v0q4tz7h6cdk",
    "name": "Northwind",
    "slug": "northwind",
    "status": "active",
    "timezone": "Europe/Vienna",
}


class PlaceInWorkspace(Part):
    """The place of a limited member in one workspace."""

    workspace_id: WorkspaceId
    role: str


class PlaceEventData(Part):
    """A place in the organization."""

    role: str = Field(description="A built-in role, or `custom`")
    custom_role_id: RoleId | None = Field(description="The role when it is `custom`")
    workspaces: list[PlaceInWorkspace] | None = Field(description="What it is limited to; null for all workspaces")


class MemberEventData(PlaceEventData):
    """What every `member.*` event says."""

    member_id: MemberId
    user_id: UserId
    email: str


class InvitationEventData(PlaceEventData):
    """What every `invitation.*` event says."""

    invitation_id: InvitationId
    email: str
    expires_at: Timestamp


class WorkspaceEventData(Part):
    """What every `workspace.*` event says."""

    workspace_id: WorkspaceId
    name: str
    slug: str
    status: str = Field(description="`active` or `archived`")
    timezone: str | None = Field(description="Null for the organization's")


class OrganizationUpdated(
    EventData,
    event=EventType.ORGANIZATION_UPDATED,
    of_organization=True,
    example={
        "organization_id": "org_01k5w8m3xjf2r9v0q4tz7h6cdj",
        "name": "Acme",
        "timezone": "Europe/Vienna",
        "date_format": "iso",
        "currency": "EUR",
        "changed": ["name"],
    },
):
    """Name or settings of the organization were changed."""

    organization_id: OrganizationId
    name: str
    timezone: str
    date_format: str
    currency: str
    changed: Changed


class WorkspaceCreated(WorkspaceEventData, EventData, event=EventType.WORKSPACE_CREATED, example=_WORKSPACE):
    """A workspace was made."""


class WorkspaceUpdated(
    WorkspaceEventData, EventData, event=EventType.WORKSPACE_UPDATED, example=_WORKSPACE | {"changed": ["name"]}
):
    """A workspace was changed, archived or restored."""

    changed: Changed


class WorkspaceDeleted(WorkspaceEventData, EventData, event=EventType.WORKSPACE_DELETED, example=_WORKSPACE):
    """A workspace, which was empty, is gone."""


class MemberAdded(
    MemberEventData,
    EventData,
    event=EventType.MEMBER_ADDED,
    of_organization=True,
    example=_MEMBER | {"via": "invitation"},
):
    """Somebody belongs to the organization from now on."""

    via: str = Field(
        description="`invitation`, `single_sign_on` (on the first visit), `provisioning` (SCIM) or `operator` (of the "
        "server); more may be added"
    )


class MemberUpdated(
    MemberEventData,
    EventData,
    event=EventType.MEMBER_UPDATED,
    of_organization=True,
    example=_MEMBER | {"changed": ["role"]},
):
    """A member has another role, or other workspaces."""

    changed: Changed


class MemberRemoved(
    MemberEventData,
    EventData,
    event=EventType.MEMBER_REMOVED,
    of_organization=True,
    example=_MEMBER | {"reason": "removed"},
):
    """Somebody does not belong to the organization any more; their keys and grants there have ended."""

    reason: str = Field(
        description="`removed` (by another member or a key), `left`, or `deprovisioned` (by SCIM); more may be added"
    )


class InvitationCreated(
    InvitationEventData, EventData, event=EventType.INVITATION_CREATED, of_organization=True, example=_INVITATION
):
    """Somebody was invited."""


class InvitationAcceptance(  # `InvitationAccepted` is what REST answers
    InvitationEventData,
    EventData,
    event=EventType.INVITATION_ACCEPTED,
    of_organization=True,
    example=_INVITATION | {"member_id": "mem_01k5w8m3xjf2r9v0q4tz7h6cdp", "user_id": "usr_01k5w8m3xjf2r9v0q4tz7h6cdq"},
):
    """Who was invited is a member now."""

    member_id: MemberId
    user_id: UserId


class InvitationRevoked(
    InvitationEventData, EventData, event=EventType.INVITATION_REVOKED, of_organization=True, example=_INVITATION
):
    """An invitation was taken back; its link is void."""
