"""The worker's part: looks at the DNS of every domain again and again, so that a record that is lost is told of before
mail is."""

from __future__ import annotations

import asyncio
import logging
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy.exc import SQLAlchemyError

from penguinmails_core.audit.actor import Actor
from penguinmails_core.domains import findings, manage, manage_repository
from penguinmails_core.domains.looking import Resolvers, look
from penguinmails_core.domains.policy import DnsPolicy
from penguinmails_core.errors import Conflict
from penguinmails_core.kit.clock import utcnow
from penguinmails_core.kit.db import FAILED, Database
from penguinmails_core.kit.doorbell import EVENTS, Doorbell

log = logging.getLogger(__name__)

EVERY = timedelta(minutes=1)
_BITE = 20  # domains looked at side by side


class DomainWatch:
    """`run_once` is safe in several processes at once: a domain that is claimed is due again only a while later."""

    def __init__(self, database: Database, doorbell: Doorbell, resolvers: Resolvers, policy: DnsPolicy) -> None:
        self._database = database
        self._doorbell = doorbell
        self._resolvers = resolvers
        self._policy = policy

    async def run(self) -> None:
        while True:
            try:
                while await self.run_once(utcnow()) >= _BITE:
                    pass
            except (*FAILED, SQLAlchemyError) as error:
                log.warning("domains: skipped a round (%s)", type(error).__name__)
            await asyncio.sleep(EVERY.total_seconds())

    async def run_once(self, now: datetime) -> int:
        """Looks at those that are due; returns how many there were, at most one bite."""
        due = await manage_repository.claim_due(self._database.worker, now, now + manage.SOON, _BITE)
        for organization_id, domain_id in due:
            await self._look(organization_id, domain_id, now)
        if due:
            self._doorbell.ring(EVENTS)
        return len(due)

    async def _look(self, organization_id: UUID, domain_id: UUID, now: datetime) -> None:
        async with self._database.tenant(organization_id) as session:
            domain = await manage.load(session, organization_id, domain_id, self._policy)
        if domain is None:
            return
        observed = await look(self._resolvers, domain.records, now)  # no transaction is open meanwhile
        who = Actor.system(organization_id, "domain watch")
        try:
            async with self._database.tenant(organization_id) as session:
                domain = await manage.load(session, organization_id, domain_id, self._policy, lock=True)
                if domain is not None:
                    await findings.conclude(session, who, domain, observed, self._policy, now)
        except Conflict:
            log.info("domains: another organization has a domain verified that this one added too")
