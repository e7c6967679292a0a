"""The query of a list that is sorted by id, the newest first."""

from collections.abc import Sequence
from typing import Annotated, Any, Self
from uuid import UUID

from pydantic import BeforeValidator, Field, model_validator

from penguinmails_api.v1.common import DEFAULT_LIMIT, Limit, QueryParameters, typeid
from penguinmails_core.kit import cursors, ids
from penguinmails_core.kit.ids import Prefix


def _workspace(value: object) -> UUID:
    return ids.decode(Prefix.WORKSPACE, str(value))


WorkspaceFilter = Annotated[UUID | None, BeforeValidator(_workspace), typeid(Prefix.WORKSPACE)]
"""``workspace_id: WorkspaceFilter = OF_WORKSPACE``; then ``caller.inside(query.workspace_id)``. One that the caller
does not see is as empty as one that is not there."""

OF_WORKSPACE: Any = Field(None, description="Of this workspace only.")


class PageQuery(QueryParameters):
    """Subclass it and add the filters of the list."""

    after: str | None = Field(None, max_length=100, description="Older than this cursor.")
    before: str | None = Field(None, max_length=100, description="Newer than this cursor.")
    limit: Limit = DEFAULT_LIMIT

    @model_validator(mode="after")
    def _one_direction(self) -> Self:
        if self.after is not None and self.before is not None:
            raise ValueError("give `after` or `before`, not both")
        return self

    @property
    def backwards(self) -> bool:
        return self.before is not None

    def place(self) -> dict[str, Any]:
        """Keyword arguments for the service."""
        return {
            "limit": self.limit,
            "after": cursors.decode_id(self.after, "after") if self.after is not None else None,
            "before": cursors.decode_id(self.before, "before") if self.before is not None else None,
        }


def next_cursor(keys: Sequence[UUID], has_more: bool, *, backwards: bool) -> str | None:
    """Where the next page begins: at the end of this one in the direction of travel; None when it is the last. `keys`:
    what the list is sorted by, of each row of the page."""
    return cursors.encode_id(keys[0] if backwards else keys[-1]) if keys and has_more else None
