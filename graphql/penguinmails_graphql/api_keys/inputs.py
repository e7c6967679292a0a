"""What may be said of a key. Faults are found in core, all at once; here only the amount is bounded."""

from __future__ import annotations

from typing import Any

import strawberry

from penguinmails_core.kit.ids import Prefix
from penguinmails_graphql.enums import Mode
from penguinmails_graphql.relay import bounded, given, uuid_of
from penguinmails_graphql.scalars import DateTime

_LIMITS = ("allowed_ips", "allowed_mailboxes", "allowed_domains", "max_sends_per_day", "expires_at")
_LISTS = ("scopes", "allowed_ips", "allowed_mailboxes", "allowed_domains")
_MOST = 100


def _checked(values: dict[str, Any]) -> dict[str, Any]:
    """`name`, `scopes` and `mode` cannot be null, so null is the same as not given."""
    for name in _LISTS:
        bounded(values.get(name), _MOST, f"/{name}")
    return {name: value for name, value in values.items() if value is not None or name in (*_LIMITS, "workspace_id")}


@strawberry.input(
    description="A limit that is left out is the caller's own; null asks for none, which only a caller without it can "
    "give."
)
class CreateApiKeyInput:
    name: str
    scopes: list[str] = strawberry.field(description="Such as `emails:write`; write scopes imply read scopes.")
    mode: Mode | None = strawberry.field(default=strawberry.UNSET, description="Left out: the caller's.")
    workspace_id: strawberry.ID | None = strawberry.field(
        default=strawberry.UNSET, description="Bind the key to one workspace."
    )
    allowed_ips: list[str] | None = strawberry.UNSET
    allowed_mailboxes: list[str] | None = strawberry.UNSET
    allowed_domains: list[str] | None = strawberry.UNSET
    max_sends_per_day: int | None = strawberry.UNSET
    expires_at: DateTime | None = strawberry.UNSET

    def values(self) -> dict[str, Any]:
        """Raises `NotFound` for a workspace id that is none."""
        found = _checked(given(self, "name", "scopes", "mode", "workspace_id", *_LIMITS))
        if found.get("workspace_id") is not None:
            found["workspace_id"] = uuid_of(Prefix.WORKSPACE, found["workspace_id"], "workspace")
        return found


@strawberry.input(description="A limit that is left out is the parent's.")
class DeriveApiKeyInput:
    parent_id: strawberry.ID
    name: str
    scopes: list[str]
    allowed_ips: list[str] | None = strawberry.UNSET
    allowed_mailboxes: list[str] | None = strawberry.UNSET
    allowed_domains: list[str] | None = strawberry.UNSET
    max_sends_per_day: int | None = strawberry.UNSET
    expires_at: DateTime | None = strawberry.field(
        default=None, description="At most 30 days ahead; an hour from now unless given."
    )

    def values(self) -> dict[str, Any]:
        found = _checked(given(self, "name", "scopes", *_LIMITS))
        if found["expires_at"] is None:
            del found["expires_at"]
        return found


@strawberry.input(description="Only what is given is changed; null lifts a limit.")
class UpdateApiKeyInput:
    id: strawberry.ID
    name: str | None = strawberry.UNSET
    scopes: list[str] | None = strawberry.UNSET
    allowed_ips: list[str] | None = strawberry.UNSET
    allowed_mailboxes: list[str] | None = strawberry.UNSET
    allowed_domains: list[str] | None = strawberry.UNSET
    max_sends_per_day: int | None = strawberry.UNSET
    expires_at: DateTime | None = strawberry.UNSET

    def values(self) -> dict[str, Any]:
        return _checked(given(self, "name", "scopes", *_LIMITS))
