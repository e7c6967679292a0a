"""The worker process: sender, webhook engine and housekeeping on one event loop."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from contextlib import AsyncExitStack
from datetime import timedelta

import asyncpg
from redis.asyncio import Redis

from penguinmails_api.inbound.handlers import handlers
from penguinmails_api.observability.worker_metrics import MetricsServer, worker_registry
from penguinmails_api.runtime.direct import open_direct
from penguinmails_api.services import Settings, draft_limits, open_telemetry, public_url_of
from penguinmails_core.config import ConfigError, SenderSettings
from penguinmails_core.content.collector import collect
from penguinmails_core.content.service import ContentService
from penguinmails_core.domains.looking import named_resolvers
from penguinmails_core.domains.policy import DnsPolicy
from penguinmails_core.domains.watch import DomainWatch
from penguinmails_core.emails.accept import Acceptor
from penguinmails_core.errors import Unavailable
from penguinmails_core.inbound.worker import InboundWorker
from penguinmails_core.kit.crypto import SecretBox
from penguinmails_core.kit.db import Database
from penguinmails_core.kit.dns import Resolver, SystemResolver
from penguinmails_core.kit.doorbell import EVENTS, MAIL, Doorbell
from penguinmails_core.kit.http import OutgoingHttp
from penguinmails_core.kit.tasks import end
from penguinmails_core.lanes.domains import DomainGroups, recheck
from penguinmails_core.lanes.policies import PolicyError
from penguinmails_core.limits.reputation import Reputation
from penguinmails_core.mailboxes.oauth import OAuthTokens
from penguinmails_core.mailboxes.tokens import MailboxTokens
from penguinmails_core.maintenance.service import Maintenance
from penguinmails_core.system_mail.service import SystemMail
from penguinmails_core.tracking.judge import HitJudge
from penguinmails_core.tracking.links import TrackingLinks
from penguinmails_core.unsubscribes.links import UnsubscribeLinks
from penguinmails_sender.engine.engine import SenderEngine
from penguinmails_sender.engine.personal import Personalizer
from penguinmails_sender.intake.door import open_door
from penguinmails_sender.intake.intake import BounceIntake
from penguinmails_sender.intake.verp import Verp
from penguinmails_sender.mailboxes.probe import reach_of
from penguinmails_sender.mailboxes.sending import MailboxSender
from penguinmails_sender.mailboxes.wire import Reach
from penguinmails_sender.replies.worker import InboxReader
from penguinmails_sender.smtpd.server import SmtpServer
from penguinmails_sender.transports import NullMxGuard, SimulatedTransport, SmtpTransport, Transport
from penguinmails_webhooks.engine import WebhookEngine
from penguinmails_webhooks.owner_mail import OwnerMail
from penguinmails_webhooks.replays import Replays

log = logging.getLogger(__name__)

_COLLECT_EVERY = timedelta(hours=1)
_RECHECK_EVERY = timedelta(minutes=1)


def worker_name() -> str:
    return f"{socket.gethostname()}:{os.getpid()}"


def open_transport(settings: SenderSettings) -> Transport:
    """The transport of live mail. Raises `ConfigError` when it has nowhere to go."""
    if settings.transport == "direct":
        return open_direct(settings, SystemResolver())
    if not settings.port:
        raise ConfigError(
            "set PENGUINMAILS_SENDER_HOST and PENGUINMAILS_SENDER_PORT: the SMTP server that live mail goes to "
            "(`penguinmails run` has an inbox of its own)"
        )
    password = settings.password.get_secret_value() if settings.password else None
    transport = SmtpTransport(
        settings.host,
        settings.port,
        username=settings.username,
        password=password,
        tls=settings.tls,
        hostname=settings.hostname,
        source_address=settings.source_address,
        max_connections=settings.connections,
        final=settings.transport == "capture",
    )
    # What the local inbox captures never leaves, so the names of its recipients are nobody's business.
    if settings.transport == "smarthost" and settings.check_null_mx:
        return NullMxGuard(transport, SystemResolver())
    return transport


def require_public_url(settings: Settings) -> None:
    """Raises `ConfigError` where mail leaves the machine and nobody said where its unsubscribe links should lead: mail
    whose links lead nowhere cannot be called back."""
    if settings.sender.transport != "capture" and settings.stack.public_url is None:
        raise ConfigError(
            "set PENGUINMAILS_PUBLIC_URL: unsubscribe links in mail lead there, such as https://mail.example.com"
        )


def open_reports(database: Database, doorbell: Doorbell, box: SecretBox, settings: Settings) -> SmtpServer:
    """The door for bounces and complaints, not yet listening."""
    verp = Verp(box, settings.sender.return_path)
    intake = BounceIntake(database.worker, verp, lambda: doorbell.ring(EVENTS))
    return open_door(settings.bounces, intake, verp.domain)


class Worker:
    """`async with Worker(...)` works until it is left; leaving finishes what is claimed."""

    def __init__(self, database_url: str, redis_url: str | None, box: SecretBox, settings: Settings) -> None:
        self._database_url = database_url
        self._redis_url = redis_url
        self._box = box
        self._settings = settings
        self._stack = AsyncExitStack()
        self.metrics: MetricsServer | None = None
        self.reports: SmtpServer | None = None

    async def __aenter__(self) -> Worker:
        settings = self._settings
        stack = self._stack
        require_public_url(settings)
        database = await Database.open(
            self._database_url,
            pool_size=1,
            ingest_connections=1,
            worker_connections=settings.database.worker_connections,
        )
        stack.push_async_callback(database.close)
        redis = Redis.from_url(self._redis_url) if self._redis_url else None
        if redis is not None:
            stack.push_async_callback(redis.aclose)
        doorbell = Doorbell(redis)
        await doorbell.start()
        stack.push_async_callback(doorbell.stop)
        content = await ContentService.open(database, settings.content)
        stack.push_async_callback(content.close)
        transports: dict[str, Transport] = {"live": open_transport(settings.sender), "test": SimulatedTransport()}
        for transport in transports.values():
            stack.push_async_callback(transport.aclose)
        public = public_url_of(settings)
        links = UnsubscribeLinks(self._box, lambda: public.base)
        tracking = TrackingLinks(self._box, lambda: settings.tracking.url or public.base)
        personal = Personalizer(links, tracking, one_click=public.secure or public.local)
        groups = DomainGroups(database.worker)
        await groups.start()
        stack.push_async_callback(groups.stop)
        sender = self._open_sender(database, content, transports, doorbell, personal)
        webhooks = WebhookEngine(database, self._box, doorbell, settings.webhooks)
        acceptor = Acceptor(database.ingest, content, on_accepted=lambda: doorbell.ring(MAIL, EVENTS))
        mail = SystemMail(acceptor, draft_limits(settings), settings.stack.system_mail_from)
        owner_mail = OwnerMail(database.worker, mail, settings.webhooks.probe_for.days)
        maintenance = Maintenance(
            database, settings.audit, settings.request_log, settings.inbound, settings.tracking, settings.bounces
        )
        http = OutgoingHttp(allow_private=False)  # for what others ask us to call
        stack.push_async_callback(http.close)
        inbound = InboundWorker(database, doorbell, settings.inbound, handlers(http))
        await self._observe(sender, webhooks)
        for name, engine in (("sender", sender), ("webhooks", webhooks), ("inbound", inbound)):
            self._supervise(name, engine.run(), engine.stop)
        reader = InboxReader(*self._reading(database), doorbell, worker_name())
        self._supervise("inbox", reader.run(), None)
        self._supervise("webhook mail", owner_mail.run(), None)
        self._supervise("tracking", HitJudge(database, doorbell).run(), None)
        self._supervise("replays", Replays(database, doorbell).run(), None)
        self._supervise("maintenance", maintenance.run(), None)
        if settings.sender.transport != "capture":  # what never leaves need not be in anybody's DNS
            resolvers = named_resolvers(settings.domains) or {"system": SystemResolver()}
            policy = DnsPolicy.of(settings.sender, settings.domains)
            self._supervise("domains", DomainWatch(database, doorbell, resolvers, policy).run(), None)
        self._supervise("reputation", Reputation(database, doorbell).run(), None)
        self._supervise("collector", _collect_for_ever(database, content), None)
        if settings.bounces.port is not None:
            door = open_reports(database, doorbell, self._box, settings)
            self.reports = await stack.enter_async_context(door)
            log.info("reports come in at %s:%d", door.host, door.port)
        return self

    def _open_sender(
        self,
        database: Database,
        content: ContentService,
        transports: dict[str, Transport],
        doorbell: Doorbell,
        personal: Personalizer,
    ) -> SenderEngine:
        settings = self._settings.sender
        # What the local inbox captures never leaves, so the names of its recipients are nobody's business.
        resolver = None if settings.transport == "capture" else SystemResolver()
        if resolver is not None:
            self._supervise("recipient domains", _recheck_for_ever(database, resolver), None)
        try:
            return SenderEngine(
                database,
                content,
                transports,
                self._box,
                doorbell,
                settings,
                worker_name(),
                resolver=resolver,
                personal=personal,
                mailboxes=self._open_mailboxes(database),
            )
        except (PolicyError, OSError) as error:
            raise ConfigError(f"PENGUINMAILS_SENDER_LANES_FILE: {error}") from None

    def _open_mailboxes(self, database: Database) -> MailboxSender:
        return MailboxSender(*self._reading(database), self._settings.sender.hostname)

    def _reading(self, database: Database) -> tuple[Database, SecretBox, MailboxTokens, Reach]:
        """What signing in to mailboxes needs."""
        settings = self._settings.mailbox
        http = OutgoingHttp(allow_private=settings.allow_private)  # token endpoints
        self._stack.push_async_callback(http.close)
        tokens = MailboxTokens(database.worker, self._box, OAuthTokens(http, settings))
        return database, self._box, tokens, reach_of(settings, SystemResolver())

    async def _observe(self, sender: SenderEngine, webhooks: WebhookEngine) -> None:
        """Metrics for those who asked for them."""
        registry = worker_registry(sender, webhooks)
        if self._settings.worker.metrics_port is not None:
            self.metrics = MetricsServer(registry, self._settings.worker)
            await self.metrics.start()
            self._stack.push_async_callback(self.metrics.stop)
        telemetry = open_telemetry(self._settings, "worker", registry)
        if telemetry is not None:
            self._stack.push_async_callback(telemetry.stop)

    def _supervise(self, name: str, work: object, stop: object) -> None:
        task = asyncio.ensure_future(work)  # type: ignore[call-overload]
        task.set_name(name)

        async def finish() -> None:
            if stop is not None:
                await stop()  # type: ignore[operator]
            await end(task)

        self._stack.push_async_callback(finish)

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()


async def _recheck_for_ever(database: Database, resolver: Resolver) -> None:
    while True:
        await asyncio.sleep(_RECHECK_EVERY.total_seconds())
        try:
            asked = await recheck(database.worker, resolver)
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            log.warning("recipient domains: skipped a round (%s)", type(error).__name__)
        else:
            log.debug("recipient domains: asked %d again", asked)


async def _collect_for_ever(database: Database, content: ContentService) -> None:
    while True:
        await asyncio.sleep(_COLLECT_EVERY.total_seconds())
        try:
            done = await collect(database, content)
        except (Unavailable, OSError) as error:
            log.warning("collector: skipped a round (%s)", type(error).__name__)
        else:
            log.info("collector: %d bodies expired, %d blobs removed", done.expired, done.blobs)
