"""The reference in a real Chromium: an operation is tried with a test key, by keyboard; axe finds nothing serious; no
file comes from elsewhere and nothing breaks the policy."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Literal

import pytest
from playwright.async_api import Browser, Page, async_playwright, expect

from penguinmails_api.app import create_gateway
from penguinmails_api.runtime.server import ApiServer
from penguinmails_api.services import Services
from tests.contract.node import MODULES, need
from tests.fixtures.factories import Tenant
from tests.sender.inbox.browser import chromium_path

pytestmark = pytest.mark.browser


@pytest.fixture
async def address(services: Services) -> AsyncIterator[str]:
    server = ApiServer(create_gateway(services), "127.0.0.1", 0)
    server.bind()
    await server.start()
    try:
        yield server.url
    finally:
        await server.stop()


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    path = chromium_path()
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        try:
            yield browser
        finally:
            await browser.close()


class Visit:
    """A page, where its files came from, and what it complained about."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.requests: list[str] = []
        self.console: list[str] = []
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("console", lambda message: self.console.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: self.console.append(f"uncaught: {error}"))


async def visit(browser: Browser, url: str, scheme: Literal["light", "dark"] = "light", width: int = 1440) -> Visit:
    context = await browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, locale="en-GB")
    seen = Visit(await context.new_page())
    seen.page.set_default_timeout(15_000)
    await seen.page.goto(url)
    return seen


async def serious(page: Page) -> list[str]:
    """What axe finds, of the two upper classes."""
    need("axe-core")
    # Through the debugging protocol, so that the page's policy need not be weakened for the test.
    await page.evaluate((MODULES / "axe-core" / "axe.min.js").read_text())
    result: dict[str, Any] = await page.evaluate("() => axe.run(document)")
    return [
        f"{each['id']}: {each['nodes'][0]['html'][:200]}"
        for each in result["violations"]
        if each["impact"] in ("serious", "critical")
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_nobody_is_shut_out(
    browser: Browser, address: str, scheme: Literal["light", "dark"], tmp_path: Path
) -> None:
    for path in ("/docs", "/docs/reference/emails", "/docs/reference/webhooks", "/problems", "/docs/guides/layout"):
        seen = await visit(browser, address + path, scheme)
        assert await serious(seen.page) == [], path
        for details in await seen.page.locator("details").all():
            await details.evaluate("each => each.open = true")
        assert await serious(seen.page) == [], f"{path}, unfolded"
        picture = await seen.page.screenshot(path=tmp_path / f"{path.strip('/').replace('/', '-')}-{scheme}.png")
        assert len(picture) > 20_000
        assert seen.console == [], path
        assert all(url.startswith(address) for url in seen.requests), path
        await seen.page.context.close()


async def test_nothing_is_wider_than_a_phone(browser: Browser, address: str) -> None:
    for path in ("/docs", "/docs/reference/emails", "/docs/reference/webhooks", "/docs/guides/configuration"):
        seen = await visit(browser, address + path, width=390)
        wide = await seen.page.evaluate("() => document.documentElement.scrollWidth")
        assert wide <= 390, path
        await seen.page.context.close()


async def test_an_operation_is_tried_by_keyboard_alone(browser: Browser, address: str, tenant: Tenant) -> None:
    seen = await visit(browser, f"{address}/docs/reference/emails")
    page = seen.page
    await page.keyboard.press("Tab")
    await expect(page.get_by_text("Skip to the content")).to_be_focused()
    await page.keyboard.press("Enter")
    await page.keyboard.press("Tab")
    await expect(page.get_by_label("Test key to try operations with")).to_be_focused()
    await page.keyboard.type(tenant.test)
    form = page.get_by_role("form", name="Try Send an email")
    await form.get_by_text("Try it").focus()
    await page.keyboard.press("Enter")
    await form.get_by_role("button", name="Send POST").focus()
    await page.keyboard.press("Enter")
    result = form.get_by_role("status")
    await expect(result).to_contain_text("202")
    await expect(result).to_contain_text("msg_")
    await expect(result).to_contain_text("request-id: req_")
    assert seen.console == []


async def test_a_live_key_is_refused_and_a_test_key_stays_in_its_tab(
    browser: Browser, address: str, tenant: Tenant
) -> None:
    seen = await visit(browser, f"{address}/docs/reference/me")
    page = seen.page
    key = page.get_by_label("Test key to try operations with")
    form = page.locator("form.try").first
    await form.get_by_text("Try it").click()
    send, result = form.get_by_role("button", name="Send GET"), form.get_by_role("status")
    await send.click()
    await expect(result).to_contain_text("Paste a test key")
    await key.fill(tenant.key)
    await send.click()
    await expect(result).to_contain_text("Paste a test key")
    assert not [url for url in seen.requests if "/v1/" in url]
    await key.fill(tenant.test)
    await send.click()
    await expect(result).to_contain_text('"mode": "test"')
    await page.goto(f"{address}/docs/reference/emails")
    await expect(page.get_by_label("Test key to try operations with")).to_have_value(tenant.test)
    other = await page.context.new_page()
    await other.goto(f"{address}/docs/reference/emails")
    await expect(other.get_by_label("Test key to try operations with")).to_have_value("")
    assert await other.evaluate("() => [localStorage.length, document.cookie]") == [0, ""]
    await page.get_by_role("button", name="Forget").click()
    assert await page.evaluate("() => sessionStorage.length") == 0


async def test_swagger_ui_draws_every_tag(browser: Browser, address: str) -> None:
    seen = await visit(browser, f"{address}/docs/swagger")
    for name in ("emails", "webhook_endpoints", "events"):
        await expect(seen.page.locator(f"#operations-tag-{name}")).to_be_visible()
    assert all(url.startswith((address, "data:")) for url in seen.requests)
    assert not [line for line in seen.console if "Content Security Policy" in line or "uncaught" in line]
