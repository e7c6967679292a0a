"""The request log, as its organization reads it."""

from __future__ import annotations

import ipaddress
from functools import lru_cache
from typing import Literal
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from penguinmails_core.errors import NotFound
from penguinmails_core.kit.pages import cut
from penguinmails_core.models import RequestLog
from penguinmails_core.principal import Principal
from penguinmails_core.request_logs import repository
from penguinmails_core.request_logs.repository import Filter


async def list_logs(
    session: AsyncSession,
    principal: Principal,
    wanted: Filter,
    *,
    limit: int,
    after: UUID | None = None,
    before: UUID | None = None,
) -> tuple[list[RequestLog], bool]:
    """A page, the newest first, and whether there is more in the direction of travel."""
    found = await repository.list_logs(session, principal, wanted, limit=limit + 1, after=after, before=before)
    return cut(found, limit, backwards=before is not None)


async def get_log(session: AsyncSession, principal: Principal, request_id: UUID) -> RequestLog:
    """Raises `NotFound`."""
    row = await repository.get(session, principal, request_id)
    if row is None:
        raise NotFound("There is no such request in the log. It keeps requests for a while, and not those of others.")
    return row


@lru_cache(maxsize=10_000)  # once for every request; reading an address costs as much as drafting a message
def shown_address(address: str, how: Literal["masked", "full", "off"]) -> str | None:
    """``masked`` keeps the network: 24 bits of an IPv4 address, 48 of an IPv6 one."""
    if how == "off" or not address:
        return None
    if how == "full":
        return address
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return None
    ip = getattr(ip, "ipv4_mapped", None) or ip
    return str(ipaddress.ip_network((ip, 24 if ip.version == 4 else 48), strict=False).network_address)
