"""Who is asking: the authenticated caller of one request."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from penguinmails_core.errors import MissingScope
from penguinmails_core.scopes import Scope


@dataclass(frozen=True, slots=True)
class Principal:
    """`id` is the API key's id. `workspace_id` is set when the key is bound to one workspace; `default_workspace_id`
    is where new things go otherwise. `mode` keeps live and test data apart. `scopes` are already expanded."""

    id: UUID
    organization_id: UUID
    workspace_id: UUID | None
    default_workspace_id: UUID
    mode: str
    scopes: frozenset[str]

    @property
    def target_workspace_id(self) -> UUID:
        return self.workspace_id or self.default_workspace_id

    def require(self, scope: Scope) -> None:
        """Raises `MissingScope` naming what is missing and what the key has."""
        if scope not in self.scopes:
            raise MissingScope(
                f"This operation needs the scope {scope}.",
                extra={"required_scope": str(scope), "granted_scopes": sorted(self.scopes)},
            )
