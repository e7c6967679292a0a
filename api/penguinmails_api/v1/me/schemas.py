"""What `GET /v1/me` answers."""

from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field

from penguinmails_api.v1.common import Resource, Timestamp, typeid
from penguinmails_core.kit import ids
from penguinmails_core.kit.ids import Prefix
from penguinmails_core.models import ApiKey
from penguinmails_core.organizations.service import Identity
from penguinmails_core.principal import Principal
from penguinmails_core.scopes import Scope, expand


class Mode(StrEnum):
    """`test` data is kept apart from `live` data, and nothing of it leaves the server."""

    LIVE = "live"
    TEST = "test"


class MeOrganization(Resource):
    id: Annotated[str, typeid(Prefix.ORGANIZATION)]
    name: str = Field(examples=["Acme"])


class MeWorkspace(Resource):
    """Where new things go."""

    id: Annotated[str, typeid(Prefix.WORKSPACE)]
    name: str = Field(examples=["Default"])


class MeApiKey(Resource):
    id: Annotated[str, typeid(Prefix.API_KEY)]
    name: str = Field(examples=["Production"])
    mode: Mode
    scopes: list[Scope] = Field(description="What the key may do; write scopes imply read scopes.")
    bound_to_workspace: bool = Field(description="Whether the key sees only this workspace.")
    allowed_ips: list[str] | None = Field(description="Where it may call from; null for anywhere.")
    allowed_mailboxes: list[str] | None = Field(description="What it may send from; null for any address.")
    allowed_domains: list[str] | None = Field(description="Domains it may send from; null for any.")
    max_sends_per_day: int | None = Field(description="Recipients in a day (UTC); null for no limit of its own.")
    parent_id: Annotated[str, typeid(Prefix.API_KEY)] | None = Field(
        description="The key it was derived from, whose limits hold too."
    )
    expires_at: Timestamp | None
    last_used_at: Timestamp | None = Field(description="To the minute.")
    created_at: Timestamp

    @classmethod
    def of(cls, key: ApiKey) -> Self:
        return cls(
            id=ids.encode(Prefix.API_KEY, key.id),
            name=key.name,
            mode=Mode(key.mode),
            scopes=[scope for scope in Scope if scope in expand(key.scopes)],
            bound_to_workspace=key.workspace_id is not None,
            allowed_ips=key.allowed_ips,
            allowed_mailboxes=key.allowed_mailboxes,
            allowed_domains=key.allowed_domains,
            max_sends_per_day=key.max_sends_per_day,
            parent_id=ids.encode(Prefix.API_KEY, key.parent_id) if key.parent_id else None,
            expires_at=key.expires_at,
            last_used_at=key.last_used_at,
            created_at=key.created_at,
        )


class MeUser(Resource):
    """The person behind a session, or for whom an app acts."""

    id: Annotated[str, typeid(Prefix.USER)]
    email: str = Field(examples=["ada@example.com"])
    name: str | None = Field(examples=["Ada Lovelace"])


class MeApp(Resource):
    """The OAuth app that asks."""

    id: Annotated[str, typeid(Prefix.OAUTH_APP)]
    name: str = Field(examples=["Billing sync"])


class MeKind(StrEnum):
    """What the caller showed: a key, an OAuth access token, or the cookie of a browser session."""

    API_KEY = "api_key"
    OAUTH = "oauth"
    SESSION = "session"


class Me(Resource):
    """The caller of this request."""

    kind: MeKind
    organization: MeOrganization
    workspace: MeWorkspace
    mode: Mode
    scopes: list[Scope] = Field(description="What the caller may do; write scopes imply read scopes.")
    bound_to_workspace: bool = Field(description="Whether the caller sees only this workspace.")
    api_key: MeApiKey | None = Field(description="Null for people and apps.")
    user: MeUser | None = Field(description="Null for keys, and for apps that act for themselves.")
    app: MeApp | None = Field(description="Null for keys and people.")
    app_id: Annotated[str, typeid(Prefix.OAUTH_APP)] | None = Field(description="The id of `app`.")

    @classmethod
    def of(cls, identity: Identity, caller: Principal) -> "Me":
        user, app_id = identity.user, ids.encode(Prefix.OAUTH_APP, caller.app_id) if caller.app_id else None
        return cls(
            kind=MeKind(caller.kind),
            organization=MeOrganization(
                id=ids.encode(Prefix.ORGANIZATION, identity.organization.id), name=identity.organization.name
            ),
            workspace=MeWorkspace(id=ids.encode(Prefix.WORKSPACE, identity.workspace.id), name=identity.workspace.name),
            mode=Mode(caller.mode),
            scopes=[scope for scope in Scope if scope in caller.scopes],
            bound_to_workspace=caller.workspace_id is not None,
            api_key=MeApiKey.of(identity.key) if identity.key else None,
            user=MeUser(id=ids.encode(Prefix.USER, user.id), email=user.email, name=user.name) if user else None,
            app=MeApp(id=app_id, name=identity.app_name) if app_id and identity.app_name else None,
            app_id=app_id,
        )
