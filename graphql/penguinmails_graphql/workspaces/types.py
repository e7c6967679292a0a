"""Clients, brands or teams inside the organization."""

from __future__ import annotations

from enum import StrEnum
from typing import Self

import strawberry

from penguinmails_core import models
from penguinmails_core.kit import ids
from penguinmails_core.kit.ids import Prefix
from penguinmails_graphql.relay import Node
from penguinmails_graphql.scalars import DateTime, moment


@strawberry.enum(description="`ARCHIVED`: kept to be read, nothing new is made in it.")
class WorkspaceStatus(StrEnum):
    ACTIVE = "active"
    ARCHIVED = "archived"


@strawberry.type(description="A client, brand or team: it owns domains, mail, keys and webhook endpoints.")
class Workspace(Node):
    name: str
    slug: str
    status: WorkspaceStatus
    is_default: bool = strawberry.field(description="Where things go that name no workspace. It stays.")
    timezone: str | None = strawberry.field(description="Null for the organization's.")
    archived_at: DateTime | None
    created_at: DateTime
    updated_at: DateTime

    @classmethod
    def of(cls, row: models.Workspace) -> Self:
        return cls(
            id=strawberry.ID(ids.encode(Prefix.WORKSPACE, row.id)),
            name=row.name,
            slug=row.slug,
            status=WorkspaceStatus.ARCHIVED if row.archived_at else WorkspaceStatus.ACTIVE,
            is_default=row.is_default,
            timezone=row.timezone,
            archived_at=moment(row.archived_at),
            created_at=DateTime(row.created_at),
            updated_at=DateTime(row.updated_at),
        )
