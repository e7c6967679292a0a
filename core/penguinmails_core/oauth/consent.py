"""A person decides where an app may act, and with what: then a grant is made, and a code or the answer to a device."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from penguinmails_core.audit import service as audit
from penguinmails_core.audit.actor import Actor, Resource
from penguinmails_core.identity.sessions import Session
from penguinmails_core.kit.db import Connection, Database
from penguinmails_core.kit.ids import Prefix, new_uuid
from penguinmails_core.members.service import memberships_of
from penguinmails_core.oauth import consent_repository as repository
from penguinmails_core.oauth import flow_repository as sql
from penguinmails_core.oauth.access import Rights, rights_of
from penguinmails_core.oauth.records import App
from penguinmails_core.oauth.scopes import IDENTITY_SCOPES, in_order
from penguinmails_core.oauth.secrets import Kind, digest, new_secret

INTERACTION_LIFETIME = timedelta(minutes=10)
CODE_LIFETIME = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Place:
    """An organization, or one workspace of it."""

    organization_id: UUID
    workspace_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Choice:
    """An organization that the person belongs to, as the consent page offers it. `whole`: all of it can be chosen,
    which somebody who sees certain workspaces only cannot."""

    organization_id: UUID
    name: str
    rights: Rights
    whole: bool
    workspaces: Sequence[tuple[UUID, str]]


@dataclass(frozen=True, slots=True)
class Consent:
    """What was agreed to. `flow` is one of the grant's. `jkt`: the key that its code is for (RFC 9449 §10)."""

    app: App
    session: Session
    place: Place
    rights: Rights
    scopes: Sequence[str]
    resources: Sequence[str]
    flow: str
    jkt: str | None = None


async def choices_for(database: Database, session: Session) -> list[Choice]:
    """Where the person can let an app in: the organization they work in first."""
    memberships = await memberships_of(database.worker, session.user_id)
    memberships.sort(key=lambda item: item.organization_id != session.organization_id)
    rows = await repository.workspaces(database.worker, [item.organization_id for item in memberships])
    choices = []
    for item in memberships:
        rights = await rights_of(database, session.user_id, item.organization_id, None)
        if rights is None:
            continue
        mine = [(row["id"], row["name"]) for row in rows if row["organization_id"] == item.organization_id]
        if item.limited:
            seen = [await rights_of(database, session.user_id, item.organization_id, one) for one, _ in mine]
            mine = [pair for pair, found in zip(mine, seen, strict=True) if found is not None]
        choices.append(Choice(item.organization_id, item.organization_name, rights, not item.limited, mine))
    return choices


async def possible_scopes(
    connection: Connection, app: App, place: Place, rights: Rights, wanted: Sequence[str]
) -> list[str]:
    """What is left of `wanted`: what the person's role allows there, and of an app that registered itself, what it may
    have in that organization."""
    allowed = {scope for scope in wanted if scope in IDENTITY_SCOPES or scope in rights.scopes}
    if app.dynamic and not await repository.approved(connection, place.organization_id, app.id):
        allowed &= set(app.scopes)
    return in_order(allowed)


async def make_grant(connection: Connection, consent: Consent) -> UUID:
    """In the transaction that claimed the person's answer."""
    grant_id, place, session = new_uuid(), consent.place, consent.session
    await connection.execute(
        sql.ADD_GRANT,
        place.organization_id,
        grant_id,
        consent.app.id,
        consent.app.name,
        session.user_id,
        place.workspace_id,
        consent.app.mode,
        consent.flow,
        list(consent.scopes),
        list(consent.resources),
        session.auth_time,
        list(session.amr),
        consent.jkt,
    )
    await audit.record_on(
        connection,
        Actor.user(place.organization_id, session.user_id),
        "oauth_grant.created",
        Resource(Prefix.OAUTH_GRANT, grant_id, place.workspace_id),
        after={"app": consent.app.name, "client_id": consent.app.client_id, "scopes": list(consent.scopes)},
    )
    return grant_id


async def make_code(connection: Connection, consent: Consent, parameters: dict[str, Any]) -> str:
    """A grant and an authorization code for it. `parameters`: redirect_uri, code_challenge, nonce."""
    grant_id = await make_grant(connection, consent)
    code = new_secret(Kind.CODE)
    await connection.execute(
        sql.ADD_CODE,
        digest(code),
        consent.place.organization_id,
        grant_id,
        parameters["redirect_uri"],
        parameters["code_challenge"],
        parameters.get("nonce"),
        CODE_LIFETIME,
    )
    return code


async def approve_device(connection: Connection, consent: Consent, device: bytes) -> bool:
    """False when the device has given up meanwhile; then nothing was granted."""
    grant_id = await make_grant(connection, consent)
    return await repository.answer_device(connection, device, "approved", consent.place.organization_id, grant_id)
