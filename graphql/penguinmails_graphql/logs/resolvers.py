"""`logs` and `log`."""

from __future__ import annotations

import strawberry
from sqlalchemy.ext.asyncio import AsyncSession

from penguinmails_core import models
from penguinmails_core.errors import FieldError, Unprocessable
from penguinmails_core.kit.ids import Prefix
from penguinmails_core.request_logs import service
from penguinmails_core.request_logs.repository import Filter
from penguinmails_core.scopes import Scope
from penguinmails_graphql.context import Info, caller_of
from penguinmails_graphql.logs.types import Log, LogStatusClass
from penguinmails_graphql.relay import Connection, argument_id, bounded, connect, page_of, uuid_of
from penguinmails_graphql.scalars import DateTime


@strawberry.input(description="All that are given must match.")
class LogFilterInput:
    status: list[int] | None = None
    status_class: list[LogStatusClass] | None = None
    method: list[str] | None = None
    route: str | None = strawberry.field(default=None, description="As `route` shows it.")
    api_key_id: strawberry.ID | None = strawberry.field(default=None, description="Made with this API key.")
    error_code: str | None = None
    since: DateTime | None = strawberry.field(default=None, description="At this time or later.")
    until: DateTime | None = strawberry.field(default=None, description="Before this time.")

    def to_filter(self) -> Filter:
        bounded(self.status, 20, "/filter/status")
        bounded(self.method, 6, "/filter/method")
        for index, status in enumerate(self.status or ()):
            if not 100 <= status <= 599:
                detail = "A status is a number from 100 to 599."
                raise Unprocessable(detail, errors=[FieldError(f"/filter/status/{index}", "out_of_range", detail)])
        return Filter(
            statuses=self.status or (),
            classes=[item.digit for item in self.status_class or ()],
            methods=self.method or (),
            route=self.route,
            credential_id=argument_id(Prefix.API_KEY, self.api_key_id, "/filter/apiKeyId"),
            error_code=self.error_code,
            since=self.since,
            until=self.until,
        )


@strawberry.type
class LogsQuery:
    @strawberry.field(description="Requests with the organization's credentials, the newest first.")
    async def logs(
        self,
        info: Info,
        filter: LogFilterInput | None = None,
        first: int | None = None,
        after: str | None = None,
        last: int | None = None,
        before: str | None = None,
    ) -> Connection[Log]:
        caller, page = caller_of(info, Scope.LOGS_READ), page_of(first, after, last, before)
        wanted = (filter or LogFilterInput()).to_filter()

        async def work(session: AsyncSession) -> tuple[list[models.RequestLog], bool]:
            return await service.list_logs(
                session, caller, wanted, limit=page.limit, after=page.after, before=page.before
            )

        rows, has_more = await info.context.read(work)
        return connect(page, rows, has_more, Log.of, lambda row: row.id)

    @strawberry.field(description="The request whose answer carried this `Request-Id`.")
    async def log(self, info: Info, id: strawberry.ID) -> Log:
        return await fetch_log(info, id)


async def fetch_log(info: Info, node_id: strawberry.ID) -> Log:
    caller, request_id = caller_of(info, Scope.LOGS_READ), uuid_of(Prefix.REQUEST, node_id, "request in the log")

    async def work(session: AsyncSession) -> models.RequestLog:
        return await service.get_log(session, caller, request_id)

    return Log.of(await info.context.read(work))
