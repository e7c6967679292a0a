"""Portal links as the API shows them."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated, Any, Self
from uuid import UUID

from pydantic import Field

from penguinmails_api.v1.common import Page, RequestBody, Resource, Timestamp, from_path, read_id, typeid
from penguinmails_api.v1.limits import AtMost
from penguinmails_api.v1.me.schemas import Mode
from penguinmails_api.v1.paging import PageQuery, next_cursor
from penguinmails_api.v1.webhook_endpoints.schemas import EventPatterns
from penguinmails_core import models
from penguinmails_core.kit import ids
from penguinmails_core.kit.ids import Prefix
from penguinmails_core.webhook_endpoints.consumers import MAX_CONSUMER
from penguinmails_core.webhook_portal import checks, service

LinkIdInPath = Annotated[UUID, from_path(Prefix.WEBHOOK_PORTAL_LINK, "portal link"), typeid(Prefix.WEBHOOK_PORTAL_LINK)]
MAX_SECONDS = int(service.MAX_LIFE.total_seconds())


class WebhookPortalLinkStatus(StrEnum):
    ACTIVE = "active"
    EXPIRED = "expired"
    REVOKED = "revoked"


class WebhookPortalColorScheme(StrEnum):
    """`auto`: as the visitor's browser is set."""

    AUTO = "auto"
    LIGHT = "light"
    DARK = "dark"


class WebhookPortalThemeInput(RequestBody):
    name: str | None = Field(
        None, max_length=checks.MAX_NAME, description="Whose pages they are, to the visitor.", examples=["Acme"]
    )
    accent_color: str | None = Field(
        None,
        max_length=7,
        description="Of buttons and links, as #rrggbb. It is made lighter or darker where it could not be read.",
        examples=["#7c3aed"],
    )
    color_scheme: WebhookPortalColorScheme | None = None


class WebhookPortalTheme(Resource):
    """How the portal looks."""

    name: str | None = Field(examples=["Acme"])
    accent_color: str | None = Field(examples=["#7c3aed"])
    color_scheme: WebhookPortalColorScheme


class WebhookPortalLinkCreate(RequestBody):
    consumer: str = Field(
        min_length=1,
        max_length=MAX_CONSUMER,
        description="Your own id of the customer that the link is for. The visitor sees the webhook endpoints with "
        "this `consumer`, and makes such.",
        examples=["customer_42"],
    )
    workspace_id: str | None = Field(
        None,
        max_length=100,
        description="Only endpoints of this workspace, which get only its events; left out: your own when you are "
        "bound to one, else endpoints get what happens in all of the organization.",
        examples=[None],
    )
    events: EventPatterns = Field(
        default_factory=lambda: list(service.DEFAULT_EVENTS),
        description="What the visitor can choose from; left out: `email.*`. What concerns you rather than your "
        "customer, such as `api_key.*`, should not be among them.",
        examples=[["email.*"]],
    )
    expires_in: int = Field(
        int(service.DEFAULT_LIFE.total_seconds()),
        strict=True,
        ge=int(service.MIN_LIFE.total_seconds()),
        le=MAX_SECONDS,
        description="For how many seconds the link works, 60 to 604,800 (7 days).",
        examples=[3600],
    )
    read_only: bool = Field(False, strict=True, description="The visitor can look at everything and change nothing.")
    theme: WebhookPortalThemeInput | None = None
    return_url: str | None = Field(
        None,
        max_length=checks.MAX_RETURN_URL,
        description="Where the visitor goes back to: https (http on a loopback address).",
        examples=["https://app.example.com/settings"],
    )
    frame_ancestors: Annotated[list[Annotated[str, Field(max_length=300)]], AtMost(maxItems=checks.MAX_ANCESTORS)] = (
        Field(
            default_factory=list,
            description="Origins whose pages may show the portal in a frame; left out: none.",
            examples=[["https://app.example.com"]],
        )
    )

    def values(self) -> dict[str, Any]:
        """For the service. Raises `NotFound` for a workspace id that is none."""
        given = self.model_dump(mode="json")
        if self.workspace_id is not None:
            given["workspace_id"] = read_id(Prefix.WORKSPACE, "workspace", self.workspace_id)
        return given


class WebhookPortalLinkListQuery(PageQuery):
    consumer: str | None = Field(None, max_length=MAX_CONSUMER, description="Only links for this customer of yours.")
    active: bool | None = Field(None, description="Only links that work, or only those that have ended.")


class _WebhookPortalLink(Resource):
    id: Annotated[str, typeid(Prefix.WEBHOOK_PORTAL_LINK)]
    consumer: str = Field(examples=["customer_42"])
    workspace_id: Annotated[str, typeid(Prefix.WORKSPACE)] | None
    mode: Mode
    events: list[str] = Field(description="What the visitor can choose from.", examples=[["email.*"]])
    read_only: bool
    theme: WebhookPortalTheme
    return_url: str | None = Field(examples=["https://app.example.com/settings"])
    frame_ancestors: list[str] = Field(examples=[["https://app.example.com"]])
    status: WebhookPortalLinkStatus = Field(
        description="It also ends with the API key, or the membership of the person, that made it."
    )
    created_at: Timestamp
    expires_at: Timestamp = Field(description="No later than the end of the key that made it.")
    revoked_at: Timestamp | None


def _columns(row: models.WebhookPortalLink) -> dict[str, Any]:
    return {
        "id": ids.encode(Prefix.WEBHOOK_PORTAL_LINK, row.id),
        "consumer": row.consumer,
        "workspace_id": ids.encode(Prefix.WORKSPACE, row.workspace_id) if row.workspace_id else None,
        "mode": Mode(row.mode),
        "events": row.events,
        "read_only": row.read_only,
        "theme": WebhookPortalTheme(
            name=row.theme.get("name"),
            accent_color=row.theme.get("accent_color"),
            color_scheme=WebhookPortalColorScheme(row.theme.get("color_scheme", "auto")),
        ),
        "return_url": row.return_url,
        "frame_ancestors": row.frame_ancestors,
        "status": WebhookPortalLinkStatus(service.status_of(row)),
        "created_at": row.created_at,
        "expires_at": row.expires_at,
        "revoked_at": row.revoked_at,
    }


class WebhookPortalLink(_WebhookPortalLink):
    """A way into the webhook portal for one of your customers."""

    @classmethod
    def of(cls, row: models.WebhookPortalLink) -> Self:
        return cls(**_columns(row))


class WebhookPortalLinkWithUrl(_WebhookPortalLink):
    """A portal link and its URL. Whoever has the URL is let in: give it to the one it is for, it is shown this once."""

    url: str | None = Field(
        description="Send your customer's browser there, or show it in a frame. Null when this is a replay by "
        "Idempotency-Key: secrets are not stored with answers.",
        examples=["https://mail.example.com/portal/l/whpl_3hAIq6tD0TPoqz6bGpw1yDf-TpZ2aFQ8Dk1Gv2dQnXo"],
    )

    @classmethod
    def of(cls, row: models.WebhookPortalLink, url: str) -> Self:
        return cls(**_columns(row), url=url)


class WebhookPortalLinkList(Page[WebhookPortalLink]):
    """Portal links, the newest first."""

    @classmethod
    def of(cls, rows: Sequence[models.WebhookPortalLink], has_more: bool, *, backwards: bool) -> Self:
        return cls(
            data=[WebhookPortalLink.of(row) for row in rows],
            has_more=has_more,
            next_cursor=next_cursor([row.id for row in rows], has_more, backwards=backwards),
        )
