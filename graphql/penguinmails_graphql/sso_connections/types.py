"""Identity providers that an organization signs in with."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Self

import strawberry
from strawberry.scalars import JSON

from penguinmails_core import models
from penguinmails_core.identity.origin import PublicUrl
from penguinmails_core.kit import ids
from penguinmails_core.kit.ids import Prefix
from penguinmails_core.sso import domains
from penguinmails_core.sso.service import Connection
from penguinmails_graphql.relay import Node
from penguinmails_graphql.scalars import DateTime, moment


@strawberry.enum
class SsoProtocol(StrEnum):
    OIDC = "oidc"
    SAML = "saml"


@strawberry.enum(description="`DISABLED`: nobody signs in with it, and its SCIM tokens are refused.")
class SsoStatus(StrEnum):
    ACTIVE = "active"
    DISABLED = "disabled"


@strawberry.enum(description="What a connection may give. Owners and admins are made by owners.")
class SsoRole(StrEnum):
    DEVELOPER = "developer"
    MEMBER = "member"
    VIEWER = "viewer"
    BILLING = "billing"


@strawberry.type(description="A mail domain and how to prove it: publish the TXT record, then `verifySsoDomains`.")
class SsoDomain:
    name: str = strawberry.field(description="In A-labels.")
    verified: bool
    verified_at: DateTime | None
    record_name: str
    record_value: str

    @classmethod
    def of(cls, row: models.SsoDomain) -> Self:
        return cls(
            name=row.name,
            verified=row.verified_at is not None,
            verified_at=moment(row.verified_at),
            record_name=domains.record_name(row.name),
            record_value=domains.record_value(row.token),
        )


@strawberry.type(description="An identity provider and what to enter there.")
class SsoConnection(Node):
    protocol: SsoProtocol
    name: str
    status: SsoStatus
    issuer: str
    client_id: str | None
    has_client_secret: bool
    sso_url: str | None
    certificates: list[str] = strawberry.field(description="In PEM.")
    domains: list[SsoDomain]
    enforced: bool
    default_role: SsoRole
    group_roles: JSON = strawberry.field(description="Roles by the display name of SCIM groups, as in `viewer`.")
    redirect_uri: str | None = strawberry.field(description="Null for SAML.")
    acs_url: str | None = strawberry.field(description="Null for OIDC.")
    entity_id: str | None = strawberry.field(description="Ours; the metadata is there, too. Null for OIDC.")
    scim_url: str
    last_used_at: DateTime | None
    created_at: DateTime
    updated_at: DateTime

    @classmethod
    def of(cls, connection: Connection, public: PublicUrl) -> Self:
        row, oidc = connection.row, connection.row.protocol == "oidc"
        node_id = ids.encode(Prefix.SSO_CONNECTION, row.id)
        base = f"{public.base}/sso/{row.protocol}/{node_id}"
        return cls(
            id=strawberry.ID(node_id),
            protocol=SsoProtocol(row.protocol),
            name=row.name,
            status=SsoStatus(row.status),
            issuer=row.issuer,
            client_id=row.client_id,
            has_client_secret=row.client_secret is not None,
            sso_url=row.sso_url,
            certificates=row.certificates,
            domains=[SsoDomain.of(domain) for domain in connection.domains],
            enforced=row.enforced,
            default_role=SsoRole(row.default_role),
            group_roles=JSON(row.group_roles),
            redirect_uri=f"{base}/callback" if oidc else None,
            acs_url=None if oidc else f"{base}/acs",
            entity_id=None if oidc else f"{base}/metadata",
            scim_url=f"{public.base}/scim/v2",
            last_used_at=moment(row.last_used_at),
            created_at=DateTime(row.created_at),
            updated_at=DateTime(row.updated_at),
        )


@strawberry.type(description="One thing that was looked at.")
class SsoCheck:
    name: str
    ok: bool
    detail: str | None = strawberry.field(description="What is wrong; null when nothing is.")


@strawberry.type(description="Whether people could sign in, as far as that can be seen without one of them.")
class TestSsoConnectionPayload:
    ok: bool
    checks: list[SsoCheck]

    @classmethod
    def of(cls, found: Sequence[tuple[str, str | None]]) -> Self:
        checks = [SsoCheck(name=name, ok=detail is None, detail=detail) for name, detail in found]
        return cls(ok=all(check.ok for check in checks), checks=checks)


@strawberry.type(description="What an identity provider shows at /scim/v2; the token itself is not shown again.")
class ScimToken:
    id: strawberry.ID
    name: str
    expires_at: DateTime | None
    revoked_at: DateTime | None
    last_used_at: DateTime | None
    created_at: DateTime

    @classmethod
    def of(cls, row: models.ScimToken) -> Self:
        return cls(
            id=strawberry.ID(ids.encode(Prefix.SCIM_TOKEN, row.id)),
            name=row.name,
            expires_at=moment(row.expires_at),
            revoked_at=moment(row.revoked_at),
            last_used_at=moment(row.last_used_at),
            created_at=DateTime(row.created_at),
        )
