"""What a caller has to give, and the rule that nobody hands out more than that."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from penguinmails_core.api_keys import repository
from penguinmails_core.api_keys.grants import Excess, Grant, effective, exceeded
from penguinmails_core.errors import FieldError, Forbidden, GrantExceeded, NotAMember, Unauthenticated
from penguinmails_core.kit.clock import utcnow
from penguinmails_core.members import repository as members
from penguinmails_core.members.service import standing_scopes
from penguinmails_core.models import ApiKey
from penguinmails_core.principal import Principal, PrincipalKind
from penguinmails_core.scopes import Scope


def status_of(key: ApiKey, now: datetime | None = None) -> str:
    """active, expired or revoked."""
    if key.revoked_at is not None:
        return "revoked"
    return "expired" if key.expires_at is not None and key.expires_at <= (now or utcnow()) else "active"


async def own(session: AsyncSession, principal: Principal) -> tuple[Grant, frozenset[UUID]]:
    """What the caller has to give at this moment, and the keys whose daily caps it counts for. A person has the scopes
    of their role, which may have shrunk since the request was let in. Raises `Unauthenticated`, `NotAMember`."""
    if principal.kind is not PrincipalKind.API_KEY:
        scopes = await _scopes_now(session, principal) if principal.user_id is not None else principal.scopes
        return Grant(scopes=scopes, workspace_id=principal.workspace_id), frozenset()
    chain = await repository.line_of(session, principal.organization_id, principal.id)
    grant = effective(chain) if chain else None
    if grant is None or any(status_of(key) != "active" for key in chain):
        raise Unauthenticated("This API key ended a moment ago.")
    return grant, frozenset(key.id for key in chain if key.max_sends_per_day is not None)


async def _scopes_now(session: AsyncSession, principal: Principal) -> frozenset[str]:
    assert principal.user_id is not None
    standing = await members.standing_of(session, principal.organization_id, principal.user_id)
    if standing is None:
        raise NotAMember("You do not belong to this organization any more.")
    return principal.scopes & await standing_scopes(session, standing, principal.workspace_id)


def refuse_apps(principal: Principal) -> None:
    """Revoking an app must take back all it got; a key would outlive its grant."""
    if principal.kind is PrincipalKind.OAUTH:
        raise Forbidden("An OAuth app cannot make keys or widen them: they would outlive what was granted to it.")


def limits(grant: Grant) -> dict[str, Any]:
    """The limits of a grant as columns."""
    return {
        "allowed_ips": None if grant.networks is None else [str(network) for network in grant.networks],
        "allowed_mailboxes": None if grant.mailboxes is None else sorted(grant.mailboxes),
        "allowed_domains": None if grant.domains is None else sorted(grant.domains),
        "max_sends_per_day": grant.max_sends_per_day,
        "expires_at": grant.expires_at,
    }


def check_excess(excess: Sequence[Excess]) -> None:
    if excess:
        raise exceeded(excess)


def check_budget(own: Grant, capped: frozenset[UUID], grant: Grant, chain: Sequence[ApiKey]) -> None:
    """A key with a daily cap that could make keys with caps of their own would have no cap. What is derived from it
    counts for it, so that is the way. `chain` is the line that the key stands in."""
    if capped <= {key.id for key in chain} or Scope.EMAILS_WRITE not in grant.scopes:
        return
    detail = "A key with a daily cap gives the right to send only to keys derived from itself: they share the cap."
    problem = exceeded([Excess("max_sends_per_day", grant.max_sends_per_day, own.max_sends_per_day)])
    raise GrantExceeded(detail, errors=[FieldError("/max_sends_per_day", "exceeds_grant", detail)], extra=problem.extra)
