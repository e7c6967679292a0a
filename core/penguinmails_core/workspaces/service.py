"""Workspaces: a client, brand or team inside an organization. Made, changed, archived and deleted.

Archiving keeps everything to be read and ends what works in it; deleting is for a workspace that owns nothing.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import func
from sqlalchemy.ext.asyncio import AsyncSession

from penguinmails_core.audit import service as audit
from penguinmails_core.audit.actor import Resource
from penguinmails_core.errors import Conflict, FieldError, Forbidden, NotFound, Unprocessable
from penguinmails_core.events import repository as events
from penguinmails_core.events.types import EventType
from penguinmails_core.kit.clock import utcnow
from penguinmails_core.kit.ids import Prefix, encode, new_uuid
from penguinmails_core.kit.pages import cut
from penguinmails_core.kit.texts import text_errors, timezone_errors
from penguinmails_core.limits.catalogue import Limit
from penguinmails_core.limits.service import require_room
from penguinmails_core.members.authority import authority_of, refuse_test_mode
from penguinmails_core.models import Workspace
from penguinmails_core.principal import Principal
from penguinmails_core.scopes import Scope
from penguinmails_core.workspaces import repository

MAX_NAME, MAX_SLUG = 100, 50
MAX_WORKSPACES = 1000
_SLUG = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*").fullmatch
_AUDITED = ("name", "slug", "timezone", "archived_at")


async def get(session: AsyncSession, principal: Principal, workspace_id: UUID) -> Workspace:
    """Raises `NotFound`."""
    workspace = await repository.get(session, principal, workspace_id)
    if workspace is None:
        raise NotFound("There is no such workspace.")
    return workspace


async def get_many(session: AsyncSession, principal: Principal, workspace_ids: Sequence[UUID]) -> list[Workspace]:
    """Those of them that the caller may see, in no order."""
    return await repository.get_many(session, principal, workspace_ids)


async def list_workspaces(
    session: AsyncSession,
    principal: Principal,
    *,
    archived: bool | None = None,
    limit: int,
    after: UUID | None = None,
    before: UUID | None = None,
) -> tuple[list[Workspace], bool]:
    """A page, the newest first, and whether there is more in the direction of travel."""
    found = await repository.list_workspaces(session, principal, archived, limit=limit + 1, after=after, before=before)
    return cut(found, limit, backwards=before is not None)


async def create(
    session: AsyncSession, principal: Principal, *, name: str, slug: str | None = None, timezone: str | None = None
) -> Workspace:
    """Without a slug, one is made from the name. Raises `Conflict` for a slug that is taken and at 1,000 workspaces,
    `Forbidden` for who is bound to a workspace, `LimitReached`, `LiveModeRequired`, `Unprocessable`."""
    await _admit(session, principal)
    if principal.workspace_id is not None:
        raise _bound()
    given: dict[str, Any] = {"name": name, "timezone": timezone}
    _check(given | ({"slug": slug} if slug is not None else {}))
    organization_id = principal.organization_id
    if await repository.count(session, organization_id) >= MAX_WORKSPACES:
        raise Conflict(
            f"An organization has at most {MAX_WORKSPACES} workspaces, archived ones included. Delete one first.",
            extra={"limit": MAX_WORKSPACES},
        )
    await require_room(session, organization_id, Limit.MAX_WORKSPACES)
    workspace = Workspace(
        organization_id=organization_id,
        id=new_uuid(),
        name=name.strip(),
        slug=await _free_slug(session, organization_id, slug, name),
        timezone=timezone,
        is_default=False,
        created_by=principal.user_id,
    )
    session.add(workspace)
    await session.flush()
    await session.refresh(workspace)
    await _tell(session, EventType.WORKSPACE_CREATED, workspace)
    await audit.record(
        session, principal, "workspace.created", _resource(workspace), after=audit.facts(workspace, *_AUDITED)
    )
    return workspace


async def update(
    session: AsyncSession, principal: Principal, workspace_id: UUID, given: Mapping[str, Any]
) -> Workspace:
    """`given` holds what is to be changed: name, slug, timezone (None: the organization's). Raises as `create`."""
    await _admit(session, principal)
    workspace = await _own(session, principal, workspace_id)
    _check(given)
    before = audit.facts(workspace, *_AUDITED)
    if given.get("slug") not in (None, workspace.slug):
        await _free_slug(session, workspace.organization_id, given["slug"], "")
    for name, value in given.items():
        setattr(workspace, name, value.strip() if name == "name" else value)
    return await _changed(session, principal, workspace, "workspace.updated", before)


async def archive(session: AsyncSession, principal: Principal, workspace_id: UUID) -> Workspace:
    """Twice is once. Raises `Conflict` for the default workspace and while something works in it."""
    await _admit(session, principal)
    workspace = await _own(session, principal, workspace_id, bound_too=False)
    if workspace.is_default:
        raise Conflict("The default workspace stays: new things need a place.")
    if active := await repository.what_is_active(session, workspace):
        raise Conflict(
            f"The workspace still has {', '.join(active)}. Delete, disable or revoke them first.",
            extra={"owns": active},
        )
    before = audit.facts(workspace, *_AUDITED)
    workspace.archived_at = workspace.archived_at or utcnow()
    return await _changed(session, principal, workspace, "workspace.archived", before)


async def restore(session: AsyncSession, principal: Principal, workspace_id: UUID) -> Workspace:
    """Twice is once. Raises `LimitReached`: archived ones take no place in the plan, this one does again."""
    await _admit(session, principal)
    workspace = await _own(session, principal, workspace_id, bound_too=False)
    if workspace.archived_at is not None:
        await require_room(session, workspace.organization_id, Limit.MAX_WORKSPACES)
    before = audit.facts(workspace, *_AUDITED)
    workspace.archived_at = None
    return await _changed(session, principal, workspace, "workspace.restored", before)


async def delete(session: AsyncSession, principal: Principal, workspace_id: UUID) -> None:
    """Members who were limited to it alone keep their place in the organization and see nothing. Raises `Conflict` for
    the default workspace and while it owns anything."""
    await _admit(session, principal)
    workspace = await _own(session, principal, workspace_id, bound_too=False)
    if workspace.is_default:
        raise Conflict("The default workspace stays: new things need a place.")
    if owned := await repository.what_it_owns(session, workspace):
        raise Conflict(
            f"The workspace owns {', '.join(owned)}. Only an empty one can be deleted; archive it instead.",
            extra={"owns": owned},
        )
    before, resource = audit.facts(workspace, *_AUDITED), _resource(workspace)
    await _tell(session, EventType.WORKSPACE_DELETED, workspace)
    await session.delete(workspace)
    await session.flush()
    await audit.record(session, principal, "workspace.deleted", resource, before=before)


async def _admit(session: AsyncSession, principal: Principal) -> None:
    refuse_test_mode(principal)
    await authority_of(session, principal, Scope.WORKSPACES_WRITE)


async def _own(session: AsyncSession, principal: Principal, workspace_id: UUID, *, bound_too: bool = True) -> Workspace:
    """Who is bound to a workspace changes that one; others that a person may choose are theirs only when chosen."""
    workspace = await get(session, principal, workspace_id)
    if principal.workspace_id is not None and not bound_too:
        raise _bound()
    if principal.workspace_id not in (None, workspace.id):
        raise Forbidden("You work in another workspace at the moment. Choose this one first.")
    return workspace


def _bound() -> Forbidden:
    return Forbidden("You are bound to one workspace; making and ending them is for admins of the organization.")


async def _changed(
    session: AsyncSession, principal: Principal, workspace: Workspace, action: str, before: Mapping[str, Any]
) -> Workspace:
    after = audit.facts(workspace, *_AUDITED)
    if after == before:
        return workspace
    workspace.updated_at = func.now()
    await session.flush()
    await session.refresh(workspace)
    names = {"archived_at": "status"}
    changed = [names.get(name, name) for name in after if after[name] != before[name]]
    await _tell(session, EventType.WORKSPACE_UPDATED, workspace, {"changed": changed})
    await audit.record(session, principal, action, _resource(workspace), before, after)
    return workspace


async def _tell(
    session: AsyncSession, kind: EventType, workspace: Workspace, more: Mapping[str, Any] | None = None
) -> None:
    """Written in the transaction of the change, as something of the workspace itself."""
    workspace.event_sequence = (workspace.event_sequence or 0) + 1
    payload = {
        "workspace_id": encode(Prefix.WORKSPACE, workspace.id),
        "name": workspace.name,
        "slug": workspace.slug,
        "status": "archived" if workspace.archived_at else "active",
        "timezone": workspace.timezone,
    }
    events.add(
        session,
        organization_id=workspace.organization_id,
        workspace_id=workspace.id,
        mode="live",
        event=kind,
        resource_id=workspace.id,
        sequence=workspace.event_sequence,
        payload=payload | dict(more or {}),
    )
    await session.flush()
    await session.refresh(workspace, ["updated_at"])


async def _free_slug(session: AsyncSession, organization_id: UUID, slug: str | None, name: str) -> str:
    if slug is not None:
        if slug in await repository.slugs_like(session, organization_id, slug):
            raise Conflict(f"There is a workspace with the slug {slug} already. Choose another one.")
        return slug
    stem = slug_of(name)
    taken = await repository.slugs_like(session, organization_id, stem)
    numbered = (f"{stem}-{number}" for number in range(2, len(taken) + 3))
    return stem if stem not in taken else next(candidate for candidate in numbered if candidate not in taken)


def slug_of(name: str) -> str:
    """``Łódź & Söhne`` -> ``odz-sohne``; ``workspace`` when nothing is left. Room is left for a number."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    slug = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[: MAX_SLUG - 5].strip("-")
    return slug or "workspace"


def _check(given: Mapping[str, Any]) -> None:
    errors: list[FieldError] = []
    if "name" in given:
        errors += text_errors("/name", given["name"], most=MAX_NAME)
    if "slug" in given and (len(given["slug"]) > MAX_SLUG or not _SLUG(given["slug"])):
        detail = f"`slug` has 1 to {MAX_SLUG} characters: a-z, 0-9, and single hyphens between them."
        errors.append(FieldError("/slug", "invalid", detail))
    if given.get("timezone") is not None:
        errors += timezone_errors("/timezone", given["timezone"])
    if errors:
        detail = errors[0].detail if len(errors) == 1 else f"{len(errors)} fields need attention; see `errors`."
        raise Unprocessable(detail, errors=errors)


def _resource(workspace: Workspace) -> Resource:
    return Resource(Prefix.WORKSPACE, workspace.id, workspace.id)
