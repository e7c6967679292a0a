"""The parts one process works with, put together in one place."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from prometheus_client import CollectorRegistry
from redis.asyncio import Redis
from redis.exceptions import RedisError

from penguinmails_api.client_address import ClientAddresses
from penguinmails_api.identity.sso import examine, saml
from penguinmails_api.identity.sso.oidc import OidcClient
from penguinmails_api.inbound.handlers import handlers
from penguinmails_api.metrics import Metrics
from penguinmails_api.oauth2.service import OAuth
from penguinmails_api.observability.api_metrics import api_readings
from penguinmails_api.observability.readings import Readings
from penguinmails_api.rate_limits.admission import Admission, Failures
from penguinmails_api.rate_limits.limiter import Limiter
from penguinmails_api.request_log import RequestLog
from penguinmails_core.api_keys.authenticator import Authenticator, CredentialSource
from penguinmails_core.api_keys.send_caps import SendCaps
from penguinmails_core.config import (
    ApiSettings,
    AuditSettings,
    AuthSettings,
    BounceSettings,
    CheckSettings,
    ContentSettings,
    DatabaseSettings,
    DomainsSettings,
    InboundSettings,
    MailboxSettings,
    OAuthSettings,
    RedisSettings,
    RequestLogSettings,
    SenderSettings,
    StackSettings,
    TelemetrySettings,
    TrackingSettings,
    WebhookSettings,
    WorkerSettings,
)
from penguinmails_core.content.service import ContentService
from penguinmails_core.domains.looking import named_resolvers
from penguinmails_core.domains.policy import DnsPolicy
from penguinmails_core.domains.service import VerifiedDomains
from penguinmails_core.emails.accept import Acceptor
from penguinmails_core.emails.draft import DraftLimits
from penguinmails_core.errors import Unavailable
from penguinmails_core.events.streams import EventStreams
from penguinmails_core.identity.origin import PublicUrl
from penguinmails_core.identity.service import Identity
from penguinmails_core.inbound.receiver import Receiver
from penguinmails_core.inbound.records import InboundHandler, Scheme
from penguinmails_core.inbound.service import InboundSources
from penguinmails_core.kit.crypto import SecretBox
from penguinmails_core.kit.db import Database
from penguinmails_core.kit.dns import Resolver, SystemResolver
from penguinmails_core.kit.doorbell import EVENTS, MAIL, Doorbell
from penguinmails_core.kit.http import OutgoingHttp
from penguinmails_core.lanes.domains import DomainGroups
from penguinmails_core.lanes.policies import load as load_policies
from penguinmails_core.lanes.service import Lanes
from penguinmails_core.limits.cache import LimitsCache
from penguinmails_core.limits.catalogue import DEFAULT_PLAN
from penguinmails_core.mailboxes.oauth import OAuthTokens
from penguinmails_core.mailboxes.service import Mailboxes
from penguinmails_core.models import SsoConnection
from penguinmails_core.sso.service import SsoConnections
from penguinmails_core.sso.sign_in import SingleSignOn
from penguinmails_core.system_mail.service import SystemMail
from penguinmails_core.templates.renderer import Renderer
from penguinmails_core.tracking.hits import HitLog
from penguinmails_core.tracking.links import TrackingLinks
from penguinmails_core.unsubscribes.links import UnsubscribeLinks
from penguinmails_core.usage.recorder import UsageRecorder
from penguinmails_core.usage.thresholds import ThresholdWatch
from penguinmails_sender.content.check import ContentChecker
from penguinmails_sender.content.spamd import Spamd
from penguinmails_sender.mailboxes.probe import MailboxProber, reach_of
from penguinmails_webhooks.events import render
from penguinmails_webhooks.inbound.schemes import schemes

if TYPE_CHECKING:
    from penguinmails_api.observability.telemetry import Telemetry

log = logging.getLogger(__name__)

ORGANIZATIONS = 10  # that a person may own where strangers sign up


@dataclass(frozen=True, slots=True)
class Settings:
    """Every concern's settings, read from the environment unless given."""

    stack: StackSettings = field(default_factory=StackSettings)
    database: DatabaseSettings = field(default_factory=DatabaseSettings)
    redis: RedisSettings = field(default_factory=RedisSettings)
    content: ContentSettings = field(default_factory=ContentSettings)
    api: ApiSettings = field(default_factory=ApiSettings)
    sender: SenderSettings = field(default_factory=SenderSettings)
    audit: AuditSettings = field(default_factory=AuditSettings)
    auth: AuthSettings = field(default_factory=AuthSettings)
    request_log: RequestLogSettings = field(default_factory=RequestLogSettings)
    oauth: OAuthSettings = field(default_factory=OAuthSettings)
    telemetry: TelemetrySettings = field(default_factory=TelemetrySettings)
    worker: WorkerSettings = field(default_factory=WorkerSettings)
    webhooks: WebhookSettings = field(default_factory=WebhookSettings)
    inbound: InboundSettings = field(default_factory=InboundSettings)
    check: CheckSettings = field(default_factory=CheckSettings)
    tracking: TrackingSettings = field(default_factory=TrackingSettings)
    bounces: BounceSettings = field(default_factory=BounceSettings)
    mailbox: MailboxSettings = field(default_factory=MailboxSettings)
    domains: DomainsSettings = field(default_factory=DomainsSettings)


@dataclass(slots=True)
class Services:
    """What handlers may use. `redis` and `box` are None in a process that was not given them. `public` is where people
    reach us: the setting, else what the server that listens says (`serve_at`)."""

    settings: Settings
    database: Database
    redis: Redis | None
    doorbell: Doorbell
    authenticator: Authenticator
    limiter: Limiter
    limits: LimitsCache
    admission: Admission
    failures: Failures
    usage: UsageRecorder
    thresholds: ThresholdWatch
    metrics: Metrics
    draft_limits: DraftLimits
    acceptor: Acceptor
    send_caps: SendCaps
    domains: VerifiedDomains
    domain_groups: DomainGroups
    content: ContentService
    mail: SystemMail
    identity: Identity
    outgoing: OutgoingHttp
    sso: SingleSignOn
    oidc: OidcClient
    public: PublicUrl
    resolver: Resolver
    addresses: ClientAddresses
    request_log: RequestLog
    event_streams: EventStreams
    hits: HitLog
    renderer: Renderer
    content_checker: ContentChecker
    box: SecretBox | None = None
    resolvers: Mapping[str, Resolver] = field(default_factory=dict)
    telemetry: Telemetry | None = None
    inbound_handlers: Sequence[InboundHandler] = field(init=False)
    mailbox_prober: MailboxProber = field(init=False)
    oauth: OAuth = field(init=False)
    unsubscribe_links: UnsubscribeLinks | None = field(init=False, default=None)
    tracking_links: TrackingLinks | None = field(init=False, default=None)
    _schemes: dict[str, Scheme] = field(init=False)
    _receiver: Receiver | None = field(init=False, default=None)
    _lanes: Lanes | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self.inbound_handlers = handlers(self.outgoing)
        self._schemes = schemes(self.outgoing)
        if self.box is not None:
            self.unsubscribe_links = UnsubscribeLinks(self.box, lambda: self.public.base)
            self.tracking_links = TrackingLinks(self.box, lambda: self.settings.tracking.url or self.public.base)
        mailbox = self.settings.mailbox
        self.mailbox_prober = MailboxProber(
            reach_of(mailbox, self.resolver), OAuthTokens(self.outgoing, mailbox), self.settings.sender.hostname
        )
        self.oauth = OAuth(self.database, self.doorbell, self.settings.oauth, self.box, lambda: self.public)

    def serve_at(self, url: str) -> None:
        """Where the server listens, such as ``http://127.0.0.1:8025``: the public URL unless the setting names one."""
        if self.settings.stack.public_url is None:
            self.public = local_url(url)

    @property
    def dns_policy(self) -> DnsPolicy:
        """What the operator says of the DNS of sending domains."""
        return DnsPolicy.of(self.settings.sender, self.settings.domains)

    @property
    def dns_resolvers(self) -> Mapping[str, Resolver]:
        """Who is asked about sending domains, by name."""
        return self.resolvers or {"system": self.resolver}

    @property
    def webhook_sources(self) -> Sequence[str]:
        """Networks that webhooks are sent from; empty when the operator has not said."""
        return self.settings.webhooks.sources

    @property
    def lanes(self) -> Lanes:
        """How lanes look to organizations, by the same policies that the sender keeps to."""
        if self._lanes is None:
            sender = self.settings.sender
            self._lanes = Lanes(load_policies(sender.lanes_file), paced=sender.transport != "capture")
        return self._lanes

    @property
    def default_plan(self) -> str:
        """Of organizations that were given none."""
        return self.limits.default_plan

    @property
    def signup(self) -> bool:
        """May strangers sign up? If nobody said so, only where the server is one's own machine."""
        allowed = self.settings.auth.signup
        return self.public.local if allowed is None else allowed

    @property
    def organizations_per_person(self) -> int:
        """How many one person may own. Where strangers may not come by themselves, new tenants are the operator's."""
        most = self.settings.auth.organizations_per_person
        return most if most is not None else ORGANIZATIONS if self.signup else 0

    @property
    def sso_connections(self) -> SsoConnections:
        return SsoConnections(self.box, allow_private=self.settings.auth.sso_allow_private)

    @property
    def inbound_sources(self) -> InboundSources:
        """Raises `Unavailable` on a server that cannot seal secrets."""
        return InboundSources(self._require_box(), self._schemes, self.inbound_handlers, lambda: self.public.base)

    @property
    def mailboxes(self) -> Mailboxes:
        """Raises `Unavailable` on a server that cannot seal secrets."""
        return Mailboxes(self._require_box(), allow_private=self.settings.mailbox.allow_private)

    @property
    def receiver(self) -> Receiver:
        """Of others' webhooks. Raises `Unavailable` on a server that cannot open secrets."""
        if self._receiver is None:
            self._receiver = Receiver(self.database, self._require_box(), self._schemes, self.inbound_handlers)
        return self._receiver

    def _require_box(self) -> SecretBox:
        if self.box is None:
            raise Unavailable("This server cannot seal secrets: its operator must set PENGUINMAILS_SECRET_KEYS.")
        return self.box

    def require_protocol(self, protocol: str) -> None:
        """Raises `Unavailable` for SAML on a server without its libraries."""
        if protocol == "saml":
            saml.require()

    async def examine_connection(self, row: SsoConnection, outside: int = 0) -> list[examine.Finding]:
        """What can be seen of a connection without a person who signs in; `outside`: provisioned users who are no
        members."""
        return await examine.examine(self.oidc, row, outside)

    def source_of(self, bearer: str | None) -> CredentialSource:
        """Who knows this kind of credential. Access tokens are JWTs, whose header begins so in base64url."""
        if bearer is not None and bearer.startswith("eyJ"):
            return self.oauth.tokens
        return self.authenticator

    async def close(self) -> None:
        """Answers what was accepted, then closes connections."""
        await self.event_streams.stop()
        await self.renderer.close()
        await self.identity.close()
        await self.outgoing.close()
        await self.acceptor.drain()
        await self.request_log.stop()
        await self.limiter.stop()
        await self.limits.stop()
        await self.domain_groups.stop()
        await self.usage.stop()
        await self.hits.stop()
        await self.thresholds.stop()
        await self.authenticator.stop()
        await self.oauth.stop()
        await self.doorbell.stop()
        await self.content.close()
        if self.redis is not None:
            with suppress(RedisError, OSError):
                await self.redis.aclose()
        await self.database.close()
        if self.telemetry is not None:
            await self.telemetry.stop()


async def open_services(
    database_url: str,
    redis_url: str | None = None,
    settings: Settings | None = None,
    *,
    box: SecretBox | None = None,
    resolver: Resolver | None = None,
    resolvers: Mapping[str, Resolver] | None = None,
) -> Services:
    """Connects. `box` seals and opens secrets at rest; `resolver` is where domains are looked up, the system's DNS
    unless given; `resolvers` are asked about sending domains instead of it, by default those of the settings.

    Raises what asyncpg raises when the database cannot be reached; Redis may be away.
    """
    settings = settings or Settings()
    database = await Database.open(
        database_url,
        pool_size=settings.database.pool_size,
        ingest_connections=settings.database.ingest_connections,
        worker_connections=settings.database.worker_connections,
        info={DEFAULT_PLAN: settings.api.default_plan},
    )
    try:
        content = await ContentService.open(database, settings.content)
    except BaseException:
        await database.close()
        raise
    redis = Redis.from_url(redis_url) if redis_url else None
    doorbell = Doorbell(redis)
    await doorbell.start()
    authenticator = Authenticator(database.ingest, doorbell)
    await authenticator.start()
    limiter = Limiter(redis)
    limits = LimitsCache(database, doorbell, default_plan=settings.api.default_plan)
    await limits.start()
    domain_groups = DomainGroups(database.ingest)
    await domain_groups.start()
    usage = UsageRecorder(database.ingest)
    await usage.start()
    addresses = ClientAddresses(settings.api.trusted_proxies)
    request_log = RequestLog(database_url, addresses, settings.request_log)
    await request_log.start()
    thresholds = ThresholdWatch(database, doorbell, default_plan=settings.api.default_plan)
    await thresholds.start()
    event_streams = EventStreams(database, doorbell, render)
    await event_streams.start()
    hits = HitLog(database.worker)
    await hits.start()
    acceptor = Acceptor(database.ingest, content, on_accepted=lambda: doorbell.ring(MAIL, EVENTS))
    mail = SystemMail(acceptor, draft_limits(settings), settings.stack.system_mail_from)
    identity = Identity(database, redis, settings.auth, box, mail)
    outgoing = OutgoingHttp(
        allow_private=settings.auth.sso_allow_private, timeout=10, max_response=1024 * 1024, resolver=resolver
    )
    renderer = Renderer()
    spamd = Spamd(settings.check.spamd_url) if settings.check.spamd_url else None
    services = Services(
        settings=settings,
        database=database,
        redis=redis,
        doorbell=doorbell,
        authenticator=authenticator,
        limiter=limiter,
        limits=limits,
        admission=Admission(limiter, limits, settings.api, thresholds.hint),
        failures=Failures(),
        usage=usage,
        thresholds=thresholds,
        metrics=Metrics(),
        draft_limits=draft_limits(settings),
        acceptor=acceptor,
        send_caps=SendCaps(database.ingest, acceptor),
        content=content,
        domains=VerifiedDomains(database.ingest),
        domain_groups=domain_groups,
        mail=mail,
        identity=identity,
        outgoing=outgoing,
        sso=SingleSignOn(database, identity),
        oidc=OidcClient(outgoing),
        public=public_url_of(settings),
        resolver=resolver or SystemResolver(),
        resolvers=resolvers if resolvers is not None else {} if resolver else named_resolvers(settings.domains),
        addresses=addresses,
        request_log=request_log,
        event_streams=event_streams,
        hits=hits,
        renderer=renderer,
        content_checker=ContentChecker(renderer, resolver or SystemResolver(), spamd, settings.check.uri_blocklists),
        box=box,
    )
    await services.oauth.start()
    services.metrics.registry.register(Readings(api_readings(services)))
    services.telemetry = open_telemetry(settings, "api", services.metrics.registry)
    return services


def open_telemetry(settings: Settings, service: str, registry: CollectorRegistry) -> Telemetry | None:
    """None when it is off: then nothing of it is even imported. Raises `ConfigError` without its libraries."""
    if not settings.telemetry.enabled:
        return None
    from penguinmails_api.observability.telemetry import Telemetry

    telemetry = Telemetry(settings.telemetry, service)
    telemetry.bridge(registry)
    return telemetry


def draft_limits(settings: Settings) -> DraftLimits:
    """What a message may be and how long it lives, from the settings of three concerns."""
    content = settings.content
    retention = {"transactional": content.retention_transactional, "campaign": content.retention_campaign}
    return DraftLimits(settings.api.max_message_bytes, settings.sender.horizon, retention)


def public_url_of(settings: Settings) -> PublicUrl:
    """Where people reach us: the setting, else this machine."""
    public_url = settings.stack.public_url
    return PublicUrl.of(public_url) if public_url else local_url(f"http://localhost:{settings.api.port}")


def local_url(url: str) -> PublicUrl:
    """``http://127.0.0.1:8025`` as people write it: passkeys take `localhost`, but no IP address."""
    public = PublicUrl.of(url)
    if not public.local:
        return public
    port = urlsplit(public.base).port
    return PublicUrl.of(f"http://localhost:{port}" if port else "http://localhost")


async def ping_redis(redis: Redis) -> bool:
    try:
        async with asyncio.timeout(1):
            await redis.ping()
    except (RedisError, OSError, TimeoutError):
        return False
    return True
