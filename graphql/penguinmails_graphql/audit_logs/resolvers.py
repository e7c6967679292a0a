"""`auditLogs` and `auditLog`."""

from __future__ import annotations

import re
from uuid import UUID

import strawberry
from sqlalchemy.ext.asyncio import AsyncSession

from penguinmails_core import models
from penguinmails_core.audit import service
from penguinmails_core.audit.actor import ActorKind
from penguinmails_core.errors import FieldError, Unprocessable
from penguinmails_core.kit.ids import Prefix
from penguinmails_core.scopes import Scope
from penguinmails_graphql.audit_logs.types import PREFIX_OF_ACTOR, AuditLog
from penguinmails_graphql.context import Info, caller_of
from penguinmails_graphql.relay import Connection, argument_id, bounded, connect, numbered_page_of, uuid_of
from penguinmails_graphql.scalars import DateTime

_ACTION = re.compile(r"[a-z][a-z0-9_]*\.([a-z][a-z0-9_]*|\*)")


@strawberry.input(description="All that are given must match.")
class AuditLogFilterInput:
    action: list[str] | None = strawberry.field(
        default=None, description="Only these, such as `api_key.created`; `api_key.*` stands for a family."
    )
    actor_id: strawberry.ID | None = strawberry.field(
        default=None, description="A user, API key or OAuth app; with a user also what apps did for them."
    )
    actor_kind: ActorKind | None = None
    resource_id: strawberry.ID | None = None
    resource_type: str | None = None
    since: DateTime | None = strawberry.field(default=None, description="At this time or later.")
    until: DateTime | None = strawberry.field(default=None, description="Before this time.")

    def to_filter(self) -> service.Filter:
        bounded(self.action, 20, "/filter/action")
        for index, action in enumerate(self.action or ()):
            if not _ACTION.fullmatch(action):
                detail = "Expected an action such as api_key.created, or a family such as api_key.*."
                raise Unprocessable(detail, errors=[FieldError(f"/filter/action/{index}", "invalid_action", detail)])
        return service.Filter(
            actions=self.action or (),
            actor_id=_any_id(self.actor_id, "/filter/actorId", set(PREFIX_OF_ACTOR.values())),
            actor_kind=self.actor_kind,
            resource_type=self.resource_type,
            resource_id=_any_id(self.resource_id, "/filter/resourceId", set(Prefix)),
            since=self.since,
            until=self.until,
        )


def _any_id(value: strawberry.ID | None, pointer: str, prefixes: set[Prefix]) -> UUID | None:
    """An id of one of several kinds. Raises `Unprocessable`."""
    prefix = str(value or "").rpartition("_")[0]
    known = [item for item in sorted(prefixes) if item == prefix]
    return argument_id(known[0] if known else sorted(prefixes)[0], value, pointer)


@strawberry.type
class AuditLogsQuery:
    @strawberry.field(description="Who changed what, the newest first.")
    async def audit_logs(
        self,
        info: Info,
        filter: AuditLogFilterInput | None = None,
        first: int | None = None,
        after: str | None = None,
        last: int | None = None,
        before: str | None = None,
    ) -> Connection[AuditLog]:
        caller, page = caller_of(info, Scope.AUDIT_LOGS_READ), numbered_page_of(first, after, last, before)
        wanted = (filter or AuditLogFilterInput()).to_filter()

        async def work(session: AsyncSession) -> tuple[list[models.AuditLog], bool]:
            return await service.list_entries(
                session, caller, wanted, limit=page.limit, after=page.after, before=page.before
            )

        rows, has_more = await info.context.read(work)
        return connect(page, rows, has_more, AuditLog.of, lambda row: row.sequence)

    @strawberry.field(description="One entry of the audit log.")
    async def audit_log(self, info: Info, id: strawberry.ID) -> AuditLog:
        return await fetch_audit_log(info, id)


async def fetch_audit_log(info: Info, node_id: strawberry.ID) -> AuditLog:
    caller = caller_of(info, Scope.AUDIT_LOGS_READ)
    entry_id = uuid_of(Prefix.AUDIT_LOG, node_id, "entry in the audit log")

    async def work(session: AsyncSession) -> models.AuditLog:
        return await service.get_entry(session, caller, entry_id)

    return AuditLog.of(await info.context.read(work))
