"""The audit log as the API shows it."""

import re
from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated, Any, Self
from uuid import UUID

from pydantic import AfterValidator, Field

from penguinmails_api.v1.common import Moment, Page, QueryParameters, Resource, Timestamp, from_path, typeid
from penguinmails_api.v1.paging import PageQuery
from penguinmails_core import models
from penguinmails_core.audit import service
from penguinmails_core.kit import cursors, ids
from penguinmails_core.kit.ids import Prefix

AuditLogIdInPath = Annotated[UUID, from_path(Prefix.AUDIT_LOG, "entry in the audit log"), typeid(Prefix.AUDIT_LOG)]

_ACTION = re.compile(r"[a-z][a-z0-9_]*\.([a-z][a-z0-9_]*|\*)")
_PREFIXES = {str(prefix): prefix for prefix in Prefix}


class AuditActorKind(StrEnum):
    """`operator`: somebody at the command line of the server; `system`: PenguinMails itself; `webhook_portal_link`:
    somebody who came by that link."""

    USER = "user"
    API_KEY = "api_key"
    OAUTH_APP = "oauth_app"
    WEBHOOK_PORTAL_LINK = "webhook_portal_link"
    SYSTEM = "system"
    OPERATOR = "operator"


class AuditMode(StrEnum):
    """Of the credential that acted."""

    LIVE = "live"
    TEST = "test"


_PREFIX_OF_ACTOR = {
    AuditActorKind.USER: Prefix.USER,
    AuditActorKind.API_KEY: Prefix.API_KEY,
    AuditActorKind.OAUTH_APP: Prefix.OAUTH_APP,
    AuditActorKind.WEBHOOK_PORTAL_LINK: Prefix.WEBHOOK_PORTAL_LINK,
}


def _action(value: str) -> str:
    if not _ACTION.fullmatch(value):
        raise ValueError("expected an action such as api_key.created, or a family such as api_key.*")
    return value


def _any_id(value: str) -> str:
    prefix = value.rpartition("_")[0]
    if prefix not in _PREFIXES:
        raise ValueError("expected an id such as key_... or whe_...")
    ids.decode(prefix, value)
    return value


def _actor_id(value: str) -> str:
    if value.rpartition("_")[0] not in _PREFIX_OF_ACTOR.values():
        raise ValueError("expected the id of a user (usr_), API key (key_), OAuth app (app_) or portal link (whl_)")
    return _any_id(value)


class AuditLogFilter(QueryParameters):
    """The filters that list and exports share."""

    action: list[Annotated[str, Field(max_length=100), AfterValidator(_action)]] = Field(
        [],
        max_length=20,
        description="Only these, such as `api_key.created`; may be repeated. `api_key.*` stands for a whole family.",
    )
    actor_id: Annotated[str, Field(max_length=40), AfterValidator(_actor_id)] | None = Field(
        None,
        description="Done by this user, API key, OAuth app or portal link; a user's include what apps did for them.",
    )
    actor_kind: AuditActorKind | None = Field(None, description="Done by one of this kind.")
    resource_id: Annotated[str, Field(max_length=40), AfterValidator(_any_id)] | None = Field(
        None, description="Only what was done to this resource, such as a `key_...` or `whe_...`."
    )
    resource_type: str | None = Field(
        None, max_length=50, pattern="^[a-z_]+$", description="Only what was done to resources of this type."
    )
    since: Moment | None = Field(None, description="At this time or later (RFC 3339).")
    until: Moment | None = Field(None, description="Before this time (RFC 3339).")

    def to_filter(self) -> service.Filter:
        prefix = self.resource_id.rpartition("_")[0] if self.resource_id else None
        return service.Filter(
            actions=self.action,
            actor_id=ids.decode(self.actor_id.rpartition("_")[0], self.actor_id) if self.actor_id else None,
            actor_kind=self.actor_kind,
            resource_type=self.resource_type,
            resource_id=ids.decode(prefix, self.resource_id) if prefix and self.resource_id else None,
            since=self.since,
            until=self.until,
        )


class AuditLogListQuery(AuditLogFilter, PageQuery):
    def place(self) -> dict[str, Any]:
        return {
            "limit": self.limit,
            "after": cursors.decode_number(self.after, "after") if self.after is not None else None,
            "before": cursors.decode_number(self.before, "before") if self.before is not None else None,
        }


class AuditActor(Resource):
    """Who did it."""

    kind: AuditActorKind
    id: str | None = Field(
        description="Of the user, API key, OAuth app or portal link.", examples=["key_01kaz6yzwhe1xrqm3c8s4q3m8r"]
    )
    user_id: Annotated[str, typeid(Prefix.USER)] | None = Field(description="For whom an OAuth app acted.")
    label: str | None = Field(
        description="Name of the key, address of the user, or account of the operator, as it was then.",
        examples=["Production"],
    )


class AuditResource(Resource):
    """What was changed."""

    type: str = Field(examples=["webhook_endpoint"])
    id: str = Field(examples=["whe_01kaz6yzwhe1xrqm3c8s4q3m8r"])


class AuditLog(Resource):
    """One privileged change. Entries are never changed; each holds the hash of the one before."""

    id: Annotated[str, typeid(Prefix.AUDIT_LOG)]
    sequence: int = Field(description="Counts the entries of the organization from 1, without gaps.", examples=[42])
    at: Timestamp
    action: str = Field(description="`resource.past_participle`.", examples=["webhook_endpoint.updated"])
    actor: AuditActor
    resource: AuditResource
    workspace_id: Annotated[str, typeid(Prefix.WORKSPACE)] | None = Field(
        description="The workspace that the resource or the actor's credential belongs to."
    )
    mode: AuditMode
    before: dict[str, Any] | None = Field(
        description="What was, of an update only what differs. Secrets read `[redacted]`. Null for what was created.",
        examples=[{"status": "enabled"}],
    )
    after: dict[str, Any] | None = Field(
        description="What became of it. Null for what was deleted.", examples=[{"status": "disabled"}]
    )
    request_id: Annotated[str, typeid(Prefix.REQUEST)] | None = Field(
        description="The request that did it, as in `Request-Id`."
    )
    ip: str | None = Field(description="Where that request came from.", examples=["192.0.2.1"])
    user_agent: str | None = Field(examples=["penguinmails-python/0.1.0"])
    previous_hash: str = Field(description="Hash of the entry before, in hex; empty for the first.")
    hash: str = Field(
        description="SHA-256 over the hash before and this entry, in hex; docs/audit-log.md says how.",
        examples=["9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"],
    )

    @classmethod
    def of(cls, row: models.AuditLog) -> Self:
        kind = AuditActorKind(row.actor_kind)
        prefix = _PREFIX_OF_ACTOR.get(kind)
        return cls(
            id=ids.encode(Prefix.AUDIT_LOG, row.id),
            sequence=row.sequence,
            at=row.at,
            action=row.action,
            actor=AuditActor(
                kind=kind,
                id=ids.encode(prefix, row.actor_id) if prefix and row.actor_id else None,
                user_id=ids.encode(Prefix.USER, row.actor_user_id) if row.actor_user_id else None,
                label=row.actor_label,
            ),
            resource=AuditResource(
                type=row.resource_type, id=ids.encode(Prefix[row.resource_type.upper()], row.resource_id)
            ),
            workspace_id=ids.encode(Prefix.WORKSPACE, row.workspace_id) if row.workspace_id else None,
            mode=AuditMode(row.mode),
            before=row.before,
            after=row.after,
            request_id=ids.encode(Prefix.REQUEST, row.request_id) if row.request_id else None,
            ip=row.ip,
            user_agent=row.user_agent,
            previous_hash=row.previous_hash.hex(),
            hash=row.hash.hex(),
        )


class AuditLogList(Page[AuditLog]):
    """Entries of the audit log, the newest first."""

    @classmethod
    def of(cls, rows: Sequence[models.AuditLog], has_more: bool, *, backwards: bool) -> Self:
        edge = (rows[0] if backwards else rows[-1]) if rows and has_more else None
        return cls(
            data=[AuditLog.of(row) for row in rows],
            has_more=has_more,
            next_cursor=cursors.encode_number(edge.sequence) if edge else None,
        )
