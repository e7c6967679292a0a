"""OAuth apps as the API shows them."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Self
from uuid import UUID

from pydantic import Field, StrictBool

from penguinmails_api.v1.common import Page, RequestBody, Resource, Timestamp, from_path, typeid
from penguinmails_api.v1.me.schemas import Mode
from penguinmails_api.v1.paging import PageQuery, next_cursor
from penguinmails_core import models
from penguinmails_core.kit import ids
from penguinmails_core.kit.clock import utcnow
from penguinmails_core.kit.ids import Prefix
from penguinmails_core.oauth import app_rules, apps, records
from penguinmails_core.oauth.scopes import in_order

AppIdInPath = Annotated[UUID, from_path(Prefix.OAUTH_APP, "OAuth app"), typeid(Prefix.OAUTH_APP)]
MAX_OVERLAP_SECONDS = int(apps.MAX_OVERLAP.total_seconds())


class OAuthGrantType(StrEnum):
    """How an app gets tokens. `client_credentials`: for itself, without a person."""

    AUTHORIZATION_CODE = "authorization_code"
    REFRESH_TOKEN = "refresh_token"  # noqa: S105
    CLIENT_CREDENTIALS = "client_credentials"
    DEVICE_CODE = "device_code"


_URN = {OAuthGrantType.DEVICE_CODE: records.DEVICE_GRANT}
_SHOWN = {_URN.get(kind, kind.value): kind for kind in OAuthGrantType}


class OAuthAppOrigin(StrEnum):
    """`organization`: registered here. `self_registered`: by itself (RFC 7591), so nobody has looked at it."""

    ORGANIZATION = "organization"
    SELF_REGISTERED = "self_registered"


Name = Annotated[
    str,
    Field(
        min_length=1, max_length=app_rules.MAX_NAME, description="People see it on the consent page.", examples=["CRM"]
    ),
]
Description = Annotated[
    str | None, Field(max_length=app_rules.MAX_DESCRIPTION, description="For you.", examples=["Syncs contacts nightly"])
]
_Uri = Annotated[str, Field(max_length=app_rules.MAX_URL)]
RedirectUris = Annotated[
    list[_Uri],
    Field(
        max_length=app_rules.MAX_REDIRECT_URIS,
        description="Where codes are sent: exactly these, except that the port of http://127.0.0.1 and http://[::1] is "
        "free. https, http on loopback, or a private scheme such as com.example.app.",
        examples=[["https://crm.example.com/oauth/callback"]],
    ),
]
GrantTypes = Annotated[
    list[OAuthGrantType],
    Field(min_length=1, max_length=4, description="How it gets tokens.", examples=[["authorization_code"]]),
]
Scopes = Annotated[
    list[Annotated[str, Field(max_length=100)]],
    Field(
        min_length=1,
        max_length=100,
        description="The most it can ask for: scopes of the API that you have yourself, and openid, profile, email.",
        examples=[["emails:read", "openid"]],
    ),
]
Link = Annotated[
    str | None,
    Field(max_length=app_rules.MAX_URL, examples=["https://crm.example.com"], json_schema_extra={"format": "uri"}),
]


IdTokenAlg = Annotated[
    str, Field(max_length=5, pattern="^(RS256|ES256)$", description="What signs its id_tokens.", examples=["RS256"])
]


def _unset() -> Any:
    """Of a field that may be left out and may not be null. Never read: see `given`."""


class _Given(RequestBody):
    def given(self) -> dict[str, Any]:
        """The fields that were sent, as columns."""
        values = {name: getattr(self, name) for name in self.model_fields_set}
        if "grant_types" in values:
            values["grant_types"] = list(dict.fromkeys(_URN.get(kind, kind.value) for kind in values["grant_types"]))
        return values


class OAuthAppCreate(_Given):
    """`confidential` says whether the app can keep a secret: a server can, a browser or an installed program cannot."""

    name: Name
    scopes: Scopes
    confidential: StrictBool = Field(
        description="Whether it can keep a secret. Cannot be changed later.", examples=[True]
    )
    grant_types: GrantTypes = Field(default_factory=_unset, description="authorization_code, refresh_token by default.")
    redirect_uris: RedirectUris = Field(default_factory=_unset)
    description: Description = None
    client_uri: Link = Field(None, description="Its home page; people see the host name.")
    policy_uri: Link = Field(None, description="Its privacy policy.")
    tos_uri: Link = Field(None, description="Its terms of service.")
    id_token_alg: IdTokenAlg = Field(default_factory=_unset, description="RS256 unless given.")
    dpop_bound: StrictBool = Field(
        default_factory=_unset, description="Refuse tokens without a DPoP proof (RFC 9449). False unless given."
    )

    def given(self) -> dict[str, Any]:
        default = [records.CODE_GRANT, records.REFRESH_GRANT]
        return {"grant_types": default, "redirect_uris": []} | super().given()


class OAuthAppUpdate(_Given):
    """Only what is given is changed; null empties what may be null."""

    name: Name = Field(default_factory=_unset)
    scopes: Scopes = Field(default_factory=_unset)
    grant_types: GrantTypes = Field(default_factory=_unset)
    redirect_uris: RedirectUris = Field(default_factory=_unset)
    description: Description = Field(default_factory=_unset)
    client_uri: Link = Field(default_factory=_unset)
    policy_uri: Link = Field(default_factory=_unset)
    tos_uri: Link = Field(default_factory=_unset)
    id_token_alg: IdTokenAlg = Field(default_factory=_unset)
    dpop_bound: StrictBool = Field(default_factory=_unset)


class OAuthAppRotate(RequestBody):
    overlap_seconds: int = Field(
        int(apps.DEFAULT_OVERLAP.total_seconds()),
        strict=True,
        ge=0,
        le=MAX_OVERLAP_SECONDS,
        description="How long the secret before works beside the new one.",
    )


class OAuthAppListQuery(PageQuery):
    pass


class _OAuthApp(Resource):
    untagged: ClassVar[frozenset[str]] = frozenset({"last_used_at"})

    id: Annotated[str, typeid(Prefix.OAUTH_APP)]
    client_id: Annotated[str, typeid(Prefix.OAUTH_APP)] = Field(description="As OAuth calls the id.")
    name: str = Field(examples=["CRM"])
    description: str | None = Field(examples=["Syncs contacts nightly"])
    mode: Mode
    origin: OAuthAppOrigin
    approved: bool = Field(description="False: an app that registered itself, with less than it asked for.")
    confidential: bool = Field(description="Whether it has a secret.")
    secret_hint: str | None = Field(description="Enough to tell two secrets apart.", examples=["pmcs_3bWf…x7Jc"])
    previous_secret_expires_at: Timestamp | None = Field(description="Until then the secret before works too.")
    redirect_uris: list[str] = Field(examples=[["https://crm.example.com/oauth/callback"]])
    grant_types: list[OAuthGrantType]
    scopes: list[str] = Field(description="The most it can ask for.", examples=[["emails:read", "openid"]])
    requested_scopes: list[str] = Field(description="What an approval adds to them.", examples=[["emails:write"]])
    client_uri: str | None = Field(examples=["https://crm.example.com"])
    policy_uri: str | None = Field(examples=["https://crm.example.com/privacy"])
    tos_uri: str | None = Field(examples=["https://crm.example.com/terms"])
    id_token_alg: str = Field(description="What signs its id_tokens.", examples=["RS256"])
    dpop_bound: bool = Field(description="Whether its tokens need a DPoP proof.")
    workspace_id: Annotated[str, typeid(Prefix.WORKSPACE)] | None = Field(
        description="The workspace that it acts in by itself; null for all."
    )
    last_used_at: Timestamp | None = Field(description="To the hour.")
    created_at: Timestamp
    updated_at: Timestamp


def _columns(row: models.OAuthApp, approved: bool) -> dict[str, Any]:
    dynamic = row.origin == "dynamic"
    expires = row.previous_secret_expires_at
    return {
        "id": ids.encode(Prefix.OAUTH_APP, row.id),
        "client_id": ids.encode(Prefix.OAUTH_APP, row.id),
        "name": row.name,
        "description": row.description,
        "mode": Mode(row.mode),
        "origin": OAuthAppOrigin.SELF_REGISTERED if dynamic else OAuthAppOrigin.ORGANIZATION,
        "approved": approved,
        "confidential": row.confidential,
        "secret_hint": row.secret_hint,
        "previous_secret_expires_at": expires if expires and expires > utcnow() else None,
        "redirect_uris": row.redirect_uris,
        "grant_types": [_SHOWN[name] for name in row.grant_types],
        "scopes": in_order(row.scopes),
        "requested_scopes": in_order(row.requested_scopes or []),
        "client_uri": row.client_uri,
        "policy_uri": row.policy_uri,
        "tos_uri": row.tos_uri,
        "id_token_alg": row.id_token_alg,
        "dpop_bound": row.dpop_bound,
        "workspace_id": ids.encode(Prefix.WORKSPACE, row.workspace_id) if row.workspace_id else None,
        "last_used_at": row.last_used_at,
        "created_at": row.created_at,
        "updated_at": row.updated_at,
    }


class OAuthApp(_OAuthApp):
    """A client of the OAuth server."""

    @classmethod
    def of(cls, row: models.OAuthApp, approved: bool = True) -> Self:
        return cls(**_columns(row, approved))


class OAuthAppWithSecret(_OAuthApp):
    """An OAuth app and its new secret. Keep the secret: it is shown this once."""

    client_secret: str | None = Field(
        description="Null for public apps, and when this is a replay by Idempotency-Key: secrets are not stored with "
        "answers.",
        examples=["pmcs_3bWfQxLZ0yVnK2sTg7JcPq5RmN8tUwXyZaBdEfGh"],
    )

    @classmethod
    def of(cls, row: models.OAuthApp, secret: str | None) -> Self:
        return cls(**_columns(row, approved=True), client_secret=secret)


class OAuthAppList(Page[OAuthApp]):
    @classmethod
    def of(cls, rows: Sequence[models.OAuthApp], has_more: bool, *, backwards: bool) -> Self:
        return cls(
            data=[OAuthApp.of(row) for row in rows],
            has_more=has_more,
            next_cursor=next_cursor([row.id for row in rows], has_more, backwards=backwards),
        )
