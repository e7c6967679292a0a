"""Housekeeping of the OAuth server, as `worker`: what can never count again goes."""

from __future__ import annotations

from penguinmails_core.kit.db import Pool
from penguinmails_core.models import NOBODY

# A day longer than they are good, so that a replay is told from an unknown code.
_ENDED = tuple(
    f"delete from {table} where expires_at < now() - interval '1 day'"
    for table in ("oauth_codes", "oauth_devices", "oauth_pushed_requests", "oauth_interactions")
) + tuple(
    f"delete from {table} where expires_at < now()"
    for table in ("oauth_refresh_tokens", "oauth_revoked_tokens", "oauth_proofs")
)

# Grants: revoked or unused for 90 days, and those whose code nobody ever fetched.
_GRANTS = """
delete from oauth_grants g
where g.revoked_at < now() - interval '90 days'
  or (g.activated_at is null and g.created_at < now() - interval '1 day')
  or (g.last_used_at < now() - interval '90 days' and not exists (
    select from oauth_refresh_tokens r where (r.organization_id, r.grant_id) = (g.organization_id, g.id)))"""

_UNUSED_APPS = """
with gone as (
  delete from oauth_apps a
  where a.organization_id = $1 and coalesce(a.last_used_at, a.created_at) < now() - interval '30 days'
    and not exists (
      select from oauth_grants g join oauth_refresh_tokens r
        on (r.organization_id, r.grant_id) = (g.organization_id, g.id)
      where g.app_id = a.id and g.revoked_at is null)
  returning a.id
)
delete from oauth_approvals p using gone where p.id = gone.id"""


async def sweep(pool: Pool) -> None:
    """Safe in several processes at once."""
    for statement in _ENDED:
        await pool.execute(statement)
    await pool.execute(_GRANTS)
    await pool.execute(_UNUSED_APPS, NOBODY)
