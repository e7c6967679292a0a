"""Grants as the API shows them."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Self
from uuid import UUID

from pydantic import Field

from penguinmails_api.v1.common import Page, Resource, Timestamp, from_path, typeid
from penguinmails_api.v1.me.schemas import Mode
from penguinmails_api.v1.paging import PageQuery, next_cursor
from penguinmails_core import models
from penguinmails_core.errors import FieldError, Unprocessable
from penguinmails_core.kit import ids
from penguinmails_core.kit.ids import Prefix
from penguinmails_core.oauth.scopes import in_order

GrantIdInPath = Annotated[UUID, from_path(Prefix.OAUTH_GRANT, "grant"), typeid(Prefix.OAUTH_GRANT)]


class OAuthGrantStatus(StrEnum):
    ACTIVE = "active"
    REVOKED = "revoked"


class OAuthGrantFlow(StrEnum):
    """How it came about. `client_credentials`: the app acts for the organization itself."""

    AUTHORIZATION_CODE = "authorization_code"
    DEVICE_CODE = "device_code"
    CLIENT_CREDENTIALS = "client_credentials"


class OAuthGrantListQuery(PageQuery):
    oauth_app_id: str | None = Field(None, max_length=100, description="Only of this app.")
    user_id: str | None = Field(None, max_length=100, description="Only those that this person gave.")
    status: OAuthGrantStatus | None = Field(None, description="Only in this status.")

    def filters(self) -> dict[str, Any]:
        """Keyword arguments for the service. Raises `Unprocessable` for ids that are none."""
        return {
            "app_id": _id(Prefix.OAUTH_APP, self.oauth_app_id, "oauth_app_id"),
            "user_id": _id(Prefix.USER, self.user_id, "user_id"),
            "active": None if self.status is None else self.status is OAuthGrantStatus.ACTIVE,
        }


def _id(prefix: Prefix, text: str | None, name: str) -> UUID | None:
    try:
        return ids.decode(prefix, text) if text is not None else None
    except ids.IdError as error:
        detail = f"`{name}`: {error}."
        raise Unprocessable(detail, errors=[FieldError(name, "invalid_id", detail)]) from None


class OAuthGrant(Resource):
    """What somebody let an app do. Every token of the app that came of it carries its id (`gid`)."""

    untagged: ClassVar[frozenset[str]] = frozenset({"last_used_at"})

    id: Annotated[str, typeid(Prefix.OAUTH_GRANT)]
    oauth_app_id: Annotated[str, typeid(Prefix.OAUTH_APP)]
    app_name: str = Field(description="As it was then.", examples=["CRM"])
    user_id: Annotated[str, typeid(Prefix.USER)] | None = Field(description="Who gave it; null: the organization.")
    workspace_id: Annotated[str, typeid(Prefix.WORKSPACE)] | None = Field(
        description="The only workspace that the app sees; null for all that the person sees."
    )
    mode: Mode
    flow: OAuthGrantFlow
    scopes: list[str] = Field(description="Never more than the person may do now.", examples=[["emails:read"]])
    resources: list[str] = Field(description="What tokens are for (RFC 8707); empty for the whole API.")
    status: OAuthGrantStatus
    revoked_at: Timestamp | None
    revoked_reason: str | None = Field(
        description="`person`, `organization`, `client`, `refresh_token_reuse` or `code_replay` (both mean that it may "
        "have been stolen), `app_deleted`, `member_removed`; more may be added.",
        examples=["refresh_token_reuse"],
    )
    last_used_at: Timestamp | None = Field(description="When a token was last issued.")
    created_at: Timestamp

    @classmethod
    def of(cls, row: models.OAuthGrant) -> Self:
        return cls(
            id=ids.encode(Prefix.OAUTH_GRANT, row.id),
            oauth_app_id=ids.encode(Prefix.OAUTH_APP, row.app_id),
            app_name=row.app_name,
            user_id=ids.encode(Prefix.USER, row.user_id) if row.user_id else None,
            workspace_id=ids.encode(Prefix.WORKSPACE, row.workspace_id) if row.workspace_id else None,
            mode=Mode(row.mode),
            flow=OAuthGrantFlow(row.flow),
            scopes=in_order(row.scopes),
            resources=row.resources,
            status=OAuthGrantStatus.REVOKED if row.revoked_at else OAuthGrantStatus.ACTIVE,
            revoked_at=row.revoked_at,
            revoked_reason=row.revoked_reason,
            last_used_at=row.last_used_at,
            created_at=row.created_at,
        )


class OAuthGrantList(Page[OAuthGrant]):
    @classmethod
    def of(cls, rows: Sequence[models.OAuthGrant], has_more: bool, *, backwards: bool) -> Self:
        return cls(
            data=[OAuthGrant.of(row) for row in rows],
            has_more=has_more,
            next_cursor=next_cursor([row.id for row in rows], has_more, backwards=backwards),
        )
