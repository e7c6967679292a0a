"""A real Chromium for the tests marked `browser`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Literal

from playwright.async_api import Page, async_playwright

from tests.fixtures.programs import program

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_ARGUMENTS = [
    "--no-sandbox",  # tests often run as root in a container, where Chromium's own sandbox cannot start
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def chromium_path() -> str:
    return program(*_NAMES, hint="sh scripts/toolchains.sh chromium")


class Tab:
    """An open page, every request it made, and what it complained about on the console."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.requests: list[str] = []
        self.console: list[str] = []
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("console", lambda message: self.console.append(message.text))
        page.on("pageerror", lambda error: self.console.append(f"uncaught: {error}"))

    async def screenshot(self, path: Path) -> None:
        """Into `path`; fails when the picture is blank (a blank one compresses to next to nothing)."""
        picture = await self.page.screenshot(path=path)
        width, height = int.from_bytes(picture[16:20], "big"), int.from_bytes(picture[20:24], "big")
        assert len(picture) > width * height / 100, f"{path.name} looks blank: {len(picture)} bytes"


@asynccontextmanager
async def open_tab(
    url: str, width: int = 1280, height: int = 800, scheme: Literal["light", "dark"] = "light"
) -> AsyncIterator[Tab]:
    path = chromium_path()
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=_ARGUMENTS)
        try:
            context = await browser.new_context(
                viewport={"width": width, "height": height}, color_scheme=scheme, locale="en-GB"
            )
            page = await context.new_page()
            page.set_default_timeout(15_000)
            tab = Tab(page)
            await page.goto(url)
            await page.get_by_text("Live", exact=True).wait_for(state="attached")
            yield tab
        finally:
            await browser.close()
