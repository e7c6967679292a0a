"""Who is asked to join. The token is in the mail only."""

from __future__ import annotations

from enum import StrEnum
from typing import Self

import strawberry

from penguinmails_core.invitations.accepting import Accepted
from penguinmails_core.invitations.service import InvitationView
from penguinmails_core.kit import ids
from penguinmails_core.kit.ids import Prefix
from penguinmails_graphql.enums import Mode
from penguinmails_graphql.members.types import MemberRole, MemberWorkspace, workspaces_of
from penguinmails_graphql.relay import Node, id_of
from penguinmails_graphql.scalars import DateTime, moment


@strawberry.enum(description="`PENDING` for seven days after it was mailed last, then `EXPIRED`.")
class InvitationStatus(StrEnum):
    PENDING = "pending"
    ACCEPTED = "accepted"
    REVOKED = "revoked"
    EXPIRED = "expired"


@strawberry.type(description="Somebody is asked to join. A pending invitation takes no seat.")
class Invitation(Node):
    email: str
    status: InvitationStatus
    mode: Mode = strawberry.field(description="Those of test mode are mailed to nobody and cannot be accepted.")
    role: MemberRole
    custom_role_id: strawberry.ID | None
    custom_role_name: str | None
    workspaces: list[MemberWorkspace] | None
    note: str | None
    invited_by: strawberry.ID | None = strawberry.field(description="Null when a key did it.")
    sent_at: DateTime = strawberry.field(description="When it was mailed last.")
    expires_at: DateTime
    accepted_at: DateTime | None
    revoked_at: DateTime | None
    created_at: DateTime
    updated_at: DateTime

    @classmethod
    def of(cls, view: InvitationView) -> Self:
        row = view.row
        return cls(
            id=strawberry.ID(ids.encode(Prefix.INVITATION, row.id)),
            email=row.email,
            status=InvitationStatus(view.status),
            mode=Mode(row.mode),
            role=MemberRole(row.role),
            custom_role_id=id_of(Prefix.ROLE, row.custom_role_id),
            custom_role_name=view.role_name,
            workspaces=workspaces_of(view.place),
            note=row.note,
            invited_by=id_of(Prefix.USER, row.created_by),
            sent_at=DateTime(row.sent_at),
            expires_at=DateTime(row.expires_at),
            accepted_at=moment(row.accepted_at),
            revoked_at=moment(row.revoked_at),
            created_at=DateTime(row.created_at),
            updated_at=DateTime(row.updated_at),
        )


@strawberry.type(description="The place that was taken.")
class AcceptInvitationPayload:
    organization_id: strawberry.ID
    organization_name: str
    member_id: strawberry.ID
    role: MemberRole

    @classmethod
    def of(cls, accepted: Accepted) -> Self:
        return cls(
            organization_id=strawberry.ID(ids.encode(Prefix.ORGANIZATION, accepted.organization_id)),
            organization_name=accepted.organization_name,
            member_id=strawberry.ID(ids.encode(Prefix.MEMBER, accepted.member_id)),
            role=MemberRole(accepted.role),
        )
