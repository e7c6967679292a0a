"""Who did it, and what was changed: the two things that every entry of the audit log names."""

from __future__ import annotations

import getpass
import socket
from contextvars import ContextVar
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Protocol, Self
from uuid import UUID

from penguinmails_core.kit import ids
from penguinmails_core.kit.ids import Prefix
from penguinmails_core.principal import Principal, PrincipalKind

MAX_LABEL, MAX_USER_AGENT = 200, 300


class Origin(Protocol):
    """Where the request came from that is being answered. `request_id` as in the `Request-Id` header."""

    @property
    def request_id(self) -> str: ...

    @property
    def client_address(self) -> str: ...

    @property
    def user_agent(self) -> str | None: ...


ORIGIN: ContextVar[Origin | None] = ContextVar("audit origin", default=None)
"""Set by the gateway around every request, so that services need not hand it down."""


class ActorKind(StrEnum):
    """`operator`: somebody with a shell on the server; `system`: PenguinMails itself; `webhook_portal_link`: a
    customer's customer who came by that link."""

    USER = "user"
    API_KEY = "api_key"
    OAUTH_APP = "oauth_app"
    WEBHOOK_PORTAL_LINK = "webhook_portal_link"
    SYSTEM = "system"
    OPERATOR = "operator"


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts in `organization_id`. `user_id` is the person for whom an OAuth app acts. `label` is a name as it was
    then; None lets `record` look up the key's name or the user's address. `workspace_id` is the one that the
    credential is bound to."""

    organization_id: UUID
    kind: ActorKind
    id: UUID | None = None
    label: str | None = None
    user_id: UUID | None = None
    workspace_id: UUID | None = None
    mode: str = "live"
    request_id: UUID | None = None
    ip: str | None = None
    user_agent: str | None = None

    @classmethod
    def of(cls, principal: Principal) -> Self:
        """The caller of a request, with its id and address."""
        kind, actor_id, user_id = ActorKind.API_KEY, principal.id, None
        if principal.kind is PrincipalKind.SESSION:
            kind, actor_id = ActorKind.USER, principal.user_id or principal.id
        elif principal.kind is PrincipalKind.OAUTH:
            kind, actor_id, user_id = ActorKind.OAUTH_APP, principal.app_id or principal.id, principal.user_id
        elif principal.kind is PrincipalKind.PORTAL_LINK:
            kind = ActorKind.WEBHOOK_PORTAL_LINK
        made = cls(
            principal.organization_id,
            kind,
            actor_id,
            user_id=user_id,
            workspace_id=principal.workspace_id,
            mode=principal.mode,
        )
        return made._from_origin()

    @classmethod
    def user(cls, organization_id: UUID, user_id: UUID) -> Self:
        """A person who has no principal yet, such as one who signs in or accepts an invitation."""
        return cls(organization_id, ActorKind.USER, user_id)._from_origin()

    def _from_origin(self) -> Self:
        origin = ORIGIN.get()
        if origin is None:
            return self
        agent = origin.user_agent
        return replace(
            self,
            request_id=ids.decode(Prefix.REQUEST, origin.request_id),
            ip=origin.client_address or None,
            user_agent=agent[:MAX_USER_AGENT] if agent else None,
        )

    @classmethod
    def system(cls, organization_id: UUID, label: str) -> Self:
        """PenguinMails itself; `label` names the part, such as ``webhook engine``."""
        return cls(organization_id, ActorKind.SYSTEM, label=label)

    @classmethod
    def operator(cls, organization_id: UUID) -> Self:
        """Whoever runs the command line: the name of the account and the machine."""
        try:
            name = getpass.getuser()
        except (OSError, KeyError):  # a container's user may have no name
            name = "operator"
        return cls(organization_id, ActorKind.OPERATOR, label=f"{name}@{socket.gethostname()}"[:MAX_LABEL])


@dataclass(frozen=True, slots=True)
class Resource:
    """What was changed: ``Resource(Prefix.API_KEY, key.id)``. `workspace_id` when it belongs to a workspace."""

    prefix: Prefix
    id: UUID
    workspace_id: UUID | None = None

    @property
    def type(self) -> str:
        """``api_key``, as in actions."""
        return self.prefix.name.lower()
