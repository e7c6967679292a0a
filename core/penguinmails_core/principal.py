"""Who is asking: the authenticated caller of one request."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from uuid import UUID

from penguinmails_core.constraints import SendConstraints
from penguinmails_core.errors import MissingScope
from penguinmails_core.scopes import Scope

_NOWHERE = UUID(int=0)  # no workspace has it: ids are UUIDv7


class PrincipalKind(StrEnum):
    """What the caller showed: a key of the organization, an OAuth access token, a browser session, or the link of a
    webhook portal."""

    API_KEY = "api_key"
    OAUTH = "oauth"
    SESSION = "session"
    PORTAL_LINK = "webhook_portal_link"


@dataclass(frozen=True, slots=True)
class Principal:
    """`id` names the credential: the API key, the OAuth grant, or the user of a session; idempotency and limits go by
    it. `workspace_id` is set when the credential is bound to one workspace; `default_workspace_id` is where new things
    go otherwise. `mode` keeps live and test data apart. `scopes` are already expanded. `user_id` is the person behind
    a session or a granted token, `app_id` the OAuth app; a key has neither. `constraints` limit what may be sent; None
    when nothing does. `consumer` is the customer's customer who came by a portal link: of webhook endpoints they see
    only their own."""

    id: UUID
    organization_id: UUID
    workspace_id: UUID | None
    default_workspace_id: UUID
    mode: str
    scopes: frozenset[str]
    kind: PrincipalKind = PrincipalKind.API_KEY
    user_id: UUID | None = None
    app_id: UUID | None = None
    constraints: SendConstraints | None = None
    consumer: str | None = None

    @property
    def target_workspace_id(self) -> UUID:
        return self.workspace_id or self.default_workspace_id

    @property
    def api_key_id(self) -> UUID | None:
        return self.id if self.kind is PrincipalKind.API_KEY else None

    def inside(self, workspace_id: UUID | None) -> Principal:
        """The same caller, looking into one workspace only, for lists that are asked for one; None changes nothing.
        Who is bound to another one sees nothing of it."""
        if workspace_id is None or workspace_id == self.workspace_id:
            return self
        return replace(self, workspace_id=workspace_id if self.workspace_id is None else _NOWHERE)

    def require(self, scope: Scope) -> None:
        """Raises `MissingScope` naming what is missing and what the credential has."""
        if scope not in self.scopes:
            raise MissingScope(
                f"This operation needs the scope {scope}.",
                extra={"required_scope": str(scope), "granted_scopes": sorted(self.scopes)},
            )
