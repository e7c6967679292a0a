"""What can be asked of whoever serves a zone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from penguinmails_core.domains.changes import Change, Existing


class DnsHostError(Exception):
    """The DNS host was not reached, or refused. The text is for the owner of the zone and holds no secret."""


class ZoneChanged(DnsHostError):
    """The zone is not what was read any more; nothing was changed."""


class DnsHost(Protocol):
    """Both raise `DnsHostError`. A secret is held for as long as the request takes and never kept."""

    async def read(self, names: Sequence[str]) -> list[Existing]:
        """Every TXT, CNAME, MX, A and AAAA record at these names."""
        ...

    async def write(self, changes: Sequence[Change]) -> None:
        """Creations and updates; raises `ZoneChanged` where the host can tell that the zone was changed meanwhile."""
        ...
