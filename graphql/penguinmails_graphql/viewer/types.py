"""Who is asking."""

from __future__ import annotations

from typing import Self

import strawberry

from penguinmails_core import models
from penguinmails_core.kit import ids
from penguinmails_core.kit.ids import Prefix
from penguinmails_core.organizations.service import Identity
from penguinmails_core.principal import Principal
from penguinmails_core.scopes import Scope
from penguinmails_graphql.enums import PrincipalKind
from penguinmails_graphql.relay import id_of
from penguinmails_graphql.scalars import DateTime, moment


@strawberry.type
class ViewerOrganization:
    id: strawberry.ID
    name: str


@strawberry.type
class ViewerWorkspace:
    id: strawberry.ID
    name: str


@strawberry.type(description="The key that asks.")
class ViewerApiKey:
    id: strawberry.ID
    name: str
    allowed_ips: list[str] | None = strawberry.field(description="Where it may call from; null for anywhere.")
    allowed_mailboxes: list[str] | None = strawberry.field(description="What it may send from; null for any address.")
    allowed_domains: list[str] | None = strawberry.field(description="Domains it may send from; null for any.")
    max_sends_per_day: int | None = strawberry.field(description="Recipients in a day (UTC); null for no limit.")
    expires_at: DateTime | None
    last_used_at: DateTime | None = strawberry.field(description="To the minute.")
    created_at: DateTime

    @classmethod
    def of(cls, row: models.ApiKey) -> Self:
        return cls(
            id=strawberry.ID(ids.encode(Prefix.API_KEY, row.id)),
            name=row.name,
            allowed_ips=row.allowed_ips,
            allowed_mailboxes=row.allowed_mailboxes,
            allowed_domains=row.allowed_domains,
            max_sends_per_day=row.max_sends_per_day,
            expires_at=moment(row.expires_at),
            last_used_at=moment(row.last_used_at),
            created_at=DateTime(row.created_at),
        )


@strawberry.type(description="The person behind a session, or for whom an app acts.")
class ViewerUser:
    id: strawberry.ID
    email: str
    name: str | None


@strawberry.type(description="The OAuth app that asks.")
class ViewerApp:
    id: strawberry.ID
    name: str


@strawberry.type(description="The caller of this request: organization, workspace and rights.")
class Viewer:
    organization: ViewerOrganization
    workspace: ViewerWorkspace = strawberry.field(description="Where new things go.")
    kind: PrincipalKind
    mode: str = strawberry.field(description="`live` or `test`: two worlds that never meet.")
    scopes: list[str] = strawberry.field(description="What the credential may do; write scopes imply read scopes.")
    bound_to_workspace: bool = strawberry.field(description="Whether the credential sees only this workspace.")
    api_key: ViewerApiKey | None = strawberry.field(description="Null for people and apps.")
    user: ViewerUser | None = strawberry.field(description="Null for keys, and for apps that act for themselves.")
    app: ViewerApp | None = strawberry.field(description="Null for keys and people.")
    app_id: strawberry.ID | None = strawberry.field(description="The id of `app`.")

    @classmethod
    def of(cls, caller: Principal, identity: Identity) -> Self:
        organization, workspace, user = identity.organization, identity.workspace, identity.user
        app_id = id_of(Prefix.OAUTH_APP, caller.app_id)
        return cls(
            organization=ViewerOrganization(
                id=strawberry.ID(ids.encode(Prefix.ORGANIZATION, organization.id)), name=organization.name
            ),
            workspace=ViewerWorkspace(
                id=strawberry.ID(ids.encode(Prefix.WORKSPACE, workspace.id)), name=workspace.name
            ),
            kind=caller.kind,
            mode=caller.mode,
            scopes=[str(scope) for scope in Scope if scope in caller.scopes],
            bound_to_workspace=caller.workspace_id is not None,
            api_key=ViewerApiKey.of(identity.key) if identity.key else None,
            user=(
                ViewerUser(id=strawberry.ID(ids.encode(Prefix.USER, user.id)), email=user.email, name=user.name)
                if user
                else None
            ),
            app=ViewerApp(id=app_id, name=identity.app_name) if app_id and identity.app_name else None,
            app_id=app_id,
        )
