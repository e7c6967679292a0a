"""Mail to domains that nobody has mailed yet: looked up while it waits, then moved to the lane of its provider."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from penguinmails_core.kit.db import Pool
from penguinmails_core.kit.dns import Resolver
from penguinmails_core.lanes.domains import look_up_all, remember
from penguinmails_core.sending import claim_repository

log = logging.getLogger(__name__)


class Sorter:
    """Claims leave rows of unknown domains where they are for five seconds; `sort` makes them due at once, in their
    lane. If it does not come to that, they are claimed again and nothing is lost."""

    def __init__(self, pool: Pool, resolver: Resolver) -> None:
        self._pool = pool
        self._resolver = resolver

    async def sort(self, rows: Sequence[Any]) -> None:
        """Rows with the verdict ``unsorted``."""
        domains = {row["address"].rpartition("@")[2].lower() for row in rows}
        found = await look_up_all(self._resolver, sorted(domains))
        await remember(self._pool, found)
        groups = {item.domain: item.group for item in found}
        moved = [(row["organization_id"], row["id"], groups[row["address"].rpartition("@")[2].lower()]) for row in rows]
        await claim_repository.move(self._pool, sorted(moved))
        log.debug("lanes: sorted %d recipients of %d domains", len(rows), len(domains))
