"""Who is asking."""

from __future__ import annotations

from typing import Self

import strawberry

from penguinmails_core.kit import ids
from penguinmails_core.kit.ids import Prefix
from penguinmails_core.models import Organization as OrganizationRow
from penguinmails_core.models import Workspace as WorkspaceRow
from penguinmails_core.principal import Principal
from penguinmails_graphql.enums import PrincipalKind
from penguinmails_graphql.relay import Node


@strawberry.type(description="A tenant.")
class Organization(Node):
    name: str

    @classmethod
    def of(cls, row: OrganizationRow) -> Self:
        return cls(id=strawberry.ID(ids.encode(Prefix.ORGANIZATION, row.id)), name=row.name)


@strawberry.type(description="A client, brand or team inside the organization.")
class Workspace(Node):
    name: str

    @classmethod
    def of(cls, row: WorkspaceRow) -> Self:
        return cls(id=strawberry.ID(ids.encode(Prefix.WORKSPACE, row.id)), name=row.name)


@strawberry.type(description="The caller of this request: organization, workspace and rights.")
class Viewer:
    organization: Organization
    workspace: Workspace = strawberry.field(description="Where new things go.")
    kind: PrincipalKind
    mode: str = strawberry.field(description="`live` or `test`: two worlds that never meet.")
    scopes: list[str] = strawberry.field(description="What the credential may do; write scopes imply read scopes.")
    bound_to_workspace: bool = strawberry.field(description="Whether the credential sees only this workspace.")

    @classmethod
    def of(cls, caller: Principal, organization: OrganizationRow, workspace: WorkspaceRow) -> Self:
        return cls(
            organization=Organization.of(organization),
            workspace=Workspace.of(workspace),
            kind=caller.kind,
            mode=caller.mode,
            scopes=sorted(caller.scopes),
            bound_to_workspace=caller.workspace_id is not None,
        )
