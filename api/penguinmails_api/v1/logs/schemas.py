"""The request log as the API shows it."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated, Self
from uuid import UUID

from pydantic import BeforeValidator, Field

from penguinmails_api.v1.common import Moment, Page, Resource, Timestamp, from_path, typeid
from penguinmails_api.v1.paging import PageQuery, next_cursor
from penguinmails_core import models
from penguinmails_core.kit import ids
from penguinmails_core.kit.ids import Prefix
from penguinmails_core.request_logs.repository import Filter

RequestIdInPath = Annotated[UUID, from_path(Prefix.REQUEST, "request in the log"), typeid(Prefix.REQUEST)]


class LogStatusClass(StrEnum):
    """2xx, 3xx, 4xx, 5xx (RFC 9110 §15)."""

    SUCCESS = "success"
    REDIRECT = "redirect"
    CLIENT_ERROR = "client_error"
    SERVER_ERROR = "server_error"


_CLASSES = {
    LogStatusClass.SUCCESS: 2,
    LogStatusClass.REDIRECT: 3,
    LogStatusClass.CLIENT_ERROR: 4,
    LogStatusClass.SERVER_ERROR: 5,
}


class LogCredentialKind(StrEnum):
    """What the caller showed."""

    API_KEY = "api_key"
    OAUTH = "oauth"
    SESSION = "session"


def _key_id(value: str) -> str:
    ids.decode(Prefix.API_KEY, value)
    return value


class LogListQuery(PageQuery):
    status: list[Annotated[int, Field(ge=100, le=599)]] = Field(
        [], max_length=20, description="With this status; may be repeated."
    )
    status_class: list[LogStatusClass] = Field([], max_length=4, description="With a status of this class.")
    method: list[Annotated[str, Field(max_length=10, pattern="^[A-Z]{3,10}$")]] = Field(
        [], max_length=6, description="With this method, such as `POST`; may be repeated."
    )
    route: str | None = Field(
        None, max_length=200, description="Of this route, as `route` shows it, such as `/v1/emails/{email_id}`."
    )
    api_key_id: Annotated[str, BeforeValidator(_key_id), typeid(Prefix.API_KEY)] | None = Field(
        None, description="Made with this API key."
    )
    error_code: str | None = Field(None, max_length=100, description="Refused with this problem code.")
    since: Moment | None = Field(None, description="At this time or later (RFC 3339).")
    until: Moment | None = Field(None, description="Before this time (RFC 3339).")

    def to_filter(self) -> Filter:
        return Filter(
            statuses=self.status,
            classes=[_CLASSES[found] for found in self.status_class],
            methods=self.method,
            route=self.route,
            credential_id=ids.decode(Prefix.API_KEY, self.api_key_id) if self.api_key_id else None,
            error_code=self.error_code,
            since=self.since,
            until=self.until,
        )


class Log(Resource):
    """One request to the API, without its body, headers and query: those may hold secrets and are not kept."""

    request_id: Annotated[str, typeid(Prefix.REQUEST)] = Field(description="As in `Request-Id`.")
    at: Timestamp
    method: str = Field(examples=["POST"])
    route: str = Field(description="The template; `unmatched` for no route.", examples=["/v1/emails/{email_id}"])
    status: int = Field(examples=[422])
    error_code: str | None = Field(description="`code` of the problem that was answered.", examples=["missing_scope"])
    duration_ms: float = Field(description="Until the answer was sent.", examples=[3.217])
    credential_kind: LogCredentialKind
    api_key_id: Annotated[str, typeid(Prefix.API_KEY)] | None
    user_id: Annotated[str, typeid(Prefix.USER)] | None = Field(description="The person behind a session or a grant.")
    app_id: Annotated[str, typeid(Prefix.OAUTH_APP)] | None = Field(description="The OAuth app.")
    workspace_id: Annotated[str, typeid(Prefix.WORKSPACE)] | None = Field(
        description="When the credential is bound to one."
    )
    ip: str | None = Field(
        description="The network of the caller; the operator of the server may choose the whole address or none.",
        examples=["192.0.2.0"],
    )

    @classmethod
    def of(cls, row: models.RequestLog) -> Self:
        kind = LogCredentialKind(row.credential_kind)
        return cls(
            request_id=ids.encode(Prefix.REQUEST, row.id),
            at=row.at,
            method=row.method,
            route=row.route,
            status=row.status,
            error_code=row.error_code,
            duration_ms=row.duration_us / 1000,
            credential_kind=kind,
            api_key_id=ids.encode(Prefix.API_KEY, row.credential_id) if kind is LogCredentialKind.API_KEY else None,
            user_id=ids.encode(Prefix.USER, row.user_id) if row.user_id else None,
            app_id=ids.encode(Prefix.OAUTH_APP, row.app_id) if row.app_id else None,
            workspace_id=ids.encode(Prefix.WORKSPACE, row.workspace_id) if row.workspace_id else None,
            ip=row.ip,
        )


class LogList(Page[Log]):
    """Requests, the newest first."""

    @classmethod
    def of(cls, rows: Sequence[models.RequestLog], has_more: bool, *, backwards: bool) -> Self:
        return cls(
            data=[Log.of(row) for row in rows],
            has_more=has_more,
            next_cursor=next_cursor([row.id for row in rows], has_more, backwards=backwards),
        )
