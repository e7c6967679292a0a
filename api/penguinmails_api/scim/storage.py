"""Where scim2-server keeps users and groups: one table, bound by row-level security to the client's organization.

Storage methods get no request, so who asks is in a context variable. One operation is one transaction: the resource,
the membership, keys and grants that end with it, and the audit log change together or not at all.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import Any
from unicodedata import normalize
from uuid import UUID

from scim2_models import (
    Meta,
    NotFoundException,
    PreconditionFailedException,
    Resource,
    ResourceType,
    ResponseParameters,
    ScimProvider,
    SearchRequest,
    UniquenessException,
)
from scim2_models.path import CompareOperator, Comparison
from scim2_server.memory import InMemoryStorage
from scim2_server.storage import AsyncScimStorage, SearchPage
from sqlalchemy import func
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from penguinmails_core.kit.db import Database
from penguinmails_core.kit.ids import new_uuid
from penguinmails_core.models import ScimResource
from penguinmails_core.scim import repository
from penguinmails_core.scim.directory import GROUP, USER, Directory, ScimClient, as_uuid, members_of

CLIENT: ContextVar[ScimClient] = ContextVar("scim client")
_SESSION: ContextVar[AsyncSession | None] = ContextVar("scim session", default=None)
_ENDED: ContextVar[list[UUID] | None] = ContextVar("scim ended", default=None)
Ended = Callable[[ScimClient, UUID], Awaitable[None]]
"""``await ended(client, user_id)``: after the commit, somebody is a member no more."""
Changed = Callable[[], None]
"""``changed()``: after the commit, members have other roles."""


class DirectoryStorage(AsyncScimStorage):
    def __init__(self, database: Database, provider: ScimProvider, ended: Ended, changed: Changed) -> None:
        self._database = database
        self._provider = provider
        self._directory = Directory(database)
        self._ended = ended
        self._changed = changed

    def operation(self) -> Any:
        return self._transaction()

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[None]:
        client, ended = CLIENT.get(), list[UUID]()
        before = _ENDED.set(ended)
        try:
            async with self._database.tenant(client.organization_id) as session:
                token = _SESSION.set(session)
                try:
                    yield
                finally:
                    _SESSION.reset(token)
        finally:
            _ENDED.reset(before)
        for user_id in ended:
            await self._ended(client, user_id)
        if self._directory.roles_changed:
            self._changed()

    @asynccontextmanager
    async def _work(self) -> AsyncIterator[AsyncSession]:
        """In the operation's transaction, or in one of its own."""
        session = _SESSION.get()
        if session is not None:
            yield session
            return
        async with self._transaction():
            session = _SESSION.get()
            assert session is not None
            yield session

    async def get(
        self,
        resource_type: ResourceType,
        resource_id: str,
        *,
        response_parameters: ResponseParameters[Any] | None = None,
    ) -> Resource[Any]:
        async with self._work() as session:
            return self._show(resource_type, await self._row(session, resource_type, resource_id))

    async def search(
        self, resource_types: list[ResourceType], search_request: SearchRequest[Any], *, position: Any = None
    ) -> SearchPage:
        """PostgreSQL finds what can be a hit, the library judges filters and sorts. A provider looks users up by name
        or external id many times an hour, and all of them seldom."""
        client = CLIENT.get()
        kinds = [str(kind.name) for kind in resource_types]
        async with self._work() as session:
            rows = await repository.candidates(
                session, client.organization_id, client.connection_id, kinds, **_equal(search_request)
            )
        types = {str(kind.name): kind for kind in resource_types}
        memory = InMemoryStorage()
        memory.resources = [self._show(types[row.resource_type], row) for row in rows]
        return memory.search(resource_types, search_request)

    async def create(self, resource_type: ResourceType, resource: Resource[Any]) -> Resource[Any]:
        client = CLIENT.get()
        async with self._work() as session:
            await self._directory.hold(session, client)
            row = ScimResource(
                organization_id=client.organization_id,
                id=new_uuid(),
                connection_id=client.connection_id,
                resource_type=str(resource_type.name),
            )
            await self._write(session, row, resource)
            await self._follow(session, client, row, set())
            await session.refresh(row)
            return self._show(resource_type, row)

    async def update(
        self, resource_type: ResourceType, resource: Resource[Any], *, expected_version: str | None = None
    ) -> Resource[Any]:
        client = CLIENT.get()
        async with self._work() as session:
            await self._directory.hold(session, client)
            row = await self._row(session, resource_type, resource.id, lock=True, expected_version=expected_version)
            before = members_of(row.document)
            await self._write(session, row, resource)
            await self._follow(session, client, row, before)
            await session.refresh(row)
            return self._show(resource_type, row)

    async def delete(
        self, resource_type: ResourceType, resource_id: str, *, expected_version: str | None = None
    ) -> None:
        client = CLIENT.get()
        async with self._work() as session:
            await self._directory.hold(session, client)
            row = await self._row(session, resource_type, resource_id, lock=True, expected_version=expected_version)
            had = members_of(row.document)
            ended = await self._directory.user_gone(session, client, row)
            await session.delete(row)
            await session.flush()
            if row.resource_type == GROUP:
                await self._directory.group_changed(session, client, had)
            _note(ended)

    async def _follow(self, session: AsyncSession, client: ScimClient, row: ScimResource, before: set[str]) -> None:
        """Members follow what was written."""
        if row.resource_type == USER:
            _note(await self._directory.user_changed(session, client, row))
        else:
            await self._directory.group_changed(session, client, before | members_of(row.document))

    async def _row(
        self,
        session: AsyncSession,
        resource_type: ResourceType,
        resource_id: str | None,
        *,
        lock: bool = False,
        expected_version: str | None = None,
    ) -> ScimResource:
        client, found = CLIENT.get(), as_uuid(resource_id or "")
        row = None
        if found is not None:
            row = await repository.get(
                session, client.organization_id, client.connection_id, str(resource_type.name), found, lock=lock
            )
        if row is None:
            raise NotFoundException(detail=f"There is no such {resource_type.name}.")
        if expected_version is not None and row.version != expected_version:
            raise PreconditionFailedException
        return row

    async def _write(self, session: AsyncSession, row: ScimResource, resource: Resource[Any]) -> None:
        document = resource.model_dump()
        for left_out in ("id", "meta", "password"):  # the first two are columns; nobody has a password by SCIM
            document.pop(left_out, None)
        given: str | None = document.get("userName") if row.resource_type == USER else None
        name = _comparable(given) if given is not None else None
        if name is not None and await repository.name_is_taken(session, row, name):
            raise UniquenessException()
        row.unique_name = name
        row.external_id = document.get("externalId")
        row.document = document
        row.version = f'W/"{new_uuid().hex}"'
        row.updated_at = func.now()
        try:
            async with session.begin_nested():
                session.add(row)
                await session.flush()
        except IntegrityError:
            raise UniquenessException() from None
        await session.refresh(row)

    def _show(self, resource_type: ResourceType, row: ScimResource) -> Resource[Any]:
        model: Any = self._provider.model_for(resource_type)
        resource: Resource[Any] = model.model_validate(row.document)
        resource.id = str(row.id)
        resource.meta = Meta(
            resource_type=resource_type.name,
            created=row.created_at,
            last_modified=row.updated_at,
            version=row.version,
        )
        return resource


def _note(user_id: UUID | None) -> None:
    ended = _ENDED.get()
    if user_id is not None and ended is not None:
        ended.append(user_id)


def _comparable(name: str) -> str:
    """As the library compares what is not case-exact."""
    return normalize("NFC", normalize("NFC", name).lower())


def _equal(search_request: SearchRequest[Any]) -> dict[str, str]:
    """`userName eq "..."` or `externalId eq "..."`, the questions providers ask."""
    found = search_request.filter
    node = found.ast if found is not None else None
    if not isinstance(node, Comparison) or node.op != CompareOperator.eq or not isinstance(node.value, str):
        return {}
    name = str(node.attr_path).rpartition(":")[2].lower()
    if name == "username":
        return {"unique_name": _comparable(node.value)}
    return {"external_id": node.value} if name == "externalid" else {}
