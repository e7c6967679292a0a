"""Consent, devices and connected apps in a real Chromium: under our policy, by keyboard, before axe-core."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.identity.tab import PageTab, open_page
from tests.oauth.test_clients import world
from tests.oauth.test_registration import app_of, register
from tests.oauth.world import Flow, World

__all__ = ["world"]

pytestmark = pytest.mark.browser


async def _hello(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    body = b"<!doctype html><title>app</title><p>Hello"
    head = f"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    writer.write(head.encode() + body)
    await writer.drain()
    writer.close()


@pytest.fixture
async def callback() -> AsyncIterator[str]:
    """The app at the other end of the redirect: it listens on this machine, on a port of its own."""
    server = await asyncio.start_server(_hello, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/cb"


@asynccontextmanager
async def person_at(world: World, callback: str = "http://127.0.0.1/", width: int = 1000) -> AsyncIterator[PageTab]:
    """A browser in which the owner is signed in."""
    async with open_page(world.issuer, width=width) as tab:
        name, _, value = world.cookie.partition("=")
        await tab.page.context.add_cookies([{"name": name, "value": value, "url": world.issuer}])
        yield tab
        apps = callback.rpartition("/")[0]
        tab.requests[:] = [url for url in tab.requests if not url.startswith(apps)]


async def returned(tab: PageTab, callback: str) -> dict[str, str]:
    await tab.page.wait_for_url(callback + "*")
    return {name: values[0] for name, values in parse_qs(urlsplit(tab.page.url).query).items()}


async def test_consent_is_readable_and_leads_back_to_the_app(world: World, callback: str, tmp_path: Path) -> None:
    """Our own policy must not stop the redirect that follows the form."""
    app, flow = await world.app(client_uri="https://billing.example", redirect_uris=["http://127.0.0.1/cb"]), Flow()
    async with person_at(world, callback) as tab:
        scope = "openid email emails:read emails:write"
        await tab.go(world.authorize_url(app, flow, scope=scope, redirect_uri=callback))
        await tab.heading("Billing sync asks for access")
        await tab.check_accessible()
        await tab.screenshot(tmp_path / "consent.png")
        await tab.press("Allow")
        back = await returned(tab, callback)
        assert (back["state"], back["iss"]) == (flow.state, world.issuer)
        assert (await world.exchange(app, flow, back["code"], redirect_uri=callback)).status_code == 200
        await tab.go("/account/apps")
        await tab.page.get_by_text("Billing sync").wait_for()
        await tab.check_accessible()
        await tab.screenshot(tmp_path / "apps.png")
        await tab.page.get_by_role("button", name="Disconnect Billing sync from Acme").click()
        await tab.page.get_by_text("The app has no access any more.").wait_for()


async def test_keyboard_alone_says_no(world: World, callback: str) -> None:
    app = await world.app(redirect_uris=["http://127.0.0.1/cb"])
    async with person_at(world, callback) as tab:
        await tab.go(world.authorize_url(app, Flow(), redirect_uri=callback))
        keyboard = tab.page.keyboard
        for _ in range(12):
            await keyboard.press("Tab")
            if await tab.page.evaluate("document.activeElement.textContent.trim()") == "Deny":
                break
        await keyboard.press("Enter")
        assert (await returned(tab, callback))["error"] == "access_denied"


async def test_an_app_that_registered_itself_looks_like_one_on_a_phone_too(world: World, tmp_path: Path) -> None:
    app = app_of(await register(world))
    async with person_at(world, width=360) as tab:
        await tab.go(world.authorize_url(app, Flow()))
        await tab.page.get_by_text("unverified").wait_for()
        await tab.check_accessible()
        wide = await tab.page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth")
        assert not wide
        await tab.screenshot(tmp_path / "unverified.png")


async def test_a_device_is_connected(world: World, tmp_path: Path) -> None:
    app = await world.app(confidential=False)
    told = (await world.post("device_authorization", app.auth | {"scope": "emails:read"})).json()
    async with person_at(world) as tab:
        await tab.go("/device")
        await tab.check_accessible()
        await tab.fill_in("Continue", user_code="bcdf ghjk")
        await tab.page.get_by_text("no device waiting").wait_for()
        await tab.check_accessible()
        await tab.fill_in("Continue", user_code=told["user_code"])
        await tab.heading("Billing sync asks for access on a device")
        await tab.check_accessible()
        await tab.screenshot(tmp_path / "device.png")
        await tab.press("Allow")
        await tab.page.get_by_text("Done: the device has access.").wait_for()


async def test_a_wrong_request_is_a_page_that_reads_well(world: World, tmp_path: Path) -> None:
    async with person_at(world) as tab:
        await tab.go(world.authorize_url(await world.app(), Flow(), redirect_uri="https://evil.example/"))
        await tab.page.get_by_text("The redirect_uri is not one that the app has registered.").wait_for()
        await tab.check_accessible()
