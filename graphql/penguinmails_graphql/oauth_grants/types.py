"""What people and the organization let apps do."""

from __future__ import annotations

from enum import StrEnum
from typing import Self

import strawberry

from penguinmails_core import models
from penguinmails_core.kit import ids
from penguinmails_core.kit.ids import Prefix
from penguinmails_core.oauth.scopes import in_order
from penguinmails_graphql.enums import Mode
from penguinmails_graphql.relay import Node, id_of
from penguinmails_graphql.scalars import DateTime, moment


@strawberry.enum
class OAuthGrantStatus(StrEnum):
    ACTIVE = "active"
    REVOKED = "revoked"


@strawberry.enum(description="How it came about. `CLIENT_CREDENTIALS`: the app acts for the organization itself.")
class OAuthGrantFlow(StrEnum):
    AUTHORIZATION_CODE = "authorization_code"
    DEVICE_CODE = "device_code"
    CLIENT_CREDENTIALS = "client_credentials"


@strawberry.type(name="OAuthGrant", description="What somebody let an app do. Its tokens carry its id (`gid`).")
class OAuthGrant(Node):
    oauth_app_id: strawberry.ID
    app_name: str = strawberry.field(description="As it was then.")
    user_id: strawberry.ID | None = strawberry.field(description="Who gave it; null: the organization.")
    workspace_id: strawberry.ID | None = strawberry.field(description="The only workspace that the app sees.")
    mode: Mode
    flow: OAuthGrantFlow
    scopes: list[str] = strawberry.field(description="Never more than the person may do now.")
    resources: list[str] = strawberry.field(description="What tokens are for (RFC 8707); empty for the whole API.")
    status: OAuthGrantStatus
    revoked_at: DateTime | None
    revoked_reason: str | None
    last_used_at: DateTime | None = strawberry.field(description="When a token was last issued.")
    created_at: DateTime

    @classmethod
    def of(cls, row: models.OAuthGrant) -> Self:
        return cls(
            id=strawberry.ID(ids.encode(Prefix.OAUTH_GRANT, row.id)),
            oauth_app_id=strawberry.ID(ids.encode(Prefix.OAUTH_APP, row.app_id)),
            app_name=row.app_name,
            user_id=id_of(Prefix.USER, row.user_id),
            workspace_id=id_of(Prefix.WORKSPACE, row.workspace_id),
            mode=Mode(row.mode),
            flow=OAuthGrantFlow(row.flow),
            scopes=in_order(row.scopes),
            resources=row.resources,
            status=OAuthGrantStatus.REVOKED if row.revoked_at else OAuthGrantStatus.ACTIVE,
            revoked_at=moment(row.revoked_at),
            revoked_reason=row.revoked_reason,
            last_used_at=moment(row.last_used_at),
            created_at=DateTime(row.created_at),
        )
