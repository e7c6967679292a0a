"""Where a person works: which organization, and which workspace of it."""

from uuid import UUID

from fastapi import APIRouter, Request, Response

from penguinmails_api.identity.pages import PageRoute, Visitor, VisitorDep, read_form, redirect, render, signed_in
from penguinmails_core.errors import NotFound
from penguinmails_core.identity.principals import principal_for_session
from penguinmails_core.identity.sessions import Session
from penguinmails_core.kit import ids
from penguinmails_core.kit.ids import IdError, Prefix
from penguinmails_core.models import Workspace
from penguinmails_core.workspaces import service as workspaces

router = APIRouter(route_class=PageRoute, include_in_schema=False)
PAGE = "/account/organizations"
MAX_SHOWN = 100


@router.get(PAGE)
async def show_organizations(visitor: VisitorDep) -> Response:
    session = signed_in(visitor)
    memberships = await visitor.services.identity.accounts.memberships(session.user_id)
    found, chosen = await _workspaces(visitor, session)
    return render(visitor, "organizations.html", memberships=memberships, workspaces=found, chosen=chosen)


@router.post(PAGE + "/switch")
async def switch_organization(request: Request, visitor: VisitorDep) -> Response:
    session = signed_in(visitor)
    form = await read_form(request, visitor)
    memberships = await visitor.services.identity.accounts.memberships(session.user_id)
    wanted = form.get("organization")
    found = next((m for m in memberships if ids.encode(Prefix.ORGANIZATION, m.organization_id) == wanted), None)
    if found is None:
        raise NotFound("You are not a member of such an organization.")
    assert visitor.token is not None
    await visitor.services.identity.sessions.switch(visitor.token, found.organization_id)
    return redirect(PAGE, notice="switched")


@router.post("/account/workspaces/switch")
async def switch_workspace(request: Request, visitor: VisitorDep) -> Response:
    """New things go there from now on; a limited member sees that workspace and no other."""
    session = signed_in(visitor)
    form = await read_form(request, visitor)
    try:
        wanted = ids.decode(Prefix.WORKSPACE, form.get("workspace"))
    except IdError:
        raise NotFound("There is no such workspace.") from None
    database = visitor.services.database
    principal = await principal_for_session(database, session)
    if principal is None:
        raise NotFound("You work in no organization at the moment.")
    async with database.tenant(principal.organization_id) as transaction:
        workspace = await workspaces.get(transaction, principal, wanted)
    assert visitor.token is not None
    await visitor.services.identity.sessions.switch(visitor.token, principal.organization_id, workspace.id)
    return redirect(PAGE, notice="workspace-switched")


async def _workspaces(visitor: Visitor, session: Session) -> tuple[list[Workspace], UUID | None]:
    """Those to choose from in the organization where the person works, and the one that is chosen."""
    database = visitor.services.database
    principal = await principal_for_session(database, session)
    if principal is None:
        return [], None
    async with database.tenant(principal.organization_id) as transaction:
        found, _ = await workspaces.list_workspaces(transaction, principal, archived=False, limit=MAX_SHOWN)
    return sorted(found, key=lambda workspace: workspace.name.lower()), principal.target_workspace_id
