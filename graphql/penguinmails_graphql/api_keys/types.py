"""Credentials of the organization, without their secrets."""

from __future__ import annotations

from enum import StrEnum
from typing import Self
from uuid import UUID

import strawberry

from penguinmails_core import models
from penguinmails_core.api_keys import service
from penguinmails_core.api_keys.presets import Preset
from penguinmails_core.kit import ids
from penguinmails_core.kit.clock import utcnow
from penguinmails_core.kit.ids import Prefix
from penguinmails_core.scopes import Scope, expand
from penguinmails_graphql.context import Info
from penguinmails_graphql.enums import Mode
from penguinmails_graphql.relay import Node, id_of
from penguinmails_graphql.scalars import DateTime, moment
from penguinmails_graphql.workspaces.loaders import workspace_of
from penguinmails_graphql.workspaces.types import Workspace


@strawberry.enum
class ApiKeyStatus(StrEnum):
    ACTIVE = "active"
    EXPIRED = "expired"
    REVOKED = "revoked"


@strawberry.type(description="A credential. Its secret is shown when it is made, and never again.")
class ApiKey(Node):
    name: str
    hint: str = strawberry.field(description="Start and end of the secret, to recognise it by.")
    mode: Mode
    status: ApiKeyStatus
    scopes: list[str]
    workspace_id: strawberry.ID | None = strawberry.field(description="The only workspace it sees; null for all.")
    allowed_ips: list[str] | None = strawberry.field(description="Null for any, as in the other limits.")
    allowed_mailboxes: list[str] | None
    allowed_domains: list[str] | None
    max_sends_per_day: int | None
    expires_at: DateTime | None
    parent_id: strawberry.ID | None = strawberry.field(description="The key it was derived from, and ends with.")
    created_by_user_id: strawberry.ID | None
    created_by_key_id: strawberry.ID | None
    rotated_at: DateTime | None
    previous_secret_expires_at: DateTime | None
    revoked_at: DateTime | None
    last_used_at: DateTime | None = strawberry.field(description="To the minute.")
    last_used_ip: str | None
    created_at: DateTime
    updated_at: DateTime
    workspace_uuid: strawberry.Private[UUID | None]

    @strawberry.field(description="Needs `workspaces:read`; null when the caller may not see it.")
    async def workspace(self, info: Info) -> Workspace | None:
        return await workspace_of(info, self.workspace_uuid)

    @classmethod
    def of(cls, row: models.ApiKey) -> Self:
        now, scopes = utcnow(), set(row.scopes)
        previous = row.previous_secret_expires_at
        return cls(
            id=strawberry.ID(ids.encode(Prefix.API_KEY, row.id)),
            name=row.name,
            hint=row.hint,
            mode=Mode(row.mode),
            status=ApiKeyStatus(service.status_of(row, now)),
            scopes=[str(scope) for scope in Scope if scope in scopes],
            workspace_id=id_of(Prefix.WORKSPACE, row.workspace_id),
            allowed_ips=row.allowed_ips,
            allowed_mailboxes=row.allowed_mailboxes,
            allowed_domains=row.allowed_domains,
            max_sends_per_day=row.max_sends_per_day,
            expires_at=moment(row.expires_at),
            parent_id=id_of(Prefix.API_KEY, row.parent_id),
            created_by_user_id=id_of(Prefix.USER, row.created_by_user_id),
            created_by_key_id=id_of(Prefix.API_KEY, row.created_by_key_id),
            rotated_at=moment(row.rotated_at),
            previous_secret_expires_at=moment(previous) if previous and previous > now else None,
            revoked_at=moment(row.revoked_at),
            last_used_at=moment(row.last_used_at),
            last_used_ip=row.last_used_ip,
            created_at=DateTime(row.created_at),
            updated_at=DateTime(row.updated_at),
            workspace_uuid=row.workspace_id,
        )


@strawberry.type(description="A named bundle of scopes.")
class ApiKeyPreset:
    name: str
    description: str
    scopes: list[str] = strawberry.field(description="Empty when nothing of the bundle exists yet.")
    missing: list[str] = strawberry.field(description="What belongs to the bundle and is not in the API yet.")
    grantable: bool = strawberry.field(description="Whether the caller has all of these scopes to give.")

    @classmethod
    def of(cls, preset: Preset, granted: frozenset[str]) -> Self:
        return cls(
            name=preset.name,
            description=preset.description,
            scopes=[str(scope) for scope in preset.scopes],
            missing=list(preset.missing),
            grantable=bool(preset.scopes) and expand(preset.scopes) <= granted,
        )
