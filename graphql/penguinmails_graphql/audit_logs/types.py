"""The audit log: who changed what, when and from where."""

from __future__ import annotations

from typing import Self

import strawberry
from strawberry.scalars import JSON

from penguinmails_core import models
from penguinmails_core.audit.actor import ActorKind
from penguinmails_core.kit import ids
from penguinmails_core.kit.ids import Prefix
from penguinmails_graphql.enums import Mode
from penguinmails_graphql.relay import Node, id_of
from penguinmails_graphql.scalars import DateTime

strawberry.enum(
    ActorKind,
    name="AuditActorKind",
    description="`OPERATOR`: somebody at the command line of the server; `SYSTEM`: PenguinMails itself; "
    "`WEBHOOK_PORTAL_LINK`: somebody who came by that link.",
)

PREFIX_OF_ACTOR: dict[ActorKind, Prefix] = {
    ActorKind.USER: Prefix.USER,
    ActorKind.API_KEY: Prefix.API_KEY,
    ActorKind.OAUTH_APP: Prefix.OAUTH_APP,
    ActorKind.WEBHOOK_PORTAL_LINK: Prefix.WEBHOOK_PORTAL_LINK,
}


@strawberry.type(description="Who did it.")
class AuditActor:
    kind: ActorKind
    id: strawberry.ID | None = strawberry.field(description="Of the user, API key, OAuth app or portal link.")
    user_id: strawberry.ID | None = strawberry.field(description="For whom an OAuth app acted.")
    label: str | None = strawberry.field(
        description="Name of the key, address of the user, or account of the operator, as it was then."
    )


@strawberry.type(description="What was changed.")
class AuditResource:
    type: str
    id: strawberry.ID


@strawberry.type(description="One privileged change. Entries never change; each holds the hash of the one before.")
class AuditLog(Node):
    sequence: int = strawberry.field(description="Counts the entries of the organization from 1, without gaps.")
    at: DateTime
    action: str = strawberry.field(description="Such as `webhook_endpoint.updated`.")
    actor: AuditActor
    resource: AuditResource
    workspace_id: strawberry.ID | None
    mode: Mode = strawberry.field(description="Of the credential that acted.")
    before: JSON | None = strawberry.field(description="What was; of an update only what differs. No secrets.")
    after: JSON | None
    request_id: strawberry.ID | None
    ip: str | None
    user_agent: str | None
    previous_hash: str = strawberry.field(description="In hex; empty for the first entry.")
    hash: str = strawberry.field(description="SHA-256 over the hash before and this entry, in hex.")

    @classmethod
    def of(cls, row: models.AuditLog) -> Self:
        kind = ActorKind(row.actor_kind)
        prefix = PREFIX_OF_ACTOR.get(kind)
        return cls(
            id=strawberry.ID(ids.encode(Prefix.AUDIT_LOG, row.id)),
            sequence=row.sequence,
            at=DateTime(row.at),
            action=row.action,
            actor=AuditActor(
                kind=kind,
                id=id_of(prefix, row.actor_id) if prefix else None,
                user_id=id_of(Prefix.USER, row.actor_user_id),
                label=row.actor_label,
            ),
            resource=AuditResource(
                type=row.resource_type,
                id=strawberry.ID(ids.encode(Prefix[row.resource_type.upper()], row.resource_id)),
            ),
            workspace_id=id_of(Prefix.WORKSPACE, row.workspace_id),
            mode=Mode(row.mode),
            before=JSON(row.before) if row.before is not None else None,
            after=JSON(row.after) if row.after is not None else None,
            request_id=id_of(Prefix.REQUEST, row.request_id),
            ip=row.ip,
            user_agent=row.user_agent,
            previous_hash=row.previous_hash.hex(),
            hash=row.hash.hex(),
        )
