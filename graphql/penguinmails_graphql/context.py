"""What one GraphQL request carries: the caller, the services, one read transaction and the loaders."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar
from uuid import UUID

import strawberry
from sqlalchemy.ext.asyncio import AsyncSession

from penguinmails_core.content.service import ContentService
from penguinmails_core.domains.policy import DnsPolicy
from penguinmails_core.domains.service import VerifiedDomains
from penguinmails_core.emails.accept import AcceptRequest, Verdict
from penguinmails_core.emails.draft import DraftLimits
from penguinmails_core.errors import Unavailable
from penguinmails_core.idempotency import service as idempotency
from penguinmails_core.identity.origin import PublicUrl
from penguinmails_core.identity.service import Identity
from penguinmails_core.inbound.service import InboundSources
from penguinmails_core.kit.crypto import SecretBox
from penguinmails_core.kit.db import Database
from penguinmails_core.kit.dns import Resolver
from penguinmails_core.kit.doorbell import Doorbell
from penguinmails_core.lanes.service import Lanes
from penguinmails_core.mailboxes.records import Prober
from penguinmails_core.mailboxes.service import Mailboxes
from penguinmails_core.models import SsoConnection
from penguinmails_core.principal import Principal
from penguinmails_core.scopes import Scope
from penguinmails_core.sso.service import SsoConnections
from penguinmails_core.templates.renderer import Renderer
from penguinmails_core.webhook_endpoints.service import WebhookEndpoints
from penguinmails_sender.content.check import ContentChecker

Result = TypeVar("Result")

_NO_BOX = "This server cannot seal secrets: its operator must set PENGUINMAILS_SECRET_KEYS."


class GraphServices(Protocol):
    """The parts of a process that resolvers use; the API's services are one. `dns_policy`: what the
    operator says of the DNS of sending domains, which `dns_resolvers` are asked about. `default_plan`: that of
    organizations without one. `organizations_per_person`: how many one may own. `webhook_sources`: the networks that
    webhooks are sent from.

    `require_protocol` raises `Unavailable` when people cannot sign in that way here. `examine_connection` asks an
    identity provider what it is, and answers what was looked at and what is wrong with it (None: nothing); `outside` is
    how many provisioned users are no members.
    """

    database: Database
    doorbell: Doorbell
    domains: VerifiedDomains
    draft_limits: DraftLimits
    content: ContentService
    resolver: Resolver
    identity: Identity
    public: PublicUrl
    box: SecretBox | None
    renderer: Renderer
    content_checker: ContentChecker

    @property
    def dns_policy(self) -> DnsPolicy: ...

    @property
    def dns_resolvers(self) -> Mapping[str, Resolver]: ...

    @property
    def inbound_sources(self) -> InboundSources: ...

    @property
    def mailboxes(self) -> Mailboxes: ...

    @property
    def mailbox_prober(self) -> Prober: ...

    @property
    def lanes(self) -> Lanes: ...

    @property
    def default_plan(self) -> str: ...

    @property
    def organizations_per_person(self) -> int: ...

    @property
    def webhook_sources(self) -> Sequence[str]: ...

    @property
    def sso_connections(self) -> SsoConnections: ...

    def require_protocol(self, protocol: str) -> None: ...

    async def examine_connection(self, row: SsoConnection, outside: int = 0) -> Sequence[tuple[str, str | None]]: ...


@dataclass(slots=True)
class GraphContext:
    """``async with GraphContext(...) as context``. `accept` charges the caller's limits and commits mail; `sudo` raises
    `ReauthenticationRequired` for a person in a browser whose sign-in is not fresh. `admit` counts against the limits
    that an operation of REST has for itself, and raises `RateLimited`. `webhook_endpoints` is None on a server that
    cannot seal secrets.

    All reads of a request share one transaction, one after another: fifty root fields take one connection, not fifty.
    """

    principal: Principal
    services: GraphServices
    accept: Callable[[AcceptRequest], Awaitable[Verdict]]
    sudo: Callable[[], Awaitable[None]]
    admit: Callable[[str], Awaitable[None]]
    webhook_endpoints: WebhookEndpoints | None
    request_id: str
    loaders: dict[Any, Any] = field(default_factory=dict)
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    _stack: AsyncExitStack = field(default_factory=AsyncExitStack)
    _session: AsyncSession | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.end_reads()

    async def read(self, work: Callable[[AsyncSession], Awaitable[Result]]) -> Result:
        """Run `work` in the request's read transaction, alone."""
        async with self._lock:
            if self._session is None:
                transaction = self.services.database.tenant(self.principal.organization_id)
                self._session = await self._stack.enter_async_context(transaction)
            return await work(self._session)

    async def write(
        self,
        work: Callable[[AsyncSession], Awaitable[Result]],
        *ring: str,
        key: str | None = None,
        mark: bytes = b"",
        store: Callable[[Result], bytes] | None = None,
        load: Callable[[AsyncSession, bytes], Awaitable[Result]] | None = None,
        organization_id: UUID | None = None,
    ) -> Result:
        """Run `work` in a transaction of its own, commit, and ring. What was read before is read anew afterwards.

        With `key`, an Idempotency-Key: the work is done once, `store` says what is kept of its result, and `load`
        makes the result of a replay from that. `organization_id` is where the work is done, when that is not the
        caller's own organization.
        """
        organization_id = organization_id or self.principal.organization_id
        if key is None or store is None or load is None:
            async with self.services.database.tenant(organization_id) as session:
                result = await work(session)
        else:
            result = await self._write_once(organization_id, work, key, mark, store, load)
        self.services.doorbell.ring(*ring)
        await self.end_reads()
        return result

    async def _write_once(
        self,
        organization_id: UUID,
        work: Callable[[AsyncSession], Awaitable[Result]],
        key: str,
        mark: bytes,
        store: Callable[[Result], bytes],
        load: Callable[[AsyncSession, bytes], Awaitable[Result]],
    ) -> Result:
        done: list[Result] = []

        async def stored(session: AsyncSession) -> bytes:
            done.append(await work(session))
            return store(done[-1])

        request = idempotency.KeyedRequest(organization_id, self.principal.id, key, mark)
        answer = await idempotency.run(self.services.database, request, stored, status=200)
        if not answer.replayed:
            return done[-1]
        async with self.services.database.tenant(organization_id) as session:
            return await load(session, answer.body)

    async def end_reads(self) -> None:
        """What comes next is read anew, by loaders too."""
        self.loaders.clear()
        async with self._lock:
            self._session = None
            await self._stack.aclose()

    def endpoints(self) -> WebhookEndpoints:
        if self.webhook_endpoints is None:
            raise Unavailable(_NO_BOX)
        return self.webhook_endpoints

    def box(self) -> SecretBox:
        if self.services.box is None:
            raise Unavailable(_NO_BOX)
        return self.services.box


Info = strawberry.Info[GraphContext, None]


def caller_of(info: Info, scope: Scope) -> Principal:
    """The caller, when it may do this. Raises `MissingScope`."""
    principal = info.context.principal
    principal.require(scope)
    return principal


async def fresh_caller_of(info: Info, scope: Scope) -> Principal:
    """As `caller_of`, for keys, secrets and deletion. Raises `ReauthenticationRequired` for a person in a browser whose
    sign-in is not fresh."""
    caller = caller_of(info, scope)
    await info.context.sudo()
    return caller
