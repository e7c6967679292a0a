"""An organization that a signed-in person makes, and owns."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from penguinmails_core.audit import service as audit
from penguinmails_core.audit.actor import Actor, Resource
from penguinmails_core.errors import FieldError, Forbidden, LimitReached, NotFound, Unprocessable
from penguinmails_core.kit.db import Pool, inside
from penguinmails_core.kit.ids import Prefix, new_uuid
from penguinmails_core.kit.texts import text_errors
from penguinmails_core.members.authority import refuse_test_mode
from penguinmails_core.models import Member, Organization, Workspace
from penguinmails_core.organizations import repository
from penguinmails_core.organizations.service import MAX_NAME
from penguinmails_core.principal import Principal, PrincipalKind
from penguinmails_core.roles import OrganizationRole
from penguinmails_core.scopes import Scope

LIMIT = "organizations_per_person"


async def create(session: AsyncSession, worker: Pool, principal: Principal, name: str, *, most: int) -> Organization:
    """With its default workspace and the caller as its owner, on the default plan. It is written in the session's
    transaction, so that an Idempotency-Key is kept with it. `worker` counts what the person owns elsewhere; `most` is
    how many they may own.

    Raises `Forbidden` for keys and for apps that act for nobody, `MissingScope` for apps that may not change
    organizations, `LimitReached`, `LiveModeRequired`, `Unprocessable`.
    """
    if principal.user_id is None:
        raise Forbidden("People make organizations, signed in; a key, or an app that acts for nobody, cannot own one.")
    if principal.kind is PrincipalKind.OAUTH:
        principal.require(Scope.ORGANIZATIONS_WRITE)
    refuse_test_mode(principal)
    errors = text_errors("/name", name, most=MAX_NAME)
    if errors:
        raise Unprocessable(errors[0].detail, errors=[FieldError("/name", errors[0].code, errors[0].detail)])
    await _check_room(session, worker, principal.user_id, most)
    made = Organization(id=new_uuid(), name=name.strip())
    async with inside(session, made.id):
        session.add(made)
        await session.flush()
        session.add(Workspace(organization_id=made.id, id=new_uuid(), name="Default", slug="default", is_default=True))
        session.add(
            Member(organization_id=made.id, id=new_uuid(), user_id=principal.user_id, role=OrganizationRole.OWNER)
        )
        await session.flush()
        await session.refresh(made)
        actor = Actor.of(replace(principal, organization_id=made.id, workspace_id=None))
        resource = Resource(Prefix.ORGANIZATION, made.id)
        await audit.record(session, actor, "organization.created", resource, after={"name": made.name})
    return made


async def get(session: AsyncSession, organization_id: UUID) -> Organization:
    """One that the caller made a moment ago, for a replay. Raises `NotFound`."""
    async with inside(session, organization_id):
        found = await repository.get(session, organization_id)
    if found is None:
        raise NotFound("There is no such organization any more.")
    return found


async def _check_room(session: AsyncSession, worker: Pool, user_id: UUID, most: int) -> None:
    """Of two who ask for the last place at the same moment, the second waits here for the first one's commit."""
    await repository.wait_in_line(session, user_id)
    owned = await repository.count_owned(worker, user_id)
    if owned >= most:
        detail = (
            f"One person may own {most} organizations here ({LIMIT}), and you own {owned}. Hand one over, or ask who "
            "runs this server: the setting is PENGUINMAILS_AUTH_ORGANIZATIONS_PER_PERSON."
            if most
            else "Organizations are made by who runs this server (PENGUINMAILS_AUTH_ORGANIZATIONS_PER_PERSON)."
        )
        raise LimitReached(detail, extra={"limit_name": LIMIT, "limit": most, "used": owned})
