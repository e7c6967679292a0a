"""The portal in a real Chromium with a real receiver: whole journeys, keyboard alone, phone and desk, in a frame."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Literal

import pytest
from aiohttp import web

from penguinmails_core.kit.db import Database
from penguinmails_webhooks.engine import WebhookEngine
from tests.identity.tab import PageTab, open_page
from tests.portal.world import Portal, path_of
from tests.webhooks.engine.world import Receiver, answer

pytestmark = pytest.mark.browser


@pytest.fixture
async def running(engine: WebhookEngine) -> AsyncIterator[None]:
    """Deliveries go out by themselves."""
    task = asyncio.create_task(engine.run())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def _check(tab: PageTab, picture: Path | None = None) -> None:
    await tab.check_accessible()
    overflow = await tab.page.evaluate("document.documentElement.scrollWidth > innerWidth")
    assert not overflow, tab.page.url
    if picture is not None:
        await tab.page.screenshot(path=picture, full_page=True)


async def test_from_the_first_endpoint_to_a_new_secret(
    site: str, portal: Portal, receiver: Receiver, running: None, tmp_path: Path
) -> None:
    link = await portal.link(theme={"name": "Acme"}, return_url="https://app.example.com/settings")
    async with open_page(site, width=1280) as tab:
        page = tab.page
        await tab.go(path_of(link["url"]))
        await tab.heading("Endpoints")
        await _check(tab, tmp_path / "empty.png")
        await page.get_by_role("link", name="Add endpoint").click()
        await page.get_by_label("Endpoint URL").fill(receiver.url())
        await page.get_by_label("Description").fill("Order service")
        await page.get_by_label("Find an event").fill("bounce")
        assert await page.locator("[data-event='email.delivered']").count() == 0
        assert await page.locator(".pick:visible").count() < 6
        await page.get_by_label("Find an event").fill("")
        whole = page.get_by_label("All email.*")
        await whole.check()
        assert await page.get_by_role("checkbox", name="email.delivered").is_disabled()
        await _check(tab, tmp_path / "form.png")
        await page.get_by_role("button", name="Add endpoint").click()
        await tab.heading("Your endpoint is added")
        secret = await page.text_content("#secret")
        assert secret is not None
        assert secret.startswith("whsec_")
        await _check(tab, tmp_path / "secret.png")

        await page.get_by_role("link", name="I have saved it").click()
        await page.get_by_role("button", name="Send test event").click()
        await page.get_by_role("status").wait_for()
        await receiver.until(lambda r: len(r.requests) == 1)
        receiver.requests[0].verify(secret)
        await page.locator(".list .tag.good").wait_for()  # without a reload
        await _check(tab, tmp_path / "endpoint.png")
        await page.get_by_role("link", name="webhook.test").click()
        await page.get_by_text("Attempt 1").wait_for()
        await page.get_by_text("If you can read this").wait_for()
        await _check(tab, tmp_path / "delivery.png")
        await page.get_by_role("button", name="Replay").click()
        await page.get_by_text("It is sent again now").wait_for()
        await receiver.until(lambda r: len(r.requests) == 2)
        assert list(receiver.ids().values()) == [2]

        await page.get_by_role("link", name="Back to the endpoint").click()
        await page.get_by_text("More", exact=True).click()
        await page.get_by_role("link", name="Rotate secret").click()
        await _check(tab)
        await page.get_by_role("button", name="Rotate secret").click()
        await tab.heading("Your new secret")
        rotated = await page.text_content("#secret")
        assert rotated is not None
        assert rotated != secret
        await _check(tab)
        await page.get_by_role("link", name="I have saved it").click()
        await page.get_by_role("button", name="Send test event").click()
        await receiver.until(lambda r: len(r.requests) == 3)
        for valid in (secret, rotated):
            receiver.requests[2].verify(valid)

        await page.get_by_text("More", exact=True).click()
        await page.get_by_role("link", name="Diagnose").click()
        await page.get_by_label("Sample").select_option("email.bounced")
        await page.get_by_role("button", name="Send sample").click()
        await page.get_by_text("It works").wait_for()
        await _check(tab, tmp_path / "diagnosis.png")
        await page.get_by_role("link", name="Back to the endpoint").click()

        await page.get_by_text("More", exact=True).click()
        await page.get_by_role("button", name="Disable").click()
        await page.get_by_text("The endpoint is disabled.").wait_for()
        await _check(tab)
        await page.get_by_role("button", name="Enable").click()
        await page.get_by_text("The endpoint is enabled").wait_for()
        await page.get_by_role("link", name="Edit").click()
        await page.get_by_label("Description").fill("Warehouse")
        await page.get_by_role("button", name="Save").click()
        await page.get_by_text("Warehouse").wait_for()
        await page.get_by_text("More", exact=True).click()
        await page.get_by_role("link", name="Delete").click()
        await _check(tab, tmp_path / "delete.png")
        await page.get_by_role("button", name="Delete endpoint").click()
        await page.get_by_text("No endpoints yet").wait_for()


async def test_keyboard_alone_adds_an_endpoint(site: str, portal: Portal) -> None:
    link = await portal.link(events=["email.bounced", "email.complained"])
    async with open_page(site) as tab:
        await tab.go(path_of(link["url"]))
        await _tab_to(tab, "Skip to content")
        await _tab_to(tab, "Add endpoint")
        await tab.page.keyboard.press("Enter")
        await tab.heading("Add endpoint")
        await _tab_to(tab, "url")
        await tab.page.keyboard.type("https://hooks.example.com/in")
        await _tab_to(tab, "email.complained")
        await tab.page.keyboard.press("Space")
        await _tab_to(tab, "Add endpoint")
        outline = await tab.page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outline == "solid"
        await tab.page.keyboard.press("Enter")
        await tab.heading("Your endpoint is added")
        await _tab_to(tab, "I have saved it")
        await tab.page.keyboard.press("Enter")
        await tab.heading("https://hooks.example.com/in")
        await _tab_to(tab, "More")
        await tab.page.keyboard.press("Enter")
        await _tab_to(tab, "Rotate secret")
        await tab.page.keyboard.press("Escape")
        assert await _focused(tab) == "More"


_FOCUSED = """() => {
  const e = document.activeElement;
  return e.textContent.trim() || e.value || e.name;
}"""


async def _focused(tab: PageTab) -> str:
    return str(await tab.page.evaluate(_FOCUSED))


async def _tab_to(tab: PageTab, what: str) -> None:
    """Press Tab until the focus is on something called so."""
    for _ in range(60):
        await tab.page.keyboard.press("Tab")
        names = await tab.page.evaluate("[document.activeElement.name ?? '', document.activeElement.value ?? '']")
        if what in (await _focused(tab), *names):
            return
    raise AssertionError(f"the focus never came to {what}")


@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_pages_read_well(
    site: str,
    portal: Portal,
    receiver: Receiver,
    engine: WebhookEngine,
    database: Database,
    tmp_path: Path,
    scheme: Literal["light", "dark"],
    width: int,
) -> None:
    """Screenshots for people, axe-core (contrast too) for us, on a phone and a desk."""
    broken = await portal.endpoint(receiver.url("/broken/with/a/path/that/is/quite/long/and/has/no/spaces/in/it"))
    good = await portal.endpoint(receiver.url("/hook"))
    receiver.answers["/broken/with/a/path/that/is/quite/long/and/has/no/spaces/in/it"] = answer(
        503, text='{"error": "the database of the receiver is away for maintenance"}'
    )
    await portal.happen(14)
    await engine.run_once()
    await database.worker.execute(
        "update webhook_deliveries set status = 'exhausted', due_at = null where last_error is not null"
    )
    deliveries = (await portal.api.get(f"/v1/webhook_endpoints/{broken}/deliveries")).json()["data"]
    paths = (
        "",
        "/endpoints/new",
        f"/endpoints/{good}",
        f"/endpoints/{broken}",
        f"/endpoints/{broken}/edit",
        f"/endpoints/{broken}/replay",
        f"/endpoints/{broken}/diagnose",
        f"/endpoints/{broken}/rotate",
        f"/endpoints/{broken}/delete",
        f"/endpoints/{broken}/deliveries/{deliveries[0]['id']}",
        f"/endpoints/{good}/deliveries/{deliveries[0]['id']}",
        "/events",
        "/verify",
    )
    link = await portal.link(
        theme={"name": "Acme Shipping", "accent_color": "#7c3aed"}, return_url="https://app.example.com/"
    )
    async with open_page(site, width=width, scheme=scheme) as tab:
        await tab.go(path_of(link["url"]))
        await tab.heading("Endpoints")
        base = tab.page.url
        for path in paths:
            await tab.page.goto(base + path)
            name = path.strip("/").replace("/", "-").replace(broken, "broken").replace(good, "good") or "list"
            await _check(tab, tmp_path / f"{name[:40]}-{width}.png")
        await tab.page.goto(f"{site}/portal/l/whpl_unknown")
        await _check(tab, tmp_path / f"unknown-{width}.png")


async def test_it_works_without_javascript(site: str, portal: Portal) -> None:
    link = await portal.link()
    async with open_page(site) as tab:
        context = await tab.page.context.browser.new_context(java_script_enabled=False)  # type: ignore[union-attr]
        page = await context.new_page()
        await page.goto(site + path_of(link["url"]))
        await page.get_by_role("link", name="Add endpoint").click()
        await page.get_by_label("Endpoint URL").fill("https://hooks.example.com/in")
        await page.get_by_role("checkbox", name="email.bounced").check()
        await page.get_by_role("button", name="Add endpoint").click()
        await page.get_by_role("heading", name="Your endpoint is added").wait_for()
        await context.close()


@pytest.mark.parametrize("sandbox", ["", 'sandbox="allow-scripts allow-forms"'])
async def test_in_a_frame_of_another_origin(site: str, portal: Portal, sandbox: str) -> None:
    """localhost in a frame of 127.0.0.1: another site, so no cookie would come back."""
    source = {"url": ""}

    async def show(_: web.Request) -> web.Response:
        page = f'<!doctype html><title>App</title><iframe src="{source["url"]}" {sandbox} width="900" height="700">'
        return web.Response(text=page, content_type="text/html")

    async with _served(show) as app:
        link = await portal.link(frame_ancestors=[app], theme={"name": "Acme"})
        source["url"] = site + path_of(link["url"])
        async with open_page(site) as tab:
            await tab.page.goto(app)
            frame = tab.page.frame_locator("iframe")
            await frame.get_by_role("link", name="Add endpoint").click()
            await frame.get_by_label("Endpoint URL").fill("https://hooks.example.com/in")
            await frame.get_by_label("All email.*").check()
            await frame.get_by_role("button", name="Add endpoint").click()
            await frame.get_by_role("heading", name="Your endpoint is added").wait_for()
            background = await frame.locator("body").evaluate("getComputedStyle(document.body).backgroundColor")
            assert background == "rgb(246, 247, 250)"  # the style sheet was let in
            tab.requests = [url for url in tab.requests if not url.startswith(app)]
        endpoints = (await portal.api.get("/v1/webhook_endpoints")).json()["data"]
        assert [one["consumer"] for one in endpoints] == ["customer_42"]


@asynccontextmanager
async def _served(show: object) -> AsyncIterator[str]:
    application = web.Application()
    application.router.add_get("/", show)  # type: ignore[arg-type]
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def test_nobody_else_may_frame_it(site: str, portal: Portal) -> None:
    links = [await portal.link(), await portal.link(frame_ancestors=["https://app.example.com"])]
    sources = [site + path_of(link["url"]) for link in links] + [f"{site}/login"]

    async def show(_: web.Request) -> web.Response:
        frames = "".join(f'<iframe src="{source}"></iframe>' for source in sources)
        return web.Response(text=f"<!doctype html><title>Evil</title>{frames}", content_type="text/html")

    async with _served(show) as evil, open_page(site) as tab:
        await tab.page.goto(evil, wait_until="load")
        bodies = [await frame.content() for frame in tab.page.frames[1:]]
        assert len(bodies) == 3
        assert not [body for body in bodies if "Webhooks" in body or "Sign in" in body]
        refusals = [text for text in tab.console if "frame" in text.lower()]
        assert len(refusals) >= 3, tab.console
        tab.console.clear()
        tab.requests.clear()
