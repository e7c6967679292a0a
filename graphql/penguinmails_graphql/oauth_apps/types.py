"""Clients of the OAuth server."""

from __future__ import annotations

from enum import StrEnum
from typing import Self

import strawberry

from penguinmails_core import models
from penguinmails_core.kit import ids
from penguinmails_core.kit.clock import utcnow
from penguinmails_core.kit.ids import Prefix
from penguinmails_core.oauth import records
from penguinmails_core.oauth.scopes import in_order
from penguinmails_graphql.enums import Mode
from penguinmails_graphql.relay import Node, id_of
from penguinmails_graphql.scalars import DateTime, moment


@strawberry.enum(description="How an app gets tokens. `CLIENT_CREDENTIALS`: for itself, without a person.")
class OAuthGrantType(StrEnum):
    AUTHORIZATION_CODE = "authorization_code"
    REFRESH_TOKEN = "refresh_token"  # noqa: S105
    CLIENT_CREDENTIALS = "client_credentials"
    DEVICE_CODE = "device_code"

    @property
    def stored(self) -> str:
        return records.DEVICE_GRANT if self is OAuthGrantType.DEVICE_CODE else self.value


SHOWN = {kind.stored: kind for kind in OAuthGrantType}


@strawberry.enum(description="`SELF_REGISTERED`: by itself (RFC 7591), so nobody has looked at it.")
class OAuthAppOrigin(StrEnum):
    ORGANIZATION = "organization"
    SELF_REGISTERED = "self_registered"


@strawberry.enum(description="What signs id_tokens.")
class IdTokenAlg(StrEnum):
    RS256 = "RS256"
    ES256 = "ES256"


@strawberry.type(name="OAuthApp", description="A client of the OAuth server. Its id is its client_id.")
class OAuthApp(Node):
    name: str
    description: str | None
    mode: Mode
    origin: OAuthAppOrigin
    approved: bool = strawberry.field(description="False: it registered itself, and has less than it asked for.")
    confidential: bool = strawberry.field(description="Whether it has a secret.")
    secret_hint: str | None = strawberry.field(description="Enough to tell two secrets apart.")
    previous_secret_expires_at: DateTime | None
    redirect_uris: list[str]
    grant_types: list[OAuthGrantType]
    scopes: list[str] = strawberry.field(description="The most it can ask for.")
    requested_scopes: list[str] = strawberry.field(description="What an approval adds to them.")
    client_uri: str | None
    policy_uri: str | None
    tos_uri: str | None
    id_token_alg: IdTokenAlg
    dpop_bound: bool = strawberry.field(description="Whether its tokens need a DPoP proof (RFC 9449).")
    workspace_id: strawberry.ID | None = strawberry.field(description="Where it acts by itself; null for all.")
    last_used_at: DateTime | None = strawberry.field(description="To the hour.")
    created_at: DateTime
    updated_at: DateTime

    @classmethod
    def of(cls, row: models.OAuthApp, approved: bool = True) -> Self:
        expires = row.previous_secret_expires_at
        dynamic = row.origin == "dynamic"
        return cls(
            id=strawberry.ID(ids.encode(Prefix.OAUTH_APP, row.id)),
            name=row.name,
            description=row.description,
            mode=Mode(row.mode),
            origin=OAuthAppOrigin.SELF_REGISTERED if dynamic else OAuthAppOrigin.ORGANIZATION,
            approved=approved,
            confidential=row.confidential,
            secret_hint=row.secret_hint,
            previous_secret_expires_at=moment(expires) if expires and expires > utcnow() else None,
            redirect_uris=row.redirect_uris,
            grant_types=[SHOWN[name] for name in row.grant_types],
            scopes=in_order(row.scopes),
            requested_scopes=in_order(row.requested_scopes or []),
            client_uri=row.client_uri,
            policy_uri=row.policy_uri,
            tos_uri=row.tos_uri,
            id_token_alg=IdTokenAlg(row.id_token_alg),
            dpop_bound=row.dpop_bound,
            workspace_id=id_of(Prefix.WORKSPACE, row.workspace_id),
            last_used_at=moment(row.last_used_at),
            created_at=DateTime(row.created_at),
            updated_at=DateTime(row.updated_at),
        )
