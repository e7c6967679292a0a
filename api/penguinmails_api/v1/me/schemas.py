"""What `GET /v1/me` answers."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from penguinmails_api.v1.common import Resource, Timestamp, typeid
from penguinmails_core.kit import ids
from penguinmails_core.kit.ids import Prefix
from penguinmails_core.organizations.service import Identity
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
    expires_at: Timestamp | None
    last_used_at: Timestamp | None = Field(description="To the minute.")
    created_at: Timestamp


class Me(Resource):
    """The caller of this request."""

    organization: MeOrganization
    workspace: MeWorkspace
    api_key: MeApiKey

    @classmethod
    def of(cls, identity: Identity) -> "Me":
        key = identity.key
        return cls(
            organization=MeOrganization(
                id=ids.encode(Prefix.ORGANIZATION, identity.organization.id), name=identity.organization.name
            ),
            workspace=MeWorkspace(id=ids.encode(Prefix.WORKSPACE, identity.workspace.id), name=identity.workspace.name),
            api_key=MeApiKey(
                id=ids.encode(Prefix.API_KEY, key.id),
                name=key.name,
                mode=Mode(key.mode),
                scopes=[scope for scope in Scope if scope in expand(key.scopes)],
                bound_to_workspace=key.workspace_id is not None,
                expires_at=key.expires_at,
                last_used_at=key.last_used_at,
                created_at=key.created_at,
            ),
        )
