"""The requests that were made with the organization's credentials."""

from __future__ import annotations

from enum import StrEnum
from typing import Self

import strawberry

from penguinmails_core import models
from penguinmails_core.kit import ids
from penguinmails_core.kit.ids import Prefix
from penguinmails_graphql.enums import PrincipalKind
from penguinmails_graphql.relay import Node, id_of
from penguinmails_graphql.scalars import DateTime


@strawberry.enum(description="2xx, 3xx, 4xx, 5xx (RFC 9110 §15).")
class LogStatusClass(StrEnum):
    SUCCESS = "success"
    REDIRECT = "redirect"
    CLIENT_ERROR = "client_error"
    SERVER_ERROR = "server_error"

    @property
    def digit(self) -> int:
        return 2 + list(LogStatusClass).index(self)


@strawberry.type(description="One request to the API, without its body, headers and query: those are not kept.")
class Log(Node):
    id: strawberry.ID = strawberry.field(description="As in `Request-Id`.")
    at: DateTime
    method: str
    route: str = strawberry.field(description="The template; `unmatched` for no route.")
    status: int
    error_code: str | None = strawberry.field(description="`code` of the problem that was answered.")
    duration_ms: float = strawberry.field(description="Until the answer was sent.")
    credential_kind: PrincipalKind
    api_key_id: strawberry.ID | None
    user_id: strawberry.ID | None = strawberry.field(description="The person behind a session or a grant.")
    app_id: strawberry.ID | None
    workspace_id: strawberry.ID | None = strawberry.field(description="When the credential is bound to one.")
    ip: str | None = strawberry.field(description="The network of the caller, as far as the operator lets it be kept.")

    @classmethod
    def of(cls, row: models.RequestLog) -> Self:
        kind = PrincipalKind(row.credential_kind)
        return cls(
            id=strawberry.ID(ids.encode(Prefix.REQUEST, row.id)),
            at=DateTime(row.at),
            method=row.method,
            route=row.route,
            status=row.status,
            error_code=row.error_code,
            duration_ms=row.duration_us / 1000,
            credential_kind=kind,
            api_key_id=id_of(Prefix.API_KEY, row.credential_id) if kind is PrincipalKind.API_KEY else None,
            user_id=id_of(Prefix.USER, row.user_id),
            app_id=id_of(Prefix.OAUTH_APP, row.app_id),
            workspace_id=id_of(Prefix.WORKSPACE, row.workspace_id),
            ip=row.ip,
        )
