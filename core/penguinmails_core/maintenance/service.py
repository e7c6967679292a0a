"""Housekeeping of the worker: partitions made ahead and dropped after their time, old keys and deliveries forgotten,
API keys that are about to end told of."""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta

from penguinmails_core.api_keys.notices import forget_ended, notice_expiring
from penguinmails_core.audit.service import drop_old
from penguinmails_core.bounces.repository import forget_refused
from penguinmails_core.config import (
    AuditSettings,
    BounceSettings,
    InboundSettings,
    RequestLogSettings,
    TrackingSettings,
)
from penguinmails_core.domains.reports.repository import forget as forget_reports
from penguinmails_core.events.repository import DEFAULT_DAYS
from penguinmails_core.idempotency.service import sweep
from penguinmails_core.identity.repository import sweep as sweep_identity
from penguinmails_core.inbound.repository import forget_messages
from penguinmails_core.invitations.repository import forget as forget_invitations
from penguinmails_core.kit.db import FAILED, Database, Pool
from penguinmails_core.maintenance import repository
from penguinmails_core.oauth.sweep_repository import sweep as sweep_oauth
from penguinmails_core.request_logs import repository as request_logs
from penguinmails_core.sso.flow_repository import sweep as sweep_sso
from penguinmails_core.suppressions.repository import forget as forget_suppressions
from penguinmails_core.tracking.repository import forget_hits
from penguinmails_core.webhook_portal.repository import forget as forget_portal_links

log = logging.getLogger(__name__)

EVERY = timedelta(hours=1)
DAYS_AHEAD = 7
KEEP_EVENTS = timedelta(days=DEFAULT_DAYS)  # unless an organization says otherwise
KEEP_REPLAYS = timedelta(days=90)  # after their end
KEEP_INVITATIONS = timedelta(days=90)
KEEP_PORTAL_LINKS = timedelta(days=30)  # after their end
KEEP_REPORTS = timedelta(days=400)
KEEP_SUPPRESSIONS = timedelta(days=400)  # after their end
_BITE = 10_000
_SIP = 1000


class Maintenance:
    """`run_once` is safe in several processes at once. Settings are read from the environment unless given."""

    def __init__(
        self,
        database: Database,
        audit: AuditSettings | None = None,
        request_log: RequestLogSettings | None = None,
        inbound: InboundSettings | None = None,
        tracking: TrackingSettings | None = None,
        bounces: BounceSettings | None = None,
    ) -> None:
        self._database = database
        self._audit = audit or AuditSettings()
        self._request_log = request_log or RequestLogSettings()
        self._inbound = inbound or InboundSettings()
        self._tracking = tracking or TrackingSettings()
        self._bounces = bounces or BounceSettings()

    async def run(self) -> None:
        """At once and every hour, until cancelled; a round that fails is tried again with the next: the default
        partition takes what has no other."""
        while True:
            try:
                await self.run_once()
            except FAILED as error:
                log.warning("maintenance: skipped a round (%s)", type(error).__name__)
            await asyncio.sleep(EVERY.total_seconds())

    async def run_once(self) -> None:
        pool = self._database.worker
        await repository.ensure_partitions(pool, DAYS_AHEAD)
        await self._forget_events(pool)
        await request_logs.ensure_partitions(pool, DAYS_AHEAD)
        await request_logs.drop_partitions(pool, self._request_log.retention)
        await drop_old(pool, self._audit.retention, bite=_BITE)
        while await sweep(pool, limit=_BITE) >= _BITE:
            pass
        await sweep_identity(pool)
        await sweep_sso(pool)
        await sweep_oauth(pool)
        while await repository.forget_deliveries(pool, _BITE) >= _BITE:
            pass
        while await repository.forget_replays(pool, KEEP_REPLAYS, _SIP) >= _SIP:
            pass
        while await notice_expiring(pool, limit=_SIP) >= _SIP:
            pass
        while await forget_invitations(pool, KEEP_INVITATIONS, _SIP) >= _SIP:
            pass
        while await forget_messages(pool, self._inbound.retention, _SIP) >= _SIP:
            pass
        while await forget_hits(pool, self._tracking.retention, _BITE) >= _BITE:
            pass
        await forget_refused(pool, self._bounces.keep_refused, _BITE)
        while await forget_suppressions(pool, KEEP_SUPPRESSIONS, _SIP) >= _SIP:
            pass
        while await forget_reports(pool, KEEP_REPORTS, _SIP) >= _SIP:
            pass
        while await forget_portal_links(pool, KEEP_PORTAL_LINKS, _SIP) >= _SIP:
            pass
        while await forget_ended(pool, limit=_SIP) >= _SIP:
            pass

    async def _forget_events(self, pool: Pool) -> None:
        """Days go as a whole when nobody keeps them any more; of what others keep longer, rows go."""
        longest = await repository.longest_retention(pool, KEEP_EVENTS)
        await repository.drop_partitions(pool, longest)
        for organization_id, keep in await repository.shorter_retentions(pool, longest):
            while await repository.forget_events(pool, organization_id, keep, _BITE) >= _BITE:
                pass
