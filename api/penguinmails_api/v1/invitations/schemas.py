"""Invitations as the API shows them. Their token is in the mail only."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated, Self
from uuid import UUID

from pydantic import Field

from penguinmails_api.v1.common import Page, RequestBody, Resource, Timestamp, from_path, typeid
from penguinmails_api.v1.me.schemas import Mode
from penguinmails_api.v1.members.schemas import MemberRole, MemberWorkspace, PlaceBody, workspaces_of
from penguinmails_api.v1.paging import PageQuery, next_cursor
from penguinmails_core.invitations.accepting import Accepted
from penguinmails_core.invitations.service import MAX_NOTE, InvitationView
from penguinmails_core.kit import ids
from penguinmails_core.kit.ids import Prefix

InvitationIdInPath = Annotated[UUID, from_path(Prefix.INVITATION, "invitation"), typeid(Prefix.INVITATION)]


class InvitationStatus(StrEnum):
    """`pending` for seven days after it was mailed last, then `expired`."""

    PENDING = "pending"
    ACCEPTED = "accepted"
    REVOKED = "revoked"
    EXPIRED = "expired"


class InvitationCreate(PlaceBody):
    """Who is asked to join, and to which place: a `member` of all workspaces unless told otherwise. Who is bound to a
    workspace invites to that one."""

    email: str = Field(max_length=320, description="An address without a name.", examples=["grace@example.com"])
    note: str | None = Field(
        None,
        max_length=MAX_NOTE,
        description="Stands in the mail, as plain text.",
        examples=["Welcome to the team!"],
    )


class InvitationAccept(RequestBody):
    token: str = Field(
        min_length=1,
        max_length=200,
        description="From the link in the mail.",
        examples=["3yJk0vQdXo4m9cUuB7sWlq1ZfT6nRg8hEaPiLx2Kw5M"],
    )


class InvitationListQuery(PageQuery):
    status: InvitationStatus | None = Field(None, description="In this status; all unless given.")


class Invitation(Resource):
    """Somebody is asked to join. A pending invitation takes no seat."""

    id: Annotated[str, typeid(Prefix.INVITATION)]
    email: str = Field(examples=["grace@example.com"])
    status: InvitationStatus
    mode: Mode = Field(description="Those of test mode are mailed to nobody and cannot be accepted.")
    role: MemberRole
    custom_role_id: Annotated[str, typeid(Prefix.ROLE)] | None
    custom_role_name: str | None = Field(examples=["Copywriter"])
    workspaces: list[MemberWorkspace] | None = Field(description="As of a member; null for all workspaces.")
    note: str | None = Field(examples=["Welcome to the team!"])
    invited_by: Annotated[str, typeid(Prefix.USER)] | None = Field(description="Null when a key did it.")
    sent_at: Timestamp = Field(description="When it was mailed last.")
    expires_at: Timestamp
    accepted_at: Timestamp | None
    revoked_at: Timestamp | None
    created_at: Timestamp
    updated_at: Timestamp

    @classmethod
    def of(cls, view: InvitationView) -> Self:
        row = view.row
        return cls(
            id=ids.encode(Prefix.INVITATION, row.id),
            email=row.email,
            status=InvitationStatus(view.status),
            mode=Mode(row.mode),
            role=MemberRole(row.role),
            custom_role_id=ids.encode(Prefix.ROLE, row.custom_role_id) if row.custom_role_id else None,
            custom_role_name=view.role_name,
            workspaces=workspaces_of(view.place),
            note=row.note,
            invited_by=ids.encode(Prefix.USER, row.created_by) if row.created_by else None,
            sent_at=row.sent_at,
            expires_at=row.expires_at,
            accepted_at=row.accepted_at,
            revoked_at=row.revoked_at,
            created_at=row.created_at,
            updated_at=row.updated_at,
        )


class InvitationList(Page[Invitation]):
    """Invitations, the newest first."""

    @classmethod
    def of(cls, views: Sequence[InvitationView], has_more: bool, *, backwards: bool) -> Self:
        return cls(
            data=[Invitation.of(view) for view in views],
            has_more=has_more,
            next_cursor=next_cursor([row.row.id for row in views], has_more, backwards=backwards),
        )


class InvitationAccepted(Resource):
    """The place that was taken."""

    organization_id: Annotated[str, typeid(Prefix.ORGANIZATION)]
    organization_name: str = Field(examples=["Acme"])
    member_id: Annotated[str, typeid(Prefix.MEMBER)]
    role: MemberRole

    @classmethod
    def of(cls, accepted: Accepted) -> Self:
        return cls(
            organization_id=ids.encode(Prefix.ORGANIZATION, accepted.organization_id),
            organization_name=accepted.organization_name,
            member_id=ids.encode(Prefix.MEMBER, accepted.member_id),
            role=MemberRole(accepted.role),
        )
