"""A real Chromium on our pages: a tab with its complaints, axe-core, and a virtual authenticator."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal

from playwright.async_api import BrowserContext, CDPSession, Page, async_playwright

from tests.contract.node import need
from tests.sender.inbox.browser import _ARGUMENTS, Tab, chromium_path

AXE = Path(__file__).parent.parent / "node/node_modules/axe-core/axe.min.js"


class PageTab(Tab):
    """`devtools` speaks the Chrome DevTools protocol."""

    def __init__(self, page: Page, site: str, devtools: CDPSession) -> None:
        super().__init__(page)
        self.site = site
        self.devtools = devtools

    async def go(self, path: str) -> None:
        await self.page.goto(self.site + path)

    async def fill_in(self, button: str, **fields: str) -> None:
        for name, value in fields.items():
            await self.page.fill(f"main [name={name}]", value)
        await self.press(button)

    async def press(self, button: str) -> None:
        await self.page.get_by_role("button", name=button, exact=True).click()

    async def at(self, path: str) -> None:
        """Waits until the address is `path`, whatever its query."""
        await self.page.wait_for_url(lambda url: url.removeprefix(self.site).partition("?")[0] == path)

    async def heading(self, text: str) -> None:
        await self.page.get_by_role("heading", name=text, level=1).wait_for()

    async def sign_in(self, email: str, password: str) -> None:
        await self.go("/login")
        await self.fill_in("Sign in", email=email, password=password)

    async def sign_out(self) -> None:
        await self.press("Sign out")
        await self.heading("Sign in")

    async def add_authenticator(self) -> str:
        """A built-in authenticator that confirms everything; returns its id."""
        await self.devtools.send("WebAuthn.enable")
        options = {
            "protocol": "ctap2",
            "ctap2Version": "ctap2_1",
            "transport": "internal",
            "hasResidentKey": True,
            "hasUserVerification": True,
            "isUserVerified": True,
            "automaticPresenceSimulation": True,
        }
        made = await self.devtools.send("WebAuthn.addVirtualAuthenticator", {"options": options})
        return str(made["authenticatorId"])

    async def check_accessible(self) -> None:
        """No serious or critical finding of axe-core. (A script tag would be stopped by our own policy.)"""
        need("axe-core")
        await self.page.evaluate(AXE.read_text())
        found: dict[str, Any] = await self.page.evaluate("axe.run()")
        bad = [
            f"{item['id']}: {json.dumps([node['target'] for node in item['nodes']])}"
            for item in found["violations"]
            if item["impact"] in ("serious", "critical")
        ]
        assert not bad, f"{self.page.url}: {bad}"


@asynccontextmanager
async def open_page(
    site: str, width: int = 1000, height: int = 760, scheme: Literal["light", "dark"] = "light"
) -> AsyncIterator[PageTab]:
    """A browser of its own. Its end checks that no page complained and nothing came from another host."""
    path = chromium_path()
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=_ARGUMENTS)
        try:
            context: BrowserContext = await browser.new_context(
                viewport={"width": width, "height": height}, color_scheme=scheme, locale="en-GB"
            )
            page = await context.new_page()
            page.set_default_timeout(15_000)
            tab = PageTab(page, site, await context.new_cdp_session(page))
            yield tab
            foreign = [url for url in tab.requests if not url.startswith((site, "data:"))]
            assert not foreign, foreign
            # Refused requests are ours, and who types before `autofocus` has come is not called back.
            complaints = [text for text in tab.console if "status of" not in text and "Autofocus" not in text]
            assert not complaints, complaints
        finally:
            await browser.close()
