"""SQL of what the owners of endpoints are told."""

from __future__ import annotations

from typing import Any

from penguinmails_core.kit.db import Connection

_TAKE = """
with waiting as materialized (
  select organization_id, id, notice from webhook_endpoints where notice is not null limit 10 for update skip locked
), taken as (
  update webhook_endpoints e set notice = null
  from waiting w where e.organization_id = w.organization_id and e.id = w.id
  returning e.organization_id, e.id as endpoint_id, e.url, e.mode, e.disabled_reason, e.failing_since, w.notice
)
select t.*, o.name as organization, array(
    select u.email from members m join users u on u.id = m.user_id
    where m.organization_id = t.organization_id and m.role = 'owner' order by m.created_at) as owners
from taken t join organizations o on o.id = t.organization_id"""


async def take(connection: Connection) -> list[Any]:
    """Up to ten endpoints whose owners have not been told yet, each with what to tell and the owners' addresses. They
    count as told when the transaction ends."""
    return list(await connection.fetch(_TAKE))
