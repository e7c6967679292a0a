"""What the OAuth endpoints read before they think: plain values, so rules do no I/O and tests need no database.

A `Store` holds what was read for one request and collects what is to be written; the shell writes it in the
transaction of the reads, also when the answer is an OAuth error (a replay must revoke, and be told so).
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from penguinmails_core.kit import ids
from penguinmails_core.kit.ids import Prefix
from penguinmails_core.models import NOBODY
from penguinmails_core.oauth.secrets import digest

CODE_GRANT = "authorization_code"
REFRESH_GRANT = "refresh_token"
CLIENT_GRANT = "client_credentials"
DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
GRANT_TYPES = (CODE_GRANT, REFRESH_GRANT, CLIENT_GRANT, DEVICE_GRANT)


@dataclass(frozen=True, slots=True)
class App:
    """A client. `secrets` are hashes of the secrets that count now. `approved`: some organization gave it all it asked
    for (`requested_scopes`)."""

    id: UUID
    organization_id: UUID
    workspace_id: UUID | None
    mode: str
    name: str
    confidential: bool
    secrets: tuple[bytes, ...]
    redirect_uris: tuple[str, ...]
    grant_types: tuple[str, ...]
    scopes: tuple[str, ...]
    requested_scopes: tuple[str, ...] = ()
    client_uri: str | None = None
    id_token_alg: str = "RS256"  # noqa: S105
    dpop_bound: bool = False
    approved: bool = False

    @property
    def client_id(self) -> str:
        return ids.encode(Prefix.OAUTH_APP, self.id)

    @property
    def dynamic(self) -> bool:
        """It registered itself: nobody has looked at it."""
        return self.organization_id == NOBODY and self.id != CLI.id

    def check_secret(self, secret: str) -> bool:
        given = digest(secret)
        return any(hmac.compare_digest(given, known) for known in self.secrets)

    @classmethod
    def of(cls, row: Any) -> App:
        return cls(
            id=row["id"],
            organization_id=row["organization_id"],
            workspace_id=row["workspace_id"],
            mode=row["mode"],
            name=row["name"],
            confidential=row["confidential"],
            secrets=tuple(secret for secret in (row["secret_hash"], row["previous_secret"]) if secret is not None),
            redirect_uris=tuple(row["redirect_uris"]),
            grant_types=tuple(row["grant_types"]),
            scopes=tuple(row["scopes"]),
            requested_scopes=tuple(row["requested_scopes"]),
            client_uri=row["client_uri"],
            id_token_alg=row["id_token_alg"],
            dpop_bound=row["dpop_bound"],
            approved=row["approved"],
        )


def _cli() -> App:
    from penguinmails_core.oauth.scopes import SUPPORTED

    return App(
        id=UUID("019ab000-0000-7000-8000-00000000c11a"),
        organization_id=NOBODY,
        workspace_id=None,
        mode="live",
        name="PenguinMails command line",
        confidential=False,
        secrets=(),
        redirect_uris=(),
        grant_types=(DEVICE_GRANT, REFRESH_GRANT),
        scopes=SUPPORTED,
    )


@dataclass(frozen=True, slots=True)
class Grant:
    """The family that codes and tokens belong to."""

    id: UUID
    organization_id: UUID
    app_id: UUID
    user_id: UUID | None
    workspace_id: UUID | None
    mode: str
    scopes: tuple[str, ...]
    resources: tuple[str, ...]
    jkt: str | None = None
    auth_time: datetime | None = None
    amr: tuple[str, ...] = ()
    revoked: bool = False

    @classmethod
    def of(cls, row: Any) -> Grant:
        return cls(
            id=row["grant_id"],
            organization_id=row["organization_id"],
            app_id=row["app_id"],
            user_id=row["user_id"],
            workspace_id=row["workspace_id"],
            mode=row["mode"],
            scopes=tuple(row["scopes"]),
            resources=tuple(row["resources"]),
            jkt=row["jkt"],
            auth_time=row["auth_time"],
            amr=tuple(row["amr"]),
            revoked=row["revoked_at"] is not None,
        )


@dataclass(frozen=True, slots=True)
class Code:
    """`get_*` are what Authlib asks for."""

    hash: bytes
    grant: Grant
    redirect_uri: str
    code_challenge: str
    nonce: str | None
    expired: bool
    used: bool
    code_challenge_method: str = "S256"

    def get_scope(self) -> str:
        return " ".join(self.grant.scopes)


@dataclass(frozen=True, slots=True)
class RefreshToken:
    """`used_for`: seconds since it was exchanged, None when it was not."""

    hash: bytes
    grant: Grant
    expired: bool
    used_for: float | None

    def get_scope(self) -> str:
        return " ".join(self.grant.scopes)


@dataclass(frozen=True, slots=True)
class Device:
    """`polled_for`: seconds since the last poll."""

    hash: bytes
    user_code: str
    app_id: UUID
    scopes: tuple[str, ...]
    status: str
    interval: int
    polled_for: float | None
    expired: bool
    grant: Grant | None

    def get_client_id(self) -> str:
        return ids.encode(Prefix.OAUTH_APP, self.app_id)

    def get_scope(self) -> str:
        return " ".join(self.grant.scopes) if self.grant else ""

    def get_user_code(self) -> str:
        return self.user_code

    def is_expired(self) -> bool:
        return self.expired


@dataclass(frozen=True, slots=True)
class Person:
    """The user behind a grant, and what they may do in its organization now. None of it for apps that act alone."""

    id: UUID
    email: str
    email_verified: bool
    name: str | None
    scopes: frozenset[str]


@dataclass(slots=True)
class Store:
    """`app` is what `query_client` finds. A read that nobody foresaw raises LookupError: a defect, never a guess."""

    app: App | None = None
    code: Code | None = None
    refresh_token: RefreshToken | None = None
    device: Device | None = None
    grant: Grant | None = None
    person: Person | None = None
    writes: list[tuple[str, Sequence[Any]]] = field(default_factory=list)

    def write(self, statement: str, *arguments: Any) -> None:
        """`statement` is a constant of a repository."""
        self.writes.append((statement, arguments))


CLI = _cli()
"""The app behind `penguinmails login`. It is part of the program, so that every server knows it."""
