"""Links into the webhook portal."""

from __future__ import annotations

from enum import StrEnum
from typing import Self

import strawberry

from penguinmails_core import models
from penguinmails_core.kit import ids
from penguinmails_core.kit.ids import Prefix
from penguinmails_core.webhook_portal import service
from penguinmails_graphql.enums import Mode
from penguinmails_graphql.relay import Node, id_of
from penguinmails_graphql.scalars import DateTime, moment


@strawberry.enum
class WebhookPortalLinkStatus(StrEnum):
    ACTIVE = "active"
    EXPIRED = "expired"
    REVOKED = "revoked"


@strawberry.enum(description="`AUTO`: as the visitor's browser is set.")
class WebhookPortalColorScheme(StrEnum):
    AUTO = "auto"
    LIGHT = "light"
    DARK = "dark"


@strawberry.type(description="How the portal looks.")
class WebhookPortalTheme:
    name: str | None
    accent_color: str | None
    color_scheme: WebhookPortalColorScheme


@strawberry.type(description="A way into the webhook portal for one of your customers.")
class WebhookPortalLink(Node):
    consumer: str = strawberry.field(description="Whose webhook endpoints the visitor manages.")
    workspace_id: strawberry.ID | None
    mode: Mode
    events: list[str] = strawberry.field(description="What the visitor can choose from.")
    read_only: bool
    theme: WebhookPortalTheme
    return_url: str | None
    frame_ancestors: list[str] = strawberry.field(description="Origins whose pages may show the portal in a frame.")
    status: WebhookPortalLinkStatus
    created_at: DateTime
    expires_at: DateTime
    revoked_at: DateTime | None

    @classmethod
    def of(cls, row: models.WebhookPortalLink) -> Self:
        return cls(
            id=strawberry.ID(ids.encode(Prefix.WEBHOOK_PORTAL_LINK, row.id)),
            consumer=row.consumer,
            workspace_id=id_of(Prefix.WORKSPACE, row.workspace_id),
            mode=Mode(row.mode),
            events=row.events,
            read_only=row.read_only,
            theme=WebhookPortalTheme(
                name=row.theme.get("name"),
                accent_color=row.theme.get("accent_color"),
                color_scheme=WebhookPortalColorScheme(row.theme.get("color_scheme", "auto")),
            ),
            return_url=row.return_url,
            frame_ancestors=row.frame_ancestors,
            status=WebhookPortalLinkStatus(service.status_of(row)),
            created_at=DateTime(row.created_at),
            expires_at=DateTime(row.expires_at),
            revoked_at=moment(row.revoked_at),
        )
