"""Single sign-on connections and SCIM tokens as the API shows them."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated, Any, Self
from uuid import UUID

from pydantic import Field, StrictBool

from penguinmails_api.v1.common import Moment, Page, RequestBody, Resource, Timestamp, from_path, typeid
from penguinmails_api.v1.limits import AtMost
from penguinmails_api.v1.paging import PageQuery, next_cursor
from penguinmails_core import models
from penguinmails_core.identity.origin import PublicUrl
from penguinmails_core.kit import ids
from penguinmails_core.kit.http_guard import MAX_URL
from penguinmails_core.kit.ids import Prefix
from penguinmails_core.sso import domains, rules
from penguinmails_core.sso.service import Connection

ConnectionIdInPath = Annotated[
    UUID, from_path(Prefix.SSO_CONNECTION, "single sign-on connection"), typeid(Prefix.SSO_CONNECTION)
]
TokenIdInPath = Annotated[UUID, from_path(Prefix.SCIM_TOKEN, "SCIM token"), typeid(Prefix.SCIM_TOKEN)]


class SsoProtocol(StrEnum):
    OIDC = "oidc"
    SAML = "saml"


class SsoStatus(StrEnum):
    """`disabled`: nobody signs in with it, and its SCIM tokens are refused."""

    ACTIVE = "active"
    DISABLED = "disabled"


class SsoRole(StrEnum):
    """What a connection may give. Owners and admins are made by owners."""

    DEVELOPER = "developer"
    MEMBER = "member"
    VIEWER = "viewer"
    BILLING = "billing"


Name = Annotated[str, Field(min_length=1, max_length=100, description="For people.", examples=["Acme Okta"])]
Issuer = Annotated[
    str,
    Field(
        min_length=1,
        max_length=rules.MAX_TEXT,
        description="OIDC: the issuer URL, under which `/.well-known/openid-configuration` is read. SAML: the "
        "provider's entity id. Changing it forgets who its people are here; their addresses decide anew.",
        examples=["https://login.acme.example"],
    ),
]
ClientId = Annotated[
    str | None,
    Field(max_length=rules.MAX_TEXT, description="OIDC only, needed there.", examples=["penguinmails"]),
]
ClientSecret = Annotated[
    str | None,
    Field(max_length=rules.MAX_TEXT, description="OIDC only; never shown. Leave it out for a public client (PKCE)."),
]
SsoUrl = Annotated[
    str | None,
    Field(
        max_length=MAX_URL,
        description="SAML only, needed there: where sign-in requests go (HTTP-Redirect binding).",
        examples=[None],
    ),
]
Certificates = Annotated[
    list[Annotated[str, Field(min_length=1, max_length=10_000)]],
    Field(
        max_length=rules.MAX_CERTIFICATES,
        description="SAML only, at least one there: what the identity provider signs with, X.509 in PEM or base64. "
        "Give the old and the new one while it changes over.",
        examples=[[]],
    ),
]
Domains = Annotated[
    list[Annotated[str, Field(min_length=1, max_length=255)]],
    Field(
        max_length=rules.MAX_DOMAINS,
        description="Mail domains of the organization. People come in by address only in proven ones (`verify`).",
        examples=[["acme.example"]],
    ),
]
Enforced = Annotated[
    StrictBool,
    Field(
        description="Members whose address is in a proven domain sign in here only, not by password or passkey. Owners "
        "are free, so that the organization is not locked out when its provider is away."
    ),
]
DefaultRole = Annotated[SsoRole, Field(description="Of people who come the first time, by sign-in or SCIM.")]
GroupRoles = Annotated[
    Annotated[dict[str, SsoRole], AtMost(maxProperties=rules.MAX_GROUPS)],
    Field(
        max_length=rules.MAX_GROUPS,
        description="SCIM groups that give a role, by display name. Of several, the one with most rights counts; "
        "owners, admins and custom roles are left alone.",
        examples=[{"Engineering": "developer"}],
    ),
]


class SsoConnectionCreate(RequestBody):
    """An identity provider to sign in with."""

    protocol: SsoProtocol
    name: Name
    issuer: Issuer
    client_id: ClientId = None
    client_secret: ClientSecret = None
    sso_url: SsoUrl = None
    certificates: Certificates = Field(default_factory=list)
    domains: Domains = Field(default_factory=list)
    enforced: Enforced = False
    default_role: DefaultRole = SsoRole.MEMBER
    group_roles: GroupRoles = Field(default_factory=dict)

    def given(self) -> dict[str, Any]:
        return self.model_dump(exclude={"protocol"}, mode="json")


def _unset() -> Any:
    """Of a field that may be left out and may not be null. Never read: see `changes`."""


class SsoConnectionUpdate(RequestBody):
    """Only what is given is changed. `domains`, `certificates` and `group_roles` are replaced as a whole; domains that
    stay keep their proof. `client_secret: null` takes the secret away."""

    name: Name = Field(default_factory=_unset)
    status: SsoStatus = Field(default_factory=_unset)
    issuer: Issuer = Field(default_factory=_unset)
    client_id: ClientId = Field(default_factory=_unset)
    client_secret: ClientSecret = Field(default_factory=_unset)
    sso_url: SsoUrl = Field(default_factory=_unset)
    certificates: Certificates = Field(default_factory=_unset)
    domains: Domains = Field(default_factory=_unset)
    enforced: Enforced = Field(default_factory=_unset)
    default_role: DefaultRole = Field(default_factory=_unset)
    group_roles: GroupRoles = Field(default_factory=_unset)

    def changes(self) -> dict[str, Any]:
        return self.model_dump(include=self.model_fields_set, mode="json")


class SsoConnectionListQuery(PageQuery):
    pass


class SsoDomain(Resource):
    """A mail domain and how to prove it: publish the TXT record, then `verify`."""

    name: str = Field(description="In A-labels.", examples=["acme.example"])
    verified: bool
    verified_at: Timestamp | None
    record_name: str = Field(examples=["_penguinmails-sso.acme.example"])
    record_value: str = Field(examples=["penguinmails-sso=7f0c2b1d9a8e4c3f8b6a5d4e3f2a1b0c"])

    @classmethod
    def of(cls, row: models.SsoDomain) -> Self:
        return cls(
            name=row.name,
            verified=row.verified_at is not None,
            verified_at=row.verified_at,
            record_name=domains.record_name(row.name),
            record_value=domains.record_value(row.token),
        )


class SsoConnection(Resource):
    """An identity provider and what to enter there: `redirect_uri` for OIDC; `acs_url` and `entity_id` (or the metadata
    at that address) for SAML; `scim_url` for provisioning."""

    untagged = frozenset({"last_used_at"})

    id: Annotated[str, typeid(Prefix.SSO_CONNECTION)]
    protocol: SsoProtocol
    name: str = Field(examples=["Acme Okta"])
    status: SsoStatus
    issuer: str = Field(examples=["https://login.acme.example"])
    client_id: str | None = Field(examples=["penguinmails"])
    has_client_secret: bool
    sso_url: str | None = Field(examples=[None])
    certificates: list[str] = Field(description="In PEM.", examples=[[]])
    domains: list[SsoDomain]
    enforced: bool
    default_role: SsoRole
    group_roles: dict[str, SsoRole] = Field(examples=[{"Engineering": "developer"}])
    redirect_uri: str | None = Field(
        description="Null for SAML.",
        examples=["https://mail.example.com/sso/oidc/sso_01kaz6yzwhe1xrqm3c8s4q3m8r/callback"],
    )
    acs_url: str | None = Field(description="Null for OIDC.", examples=[None])
    entity_id: str | None = Field(description="Ours; the metadata is there, too. Null for OIDC.", examples=[None])
    scim_url: str = Field(examples=["https://mail.example.com/scim/v2"])
    last_used_at: Timestamp | None = Field(description="When somebody signed in with it last.")
    created_at: Timestamp
    updated_at: Timestamp

    @classmethod
    def of(cls, connection: Connection, public: PublicUrl) -> Self:
        row = connection.row
        typeid_ = ids.encode(Prefix.SSO_CONNECTION, row.id)
        oidc = row.protocol == "oidc"
        base = f"{public.base}/sso/{row.protocol}/{typeid_}"
        return cls(
            id=typeid_,
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
            group_roles={name: SsoRole(role) for name, role in row.group_roles.items()},
            redirect_uri=f"{base}/callback" if oidc else None,
            acs_url=None if oidc else f"{base}/acs",
            entity_id=None if oidc else f"{base}/metadata",
            scim_url=f"{public.base}/scim/v2",
            last_used_at=row.last_used_at,
            created_at=row.created_at,
            updated_at=row.updated_at,
        )


class SsoConnectionList(Page[SsoConnection]):
    """Connections, the newest first."""

    @classmethod
    def of(cls, rows: Sequence[Connection], has_more: bool, public: PublicUrl, *, backwards: bool) -> Self:
        return cls(
            data=[SsoConnection.of(row, public) for row in rows],
            has_more=has_more,
            next_cursor=next_cursor([row.row.id for row in rows], has_more, backwards=backwards),
        )


class SsoCheck(Resource):
    """One thing that was looked at."""

    name: str = Field(
        description="`discovery`, `signing_algorithms`, `keys`, `pkce`, `certificates`, `library`, "
        "`provisioning`; more may come.",
        examples=["discovery"],
    )
    ok: bool
    detail: str | None = Field(description="What is wrong; null when nothing is.")


class SsoTestResult(Resource):
    """Whether people could sign in, as far as that can be seen without one of them."""

    ok: bool
    checks: list[SsoCheck]

    @classmethod
    def of(cls, found: Sequence[tuple[str, str | None]]) -> Self:
        checks = [SsoCheck(name=name, ok=detail is None, detail=detail) for name, detail in found]
        return cls(ok=all(check.ok for check in checks), checks=checks)


class ScimTokenCreate(RequestBody):
    """A token for the identity provider's SCIM client."""

    name: Name
    expires_at: Moment | None = Field(None, description="Left out or null: it does not expire.")


class _ScimToken(Resource):
    id: Annotated[str, typeid(Prefix.SCIM_TOKEN)]
    name: str = Field(examples=["Acme Okta"])
    expires_at: Timestamp | None
    revoked_at: Timestamp | None
    last_used_at: Timestamp | None
    created_at: Timestamp


def _columns(row: models.ScimToken) -> dict[str, Any]:
    return {
        "id": ids.encode(Prefix.SCIM_TOKEN, row.id),
        "name": row.name,
        "expires_at": row.expires_at,
        "revoked_at": row.revoked_at,
        "last_used_at": row.last_used_at,
        "created_at": row.created_at,
    }


class ScimToken(_ScimToken):
    """What an identity provider shows at /scim/v2; the token itself is not shown again."""

    @classmethod
    def of(cls, row: models.ScimToken) -> Self:
        return cls(**_columns(row))


class ScimTokenWithSecret(_ScimToken):
    """A SCIM token. Keep it: it is shown this once."""

    token: str | None = Field(
        description="Send it as `Authorization: Bearer ...`. Null when this is a replay by Idempotency-Key: secrets "
        "are not stored with answers.",
        examples=["pm_scim_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo"],
    )

    @classmethod
    def of(cls, row: models.ScimToken, secret: str) -> Self:
        return cls(**_columns(row), token=secret)


class ScimTokenList(Page[ScimToken]):
    """All tokens of a connection, the newest first; there are few, so it is one page."""

    @classmethod
    def of(cls, rows: Sequence[models.ScimToken]) -> Self:
        return cls(data=[ScimToken.of(row) for row in rows], has_more=False, next_cursor=None)
