"""Links with which an organization's customer manages their own webhook endpoints, and what a link lets its visitor do.

A link never does more than the credential that made it can do at this moment: that is read again with every visit.
Works in the caller's transaction, so that an Idempotency-Key is stored with the work.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256
from typing import Any
from uuid import UUID

from sqlalchemy import func
from sqlalchemy.ext.asyncio import AsyncSession

from penguinmails_core.api_keys import authority
from penguinmails_core.api_keys import repository as api_keys
from penguinmails_core.audit import service as audit
from penguinmails_core.audit.actor import Resource
from penguinmails_core.errors import (
    Conflict,
    FieldError,
    Forbidden,
    NotAMember,
    NotFound,
    PortalLinkEnded,
    Unauthenticated,
    Unprocessable,
)
from penguinmails_core.kit.clock import utcnow
from penguinmails_core.kit.db import Pool
from penguinmails_core.kit.ids import Prefix, new_uuid
from penguinmails_core.kit.pages import cut
from penguinmails_core.models import WebhookPortalLink
from penguinmails_core.principal import Principal, PrincipalKind
from penguinmails_core.scopes import Scope
from penguinmails_core.webhook_endpoints.consumers import check_consumer, refuse_bad_consumer
from penguinmails_core.webhook_portal import checks, repository

TOKEN_PREFIX = "whpl_"  # noqa: S105  (a prefix)
MIN_LIFE, MAX_LIFE = timedelta(minutes=1), timedelta(days=7)
DEFAULT_LIFE = timedelta(hours=1)
DEFAULT_EVENTS = ("email.*",)  # not all: keys and quotas of the organization are no business of its customers
MAX_LINKS = 10_000  # active ones of an organization
_READ, _WRITE = Scope.WEBHOOK_ENDPOINTS_READ, Scope.WEBHOOK_ENDPOINTS_WRITE
_AUDITED = ("consumer", "events", "read_only", "theme", "return_url", "frame_ancestors", "expires_at", "mode")

CheckEvents = Callable[[Sequence[str]], tuple[list[str], Sequence[FieldError]]]


@dataclass(frozen=True, slots=True)
class Visit:
    """Somebody with a link: what it says, and as whom they act."""

    link: WebhookPortalLink
    principal: Principal

    @property
    def may_write(self) -> bool:
        return _WRITE in self.principal.scopes


async def create(
    session: AsyncSession, principal: Principal, values: Mapping[str, Any], check_events: CheckEvents
) -> tuple[WebhookPortalLink, str]:
    """The link and its token, which is not available again.

    `values`: consumer; workspace_id (the caller's own when bound to one), events, expires_in (seconds), read_only,
    theme, return_url, frame_ancestors. A link ends no later than the key that makes it. Raises `Unprocessable` naming
    fields, `NotFound` for a foreign workspace, `Forbidden` for OAuth apps, `Conflict` at 10,000 active links.
    """
    if principal.kind is PrincipalKind.OAUTH:
        raise Forbidden("An OAuth app cannot make links into the portal: they would outlive what was granted to it.")
    columns = _check(values, check_events)
    own, _ = await authority.own(session, principal)
    workspace_id = await _workspace(session, principal, values.get("workspace_id"))
    if await repository.count_active(session, principal.organization_id) >= MAX_LINKS:
        raise Conflict(f"There are {MAX_LINKS:,} active links, which is the most.", extra={"limit": MAX_LINKS})
    end = utcnow() + timedelta(seconds=values.get("expires_in", DEFAULT_LIFE.total_seconds()))
    token = TOKEN_PREFIX + secrets.token_urlsafe(32)
    link = WebhookPortalLink(
        organization_id=principal.organization_id,
        id=new_uuid(),
        workspace_id=workspace_id,
        mode=principal.mode,
        hash=hash_token(token),
        created_by_key_id=principal.api_key_id,
        created_by_user_id=principal.user_id,
        expires_at=min(end, own.expires_at or end),
        **columns,
    )
    session.add(link)
    await session.flush()
    await session.refresh(link)
    resource = Resource(Prefix.WEBHOOK_PORTAL_LINK, link.id, link.workspace_id)
    await audit.record(session, principal, "webhook_portal_link.created", resource, None, audit.facts(link, *_AUDITED))
    return link, token


async def get(session: AsyncSession, principal: Principal, link_id: UUID, *, lock: bool = False) -> WebhookPortalLink:
    """Raises `NotFound` for what the caller may not see."""
    link = await repository.get(session, principal, link_id, lock=lock)
    if link is None:
        raise NotFound("There is no such portal link.")
    return link


async def list_links(
    session: AsyncSession,
    principal: Principal,
    *,
    consumer: str | None = None,
    active: bool | None = None,
    limit: int,
    after: UUID | None = None,
    before: UUID | None = None,
) -> tuple[list[WebhookPortalLink], bool]:
    """A page, the newest first, and whether there is more in the direction of travel."""
    refuse_bad_consumer(consumer)
    found = await repository.list_links(
        session, principal, consumer=consumer, active=active, limit=limit + 1, after=after, before=before
    )
    return cut(found, limit, backwards=before is not None)


async def revoke(session: AsyncSession, principal: Principal, link_id: UUID) -> WebhookPortalLink:
    """Ends the link and every visit by it at once. Revoking it twice changes nothing."""
    link = await get(session, principal, link_id, lock=True)
    if link.revoked_at is None:
        link.revoked_at = func.now()
        await session.flush()
        await session.refresh(link)
        resource = Resource(Prefix.WEBHOOK_PORTAL_LINK, link.id, link.workspace_id)
        after = {"revoked_at": link.revoked_at}
        await audit.record(session, principal, "webhook_portal_link.revoked", resource, {"revoked_at": None}, after)
    return link


def status_of(link: WebhookPortalLink) -> str:
    """active, expired or revoked."""
    if link.revoked_at is not None:
        return "revoked"
    return "expired" if link.expires_at <= utcnow() else "active"


def hash_token(token: str) -> bytes:
    return sha256(token.encode("utf-8", "replace")).digest()


# ---------------------------------------------------------------- visitors


async def find(ingest: Pool, token: str) -> tuple[UUID, UUID]:
    """(organization, link) of a token, ended ones too. Raises `NotFound`."""
    found = await repository.find_by_token(ingest, hash_token(token)) if token.startswith(TOKEN_PREFIX) else None
    if found is None:
        raise NotFound("There is no such link. Open this page again from where it was linked.")
    return found


async def enter(session: AsyncSession, link: WebhookPortalLink) -> Visit:
    """What the link lets its visitor do now. Raises `PortalLinkEnded` when it was revoked, has expired, or ended with
    the credential that made it."""
    if status_of(link) != "active":
        raise PortalLinkEnded()
    asked = frozenset((_READ,) if link.read_only else (_READ, _WRITE))
    scopes = asked & await _scopes_of_maker(session, link)
    if _READ not in scopes:
        raise PortalLinkEnded()
    principal = Principal(
        id=link.id,
        organization_id=link.organization_id,
        workspace_id=link.workspace_id,
        default_workspace_id=link.workspace_id or link.organization_id,
        mode=link.mode,
        scopes=frozenset(map(str, scopes)),
        kind=PrincipalKind.PORTAL_LINK,
        consumer=link.consumer,
    )
    return Visit(link, principal)


async def _scopes_of_maker(session: AsyncSession, link: WebhookPortalLink) -> frozenset[str]:
    """What the credential that made the link can do at this moment; nothing when it has ended."""
    maker_id = link.created_by_key_id or link.created_by_user_id
    if maker_id is None:
        return frozenset()
    person = link.created_by_key_id is None
    maker = Principal(
        id=maker_id,
        organization_id=link.organization_id,
        workspace_id=link.workspace_id,
        default_workspace_id=link.workspace_id or link.organization_id,
        mode=link.mode,
        scopes=frozenset((_READ, _WRITE)),
        kind=PrincipalKind.SESSION if person else PrincipalKind.API_KEY,
        user_id=maker_id if person else None,
    )
    try:
        own, _ = await authority.own(session, maker)
    except (Unauthenticated, NotAMember):
        return frozenset()
    return own.scopes


async def _workspace(session: AsyncSession, principal: Principal, wanted: UUID | None) -> UUID | None:
    if principal.workspace_id is not None and wanted in (None, principal.workspace_id):
        return principal.workspace_id
    if wanted is None:
        return None
    if principal.workspace_id is not None or not await api_keys.workspace_exists(
        session, principal.organization_id, wanted
    ):
        raise NotFound("There is no such workspace.")
    return wanted


def _check(values: Mapping[str, Any], check_events: CheckEvents) -> dict[str, Any]:
    """Columns. Raises `Unprocessable` naming what is wrong."""
    events, errors = check_events(values.get("events", DEFAULT_EVENTS))
    errors = [*errors, *check_consumer(values["consumer"])]
    life = values.get("expires_in", DEFAULT_LIFE.total_seconds())
    if not MIN_LIFE.total_seconds() <= life <= MAX_LIFE.total_seconds():
        detail = "`expires_in` must be 60 to 604800 seconds (7 days)."
        errors.append(FieldError("/expires_in", "out_of_range", detail))
    theme, wrong = checks.theme(values.get("theme") or {})
    errors += wrong
    return_url, wrong = checks.return_url(values.get("return_url"))
    errors += wrong
    ancestors, wrong = checks.frame_ancestors(values.get("frame_ancestors", ()))
    errors += wrong
    if errors:
        detail = errors[0].detail if len(errors) == 1 else f"{len(errors)} fields need attention; see `errors`."
        raise Unprocessable(detail, errors=errors)
    return {
        "consumer": values["consumer"],
        "events": events,
        "read_only": values.get("read_only", False),
        "theme": theme,
        "return_url": return_url,
        "frame_ancestors": ancestors,
    }
