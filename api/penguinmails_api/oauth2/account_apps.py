"""`/account/apps`: what a person has connected, and the button that takes it back."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response

from penguinmails_api.identity.pages import PageRoute, VisitorDep, read_form, redirect, render, signed_in
from penguinmails_core.errors import BadRequest
from penguinmails_core.kit import ids
from penguinmails_core.kit.doorbell import TOKENS
from penguinmails_core.kit.ids import Prefix
from penguinmails_core.oauth import grants
from penguinmails_core.oauth.records import CLI
from penguinmails_core.oauth.scopes import describe, in_order

router = APIRouter(prefix="/account/apps", route_class=PageRoute, include_in_schema=False)


@router.get("")
async def show_apps(visitor: VisitorDep) -> Response:
    session = signed_in(visitor)
    rows = await grants.apps_of_person(visitor.services.database, session.user_id)
    return render(visitor, "apps.html", apps=[_shown(row) for row in rows])


@router.post("/revoke")
async def revoke_app(request: Request, visitor: VisitorDep) -> Response:
    session = signed_in(visitor)
    form = await read_form(request, visitor)
    try:
        organization_id = ids.decode(Prefix.ORGANIZATION, form.get("organization"))
        app_id = ids.decode(Prefix.OAUTH_APP, form.get("app"))
    except ids.IdError:
        raise BadRequest("The form could not be read.") from None
    await grants.disconnect(visitor.services.database, session.user_id, organization_id, app_id)
    visitor.services.doorbell.ring(TOKENS)
    return redirect("/account/apps", notice="app-disconnected")


def _shown(row: Any) -> dict[str, Any]:
    return {
        "organization_id": row["organization_id"],
        "organization": row["organization"],
        "app_id": row["app_id"],
        "name": CLI.name if row["app_id"] == CLI.id else row["name"] or row["name_then"],
        "unverified": bool(row["dynamic"]),
        "since": row["since"],
        "last_used_at": row["last_used_at"],
        "scopes": [describe(scope) for scope in in_order(row["scopes"] or ())],
    }
