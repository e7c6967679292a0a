"""The page that asks, and the answer to it. Documented in docs/oauth.md, since programs fill it in tests, too:
`interaction`, `decision` (allow or deny) and `access` (an organization or one of its workspaces)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from fastapi import APIRouter, Request, Response

from penguinmails_api.identity import csrf
from penguinmails_api.identity.pages import (
    PageRoute,
    Redirect,
    Visitor,
    VisitorDep,
    redirect,
    register_templates,
    render,
)
from penguinmails_api.oauth2 import authorization
from penguinmails_api.oauth2.authorization import back_to_client, must_sign_in
from penguinmails_api.oauth2.call import Call
from penguinmails_api.oauth2.errors import OAuthError
from penguinmails_api.oauth2.forms import Parameters, read_parameters
from penguinmails_api.oauth2.shell import transaction
from penguinmails_core.errors import BadRequest, Conflict, Unprocessable
from penguinmails_core.identity.sessions import Session
from penguinmails_core.kit import ids
from penguinmails_core.kit.db import Connection
from penguinmails_core.kit.ids import Prefix
from penguinmails_core.oauth import consent as service
from penguinmails_core.oauth import consent_repository as repository
from penguinmails_core.oauth import flow_repository
from penguinmails_core.oauth.access import rights_of
from penguinmails_core.oauth.consent import Choice, Consent, Place
from penguinmails_core.oauth.records import CLI, App
from penguinmails_core.oauth.scopes import IDENTITY_SCOPES, describe, in_order
from penguinmails_core.oauth.secrets import digest

router = APIRouter(prefix="/oauth2", route_class=PageRoute, include_in_schema=False)
register_templates(Path(__file__).parent / "templates")

ANSWERED = "This request was answered before, belongs to another sign-in, or is older than ten minutes."
MAY_NOTHING = "Your role there allows nothing of what the app asks for. Ask an admin of the organization."


async def show_consent(
    visitor: Visitor, session: Session, app: App, scopes: Sequence[str], token: str, *, device: bool = False
) -> Response:
    choices = await service.choices_for(visitor.services.database, session)
    only = choices[0] if len(choices) == 1 else None
    rows = [
        (describe(scope), only is None or scope in IDENTITY_SCOPES or scope in only.rights.scopes)
        for scope in in_order(scopes)
    ]
    return render(
        visitor,
        "consent.html",
        # `form-action` would cover the redirect to the app, and differently in each browser: left out (CSP Level 3).
        form_action=None,
        app=app,
        unverified=app.dynamic,
        ours=app.id == CLI.id,
        site=urlsplit(app.client_uri).hostname if app.client_uri else None,
        scopes=rows,
        choices=choices,
        interaction=token,
        device=device,
    )


@router.post("/consent")
async def decide(request: Request, visitor: VisitorDep) -> Response:
    """The interaction is bound to the session, cannot be guessed and is taken once: that is the form's token."""
    csrf.check(request.scope, visitor.services.public, form=True)
    session = visitor.session
    if session is None:
        raise Redirect("/login")
    try:
        form = await read_parameters(request)
        choices = await service.choices_for(visitor.services.database, session)
        async with transaction(visitor.context) as (connection, call):
            row = await repository.claim_interaction(connection, digest(form.get("interaction") or ""), session.id)
            app = await flow_repository.app(connection, row["app_id"]) if row is not None else None
            if row is None or app is None:
                raise Conflict(ANSWERED)
            call.store.app = app
            answer = Answer(connection, visitor, session, app, choices, form)
            if "device" in row["parameters"]:
                return redirect("/device?notice=" + await answer.device(row["parameters"]))
            return redirect(await answer.code(call, Parameters.stored(row["parameters"]), row["created_at"]))
    except OAuthError as error:
        raise BadRequest(error.description) from None


@dataclass(slots=True)
class Answer:
    """What a person decided. Problems are raised to them, and then nothing of the transaction stays: they can choose
    again."""

    connection: Connection
    visitor: Visitor
    session: Session
    app: App
    choices: Sequence[Choice]
    form: Parameters

    @property
    def allowed(self) -> bool:
        return self.form.get("decision") == "allow"

    async def code(self, call: Call, parameters: Parameters, since: datetime) -> str:
        """Where the browser goes: back to the app, with a code or with `access_denied`."""
        wanted = authorization.check(call, parameters)
        if must_sign_in(wanted, self.session, since):
            raise Conflict("Sign in again first: the app asks for a fresh sign-in.")
        answer = {"error": "access_denied", "error_description": "The person said no."}
        if self.allowed:
            consent = await self._consent(wanted.scopes, wanted.resources, "authorization_code")
            consent = replace(consent, jkt=parameters.get("dpop_jkt"))
            kept = parameters.data | {"redirect_uri": wanted.redirect_uri}
            answer = {"code": await service.make_code(self.connection, consent, kept)}
        return back_to_client(wanted.redirect_uri, call.issuer, wanted.state, **answer)

    async def device(self, asked: dict[str, Any]) -> str:
        """The name of a notice."""
        waiting = bytes.fromhex(asked["device"])
        if self.allowed:
            consent = await self._consent(asked["scope"], asked["resource"], "device_code")
            done = await service.approve_device(self.connection, consent, waiting)
        else:
            done = await repository.answer_device(self.connection, waiting, "denied", None, None)
        if not done:
            raise Conflict("The device has given up waiting. Begin again on the device.")
        return "device-allowed" if self.allowed else "device-denied"

    async def _consent(self, wanted: Sequence[str], resources: Sequence[str], flow: str) -> Consent:
        place = self._place(self.form.get("access"))
        database, user_id = self.visitor.services.database, self.session.user_id
        rights = await rights_of(database, user_id, place.organization_id, place.workspace_id)
        if rights is None:
            raise Unprocessable("You do not belong to the organization or workspace that was chosen.")
        place = Place(place.organization_id, rights.workspace_id)
        scopes = await service.possible_scopes(self.connection, self.app, place, rights, wanted)
        if not scopes:
            raise Unprocessable(MAY_NOTHING)
        return Consent(self.app, self.session, place, rights, scopes, resources, flow)

    def _place(self, chosen: str | None) -> Place:
        """``org_…``, or ``ws_…`` for one workspace. Left out: where the person works at the moment."""
        for choice in self.choices:
            whole = ids.encode(Prefix.ORGANIZATION, choice.organization_id)
            if choice.whole and chosen in (whole, None):
                return Place(choice.organization_id)
            for workspace_id, _ in choice.workspaces:
                if chosen in (ids.encode(Prefix.WORKSPACE, workspace_id), None):
                    return Place(choice.organization_id, workspace_id)
        raise Unprocessable("Choose an organization, or a workspace, that you belong to.")
