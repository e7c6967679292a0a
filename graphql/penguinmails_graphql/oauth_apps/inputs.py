"""What may be said of an app. Its fields are judged in core; here their amount."""

from __future__ import annotations

from typing import Any

import strawberry

from penguinmails_core.oauth import records
from penguinmails_graphql.oauth_apps.types import IdTokenAlg, OAuthGrantType
from penguinmails_graphql.relay import bounded, given

_EMPTIED = ("description", "client_uri", "policy_uri", "tos_uri")
_FIELDS = ("name", "scopes", "grant_types", "redirect_uris", "id_token_alg", "dpop_bound", *_EMPTIED)
_MAX_SCOPES, _MAX_SCOPE, _MAX_GRANT_TYPES = 100, 100, 4


def _checked(values: dict[str, Any]) -> dict[str, Any]:
    """As columns. What cannot be null is left out when it is."""
    found = {name: value for name, value in values.items() if value is not None or name in _EMPTIED}
    bounded(found.get("scopes"), _MAX_SCOPES, "/scopes")
    for index, scope in enumerate(found.get("scopes", ())):
        bounded(scope, _MAX_SCOPE, f"/scopes/{index}")
    bounded(found.get("grant_types"), _MAX_GRANT_TYPES, "/grant_types")
    if "grant_types" in found:
        found["grant_types"] = list(dict.fromkeys(kind.stored for kind in found["grant_types"]))
    if "id_token_alg" in found:
        found["id_token_alg"] = str(found["id_token_alg"])
    return found


@strawberry.input(
    name="CreateOAuthAppInput",
    description="`confidential`: whether the app can keep a secret. A server can, a browser or an installed program "
    "cannot.",
)
class CreateOAuthAppInput:
    name: str = strawberry.field(description="People see it on the consent page.")
    scopes: list[str] = strawberry.field(description="The most it can ask for; none that you do not have.")
    confidential: bool = strawberry.field(description="Cannot be changed later.")
    grant_types: list[OAuthGrantType] | None = strawberry.field(
        default=None, description="Left out: `AUTHORIZATION_CODE` and `REFRESH_TOKEN`."
    )
    redirect_uris: list[str] = strawberry.field(default_factory=list, description="Where codes are sent.")
    description: str | None = None
    client_uri: str | None = None
    policy_uri: str | None = None
    tos_uri: str | None = None
    id_token_alg: IdTokenAlg | None = strawberry.field(default=None, description="Left out: `RS256`.")
    dpop_bound: bool | None = strawberry.field(default=None, description="Refuse tokens without a DPoP proof.")

    def values(self) -> dict[str, Any]:
        default = [records.CODE_GRANT, records.REFRESH_GRANT]
        return {"grant_types": default} | _checked(given(self, "confidential", *_FIELDS))


@strawberry.input(
    name="UpdateOAuthAppInput", description="Only what is given is changed; null empties what may be null."
)
class UpdateOAuthAppInput:
    id: strawberry.ID
    name: str | None = strawberry.UNSET
    scopes: list[str] | None = strawberry.UNSET
    grant_types: list[OAuthGrantType] | None = strawberry.UNSET
    redirect_uris: list[str] | None = strawberry.UNSET
    description: str | None = strawberry.UNSET
    client_uri: str | None = strawberry.UNSET
    policy_uri: str | None = strawberry.UNSET
    tos_uri: str | None = strawberry.UNSET
    id_token_alg: IdTokenAlg | None = strawberry.UNSET
    dpop_bound: bool | None = strawberry.UNSET

    def values(self) -> dict[str, Any]:
        return _checked(given(self, *_FIELDS))
