"""What each endpoint may ask for, read (and locked) before its rules run. A read forgotten here is a LookupError or a
refusal in a test, never a query in the middle of a decision."""

from __future__ import annotations

from penguinmails_api.oauth2.call import Call, Shown
from penguinmails_api.oauth2.forms import Parameters
from penguinmails_core.kit import ids
from penguinmails_core.kit.db import Connection
from penguinmails_core.kit.ids import Prefix
from penguinmails_core.oauth import flow_repository as repository
from penguinmails_core.oauth import records
from penguinmails_core.oauth.access import rights_of
from penguinmails_core.oauth.flow_repository import Owner
from penguinmails_core.oauth.records import CLIENT_GRANT, CODE_GRANT, DEVICE_GRANT, REFRESH_GRANT
from penguinmails_core.oauth.secrets import Kind, digest
from penguinmails_core.oauth.tokens import InvalidToken, read_access_token

_CREDENTIALS = {CODE_GRANT: "code", REFRESH_GRANT: "refresh_token", DEVICE_GRANT: "device_code"}


async def app(connection: Connection, call: Call, client_id: str) -> None:
    try:
        app_id = ids.decode(Prefix.OAUTH_APP, client_id)
    except ids.IdError:
        return
    call.store.app = await repository.app(connection, app_id)


async def token_request(connection: Connection, call: Call, parameters: Parameters) -> None:
    """The one credential that the grant type is about, its grant, and the person behind it. The person comes first,
    since that takes another connection, and nobody should wait for one with rows locked."""
    store, grant_type = call.store, parameters.get("grant_type")
    if grant_type == CLIENT_GRANT and may_act_alone(call):
        assert store.app is not None
        store.grant = await repository.own_grant(connection, store.app)
    if grant_type not in _CREDENTIALS or (text := parameters.get(_CREDENTIALS[grant_type])) is None:
        return
    hashed = digest(text)
    await person(connection, call, await repository.owner(connection, grant_type, hashed))
    match grant_type:
        case records.CODE_GRANT:
            store.code = await repository.code(connection, hashed)
        case records.REFRESH_GRANT:
            store.refresh_token = await repository.refresh_token(connection, hashed)
        case records.DEVICE_GRANT:
            store.device = await repository.device(connection, hashed)


def may_act_alone(call: Call) -> bool:
    """Only for a client that has proven who it is a grant is made."""
    app, shown = call.store.app, call.client
    return (
        app is not None
        and shown is not None
        and app.confidential
        and CLIENT_GRANT in app.grant_types
        and app.check_secret(shown.secret or "")
    )


async def person(connection: Connection, call: Call, owner: Owner | None) -> None:
    if owner is None or call.database is None:
        return
    rights = await rights_of(call.database, owner.user_id, owner.organization_id, owner.workspace_id)
    if rights is not None:
        call.store.person = await repository.person(connection, owner.user_id, rights.scopes)


async def shown_token(connection: Connection, call: Call, parameters: Parameters) -> None:
    """For revocation and introspection."""
    text = parameters.get("token") or ""
    if text.startswith(Kind.REFRESH_TOKEN):
        found = await repository.refresh_token(connection, digest(text))
        call.shown = Shown(found.grant, refresh=found) if found else None
        return
    try:
        token = await read_access_token(call.ring, text, call.issuer, call.resources)
    except InvalidToken:
        return
    row = await repository.standing(connection, token.organization_id, token.grant_id, token.jti)
    grant = await repository.grant(connection, token.organization_id, token.grant_id)
    if row is not None and grant is not None:
        call.shown = Shown(grant, access=token, revoked=row["token_revoked"])


async def nothing(connection: Connection, call: Call, parameters: Parameters) -> None:
    pass
