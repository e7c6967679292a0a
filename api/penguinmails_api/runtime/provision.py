"""A tenant that can send at once: organization, verified domain, live and test key."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from penguinmails_api.identity.browser import cookie_name
from penguinmails_api.services import Services
from penguinmails_core.api_keys.service import create_key
from penguinmails_core.config import ConfigError
from penguinmails_core.domains.service import create_domain
from penguinmails_core.identity.accounts import create_person
from penguinmails_core.identity.sessions import PASSWORD, Browser
from penguinmails_core.kit import ids
from penguinmails_core.kit.addresses import AddressError
from penguinmails_core.kit.crypto import SecretBox
from penguinmails_core.kit.db import Database
from penguinmails_core.kit.ids import Prefix
from penguinmails_core.oauth import apps
from penguinmails_core.oauth.records import GRANT_TYPES
from penguinmails_core.oauth.scopes import in_order
from penguinmails_core.organizations.service import create_organization
from penguinmails_core.scopes import ALL_SCOPES
from penguinmails_core.system_mail.service import prepare


@dataclass(frozen=True, slots=True)
class Tenant:
    """`api_key` and `test_key` are shown here and nowhere else; `sender` is an address that may send."""

    organization_id: UUID
    workspace_id: UUID
    api_key: str
    test_key: str
    sender: str

    @property
    def id(self) -> str:
        return ids.encode("org", self.organization_id)


async def create_tenant(database: Database, box: SecretBox, name: str, domain: str) -> Tenant:
    """For stacks that nothing leaves: `domain` counts as verified without a look at DNS."""
    organization = await create_organization(database, name)
    await create_domain(database, box, organization.id, organization.default_workspace_id, domain, verified=True)
    keys = {}
    for mode in ("live", "test"):
        _, keys[mode] = await create_key(database, organization.id, mode=mode, name=f"{name} {mode}", scopes=ALL_SCOPES)
    return Tenant(organization.id, organization.default_workspace_id, keys["live"], keys["test"], f"hello@{domain}")


async def prepare_mail(services: Services) -> None:
    """Before a server starts: whatever its own mail needs. Raises `ConfigError` for a malformed sender."""
    settings, box = services.settings, services.box
    sender = settings.stack.system_mail_from
    if sender is None or box is None:
        return
    try:
        await prepare(services.database, box, sender, nothing_leaves=settings.sender.transport == "capture")
    except AddressError as error:
        raise ConfigError(f"PENGUINMAILS_SYSTEM_MAIL_FROM: {error.detail}") from None


async def signed_in_cookie(services: Services, tenant: Tenant, email: str) -> str:
    """``pm_session=...``: the Cookie header of a browser in which the owner of `tenant` is signed in, for tools that
    walk through pages (`sandbox --json`). The person has no password; the sign-in counts as fresh for 15 minutes.

    Call it after `services.serve_at(...)`, since the cookie's name depends on the public URL."""
    user_id, _ = await create_person(
        services.database, email, name="Owner", organization_id=tenant.organization_id, role="owner"
    )
    signed = await services.identity.start_session(user_id, [PASSWORD], Browser("127.0.0.1", "sandbox"))
    return f"{cookie_name(services.public)}={signed.token}"


@dataclass(frozen=True, slots=True)
class SandboxClient:
    """A confidential OAuth app, and the cookie of a browser in which its organization's owner is signed in: enough for
    a program to walk through every flow (docs/oauth.md)."""

    client_id: str
    client_secret: str
    redirect_uri: str
    scope: str
    cookie: str


async def create_oauth_client(services: Services, tenant: Tenant, email: str) -> SandboxClient:
    """Call it after `services.serve_at(...)`, as `signed_in_cookie`."""
    caller = (await services.authenticator.find(tenant.api_key)).check()
    redirect_uri = "http://127.0.0.1:53682/callback"  # nothing listens there; programs read the Location
    scopes = ["emails:read", "emails:write", "events:read", "domains:read", "openid", "email", "profile"]
    wanted = {
        "name": "Sandbox app",
        "confidential": True,
        "redirect_uris": [redirect_uri],
        "grant_types": list(GRANT_TYPES),
        "scopes": scopes,
    }
    async with services.database.tenant(tenant.organization_id) as session:
        app, secret = await apps.create(session, caller, wanted)
    assert secret is not None
    cookie = await signed_in_cookie(services, tenant, email)
    client_id = ids.encode(Prefix.OAUTH_APP, app.id)
    return SandboxClient(client_id, secret, redirect_uri, " ".join(in_order(scopes)), cookie)
