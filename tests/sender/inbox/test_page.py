"""The page in a real Chromium: what a developer sees, with mouse, keyboard and screen reader."""

from __future__ import annotations

import asyncio
from pathlib import Path

import dkim
import pytest
from playwright.async_api import expect

from penguinmails_sender.inbox.server import CaptureInbox
from tests.sender.inbox.browser import open_tab
from tests.sender.inbox.conftest import Send
from tests.sender.inbox.samples import pem, raw, rich, rsa_key, simple

pytestmark = pytest.mark.browser

INVOICE = """<div style="font-family: sans-serif; max-width: 560px; margin: 0 auto; padding: 24px; color: #223">
  <img src="cid:logo@acme.test" alt="Acme" width="48" height="48" style="border-radius: 8px">
  <h1 style="font-size: 22px">Your invoice for November</h1>
  <p>Dear Grace,</p>
  <p>thank you for using Acme. Your invoice of <b>€ 42.00</b> is attached to this message.</p>
  <p><a href="https://acme.test/pay" style="display: inline-block; background: #1b6399; color: #fff; padding: 10px 18px;
    border-radius: 6px; text-decoration: none">View invoice</a></p>
  <p style="color: #778">Acme Ltd, 1 Iceberg Road, Halley</p>
</div>"""

HOSTILE = """<p id="text">before</p>
<script>document.getElementById("text").textContent = "script ran"; top.document.title = "pwned"</script>
<img src="http://127.0.0.1:9/pixel.png" onerror="document.getElementById('text').textContent = 'handler ran'">
<link rel="stylesheet" href="http://127.0.0.1:9/style.css"><link rel="prefetch" href="http://127.0.0.1:9/prefetch">
<style>@import "http://127.0.0.1:9/import.css"; p { background: url(http://127.0.0.1:9/background.png) }</style>
<iframe src="http://127.0.0.1:9/frame"></iframe><video src="http://127.0.0.1:9/video" autoplay></video>
<meta http-equiv="refresh" content="0; url=http://127.0.0.1:9/refresh">
<form action="http://127.0.0.1:9/form"><button>Send</button></form>
<a href="http://127.0.0.1:9/link">Leave</a> <img id="logo" src="cid:logo@acme.test">"""


def signed(message: bytes) -> bytes:
    made: bytes = dkim.sign(message, b"s1", b"acme.test", pem(rsa_key()))
    return made + message


async def a_day_of_mail(send: Send) -> None:
    await send(
        signed(raw(simple("Reset your password", "Use this link within 15 minutes.", "Acme <no-reply@acme.test>")))
    )
    await send(
        signed(raw(simple("Ada, a quick question about your launch", sender="Linus P. <linus@acme.test>"))) + b"x\r\n"
    )
    await send(signed(raw(simple("Re: contract"))).replace(b"s=s1", b"s=s9"))
    await send(simple("Weekly digest: eleven things that happened while you were on the ice", sender="news@acme.test"))
    await send(signed(raw(rich(INVOICE))))


async def test_first_visit_tells_how_to_send(inbox: CaptureInbox, tmp_path: Path) -> None:
    async with open_tab(inbox.url) as tab:
        await expect(tab.page.get_by_role("heading", name="Nothing here yet")).to_be_visible()
        await expect(tab.page.get_by_text(f'smtplib.SMTP("127.0.0.1", {inbox.smtp_port})')).to_be_visible()
        await expect(tab.page.get_by_text("http://127.0.0.1:1/v1/emails")).to_be_visible()
        await tab.screenshot(tmp_path / "empty-1280.png")
        await tab.page.set_viewport_size({"width": 360, "height": 740})
        await expect(tab.page.get_by_role("heading", name="Nothing here yet")).to_be_visible()
        await tab.screenshot(tmp_path / "empty-360.png")
        assert tab.console == []


async def test_list_is_live_and_search_filters(inbox: CaptureInbox, send: Send) -> None:
    async with open_tab(inbox.url) as tab:
        rows = tab.page.get_by_role("navigation", name="Messages").get_by_role("listitem")
        await expect(rows).to_have_count(0)
        await send(simple("Welcome aboard", "the secret word is krill"))
        await expect(rows).to_have_count(1)
        await expect(tab.page.locator("#announce")).to_have_text("New message from ada@acme.test: Welcome aboard")
        await asyncio.gather(*(send(simple(f"Burst {number}")) for number in range(20)))
        await expect(rows).to_have_count(21)
        await expect(tab.page.locator("#count")).to_have_text("21 messages")
        await expect(tab.page).to_have_title("(21) Test inbox")

        search = tab.page.get_by_role("searchbox", name="Search messages")
        await search.fill("KRILL")
        await expect(rows).to_have_count(1)
        await expect(tab.page.locator("#count")).to_have_text("1 message found")
        await send(simple("Unrelated"))
        await send(simple("More krill"))
        await expect(rows).to_have_count(2)
        await search.fill("no such thing")
        await expect(tab.page.locator("#count")).to_have_text("Nothing matches “no such thing”")
        await search.fill("")
        await expect(rows).to_have_count(23)
        await send(simple("Deleted elsewhere"))
        await expect(rows).to_have_count(24)
        inbox.store.delete(next(inbox.store.newest_first()).id)
        await expect(rows).to_have_count(23)
        inbox.store.clear()
        await expect(tab.page.get_by_role("heading", name="Nothing here yet")).to_be_visible()
        assert tab.console == []


async def test_older_messages_come_on_demand(inbox: CaptureInbox, send: Send) -> None:
    for number in range(60):
        await send(simple(f"m{number}"))
    async with open_tab(inbox.url) as tab:
        rows = tab.page.locator("#list li")
        await expect(rows).to_have_count(50)
        await tab.page.get_by_role("button", name="Show older messages").click()
        await expect(rows).to_have_count(60)
        await expect(tab.page.get_by_role("button", name="Show older messages")).to_be_hidden()


async def test_html_mail_runs_nothing_and_fetches_nothing(inbox: CaptureInbox, send: Send) -> None:
    await send(rich(HOSTILE))
    async with open_tab(inbox.url) as tab:
        await tab.page.get_by_role("link", name="Your invoice for November").click()
        frame = tab.page.frame_locator("iframe")
        await expect(frame.get_by_text("before")).to_be_visible()
        await tab.page.wait_for_timeout(500)  # time enough for a refresh or an onerror
        await expect(frame.locator("#text")).to_have_text("before")
        assert await frame.locator("#logo").evaluate("image => image.naturalWidth") == 2
        assert await tab.page.title() == "Test inbox"
        sandbox = await tab.page.locator("iframe").get_attribute("sandbox")
        assert sandbox == ""
        loaded = [url for url in tab.requests if not url.startswith(inbox.url)]
        blocked = [text for text in tab.console if "violates" in text or "Blocked" in text]
        assert loaded == [] or len(blocked) >= len(loaded)
        await frame.get_by_role("link", name="Leave").click()
        await frame.get_by_role("button", name="Send").click()
        await tab.page.wait_for_timeout(200)
        await expect(frame.get_by_text("before")).to_be_visible()


async def test_remote_images_reach_no_server(inbox: CaptureInbox, send: Send) -> None:
    """A real listener in place of the tracker: not even a connection arrives."""
    connections: list[object] = []

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(writer.get_extra_info("peername"))
        writer.close()

    tracker = await asyncio.start_server(connected, "127.0.0.1", 0)
    port = tracker.sockets[0].getsockname()[1]
    await send(rich(HOSTILE.replace("127.0.0.1:9/", f"127.0.0.1:{port}/").replace('rel="prefetch"', "rel=preconnect")))
    try:
        async with open_tab(inbox.url) as tab:
            await tab.page.get_by_role("link", name="Your invoice for November").click()
            frame = tab.page.frame_locator("iframe")
            await expect(frame.get_by_text("before")).to_be_visible()
            await frame.get_by_role("link", name="Leave").click()
            await tab.page.wait_for_timeout(1_000)
    finally:
        tracker.close()
        await tracker.wait_closed()
    assert connections == []


async def test_keyboard_alone_is_enough(inbox: CaptureInbox, send: Send) -> None:
    for subject in ("one", "two", "three"):
        await send(simple(subject))
    async with open_tab(inbox.url) as tab:
        page, keys = tab.page, tab.page.keyboard
        heading = page.locator("#reader h2")
        await expect(page.locator("#list li")).to_have_count(3)
        await keys.press("j")
        await expect(heading).to_have_text("three")
        await keys.press("j")
        await expect(heading).to_have_text("two")
        await keys.press("ArrowDown")
        await expect(heading).to_have_text("one")
        await keys.press("k")
        await expect(heading).to_have_text("two")
        await expect(page.get_by_role("link", name="two")).to_be_focused()
        await keys.press("Enter")
        await expect(heading).to_be_focused()
        await keys.press("2")
        await expect(page.get_by_role("tab", name="Headers")).to_have_attribute("aria-selected", "true")
        await keys.press("Escape")
        await expect(page.get_by_role("link", name="two")).to_be_focused()
        await keys.press("/")
        await expect(page.get_by_role("searchbox")).to_be_focused()
        await keys.type("thr")
        await expect(page.locator("#list li")).to_have_count(1)
        await keys.press("Enter")
        await expect(page.get_by_role("link", name="three")).to_be_focused()
        await keys.press("?")
        dialog = page.get_by_role("dialog", name="Help")
        await expect(dialog.get_by_text("550 5.1.1 No such mailbox here")).to_be_visible()
        await keys.press("Escape")
        await expect(dialog).to_be_hidden()
        await keys.press("Delete")
        await keys.press("Enter")  # the focus is on Delete
        await expect(page.locator("#list li")).to_have_count(0)
        assert len(inbox.store) == 2
        assert tab.console == []


async def test_tabs_and_verdicts(inbox: CaptureInbox, send: Send) -> None:
    await a_day_of_mail(send)
    async with open_tab(inbox.url) as tab:
        page = tab.page
        await page.get_by_role("link", name="Your invoice for November").click()
        await expect(page.locator(".dkim summary")).to_contain_text("DKIM pass")
        await page.get_by_role("tab", name="Text").click()
        await expect(page.get_by_role("tabpanel", name="Text")).to_contain_text("the invoice is attached")
        await page.keyboard.press("ArrowRight")
        panel = page.get_by_role("tabpanel", name="Headers")
        await expect(panel.get_by_role("row", name="Message-ID <1@acme.test>")).to_be_visible()
        await page.keyboard.press("ArrowRight")
        await expect(page.get_by_role("tabpanel", name="Raw")).to_contain_text("DKIM-Signature: v=1;")
        await page.keyboard.press("ArrowRight")
        link = page.get_by_role("tabpanel", name="Links (1)").get_by_role("link", name="View invoice")
        await expect(link).to_have_attribute("href", "https://acme.test/pay")
        await page.keyboard.press("End")
        async with page.expect_download() as download:
            await page.get_by_role("link", name="Rechnung März.pdf").click()
        assert (await download.value).suggested_filename == "Rechnung März.pdf"
        await page.get_by_role("link", name="quick question").click()
        await expect(page.locator(".dkim summary")).to_contain_text("body hash did not verify")
        await page.get_by_role("link", name="Re: contract").click()
        await expect(page.locator(".dkim summary")).to_contain_text("no key for s9._domainkey.acme.test")
        await page.get_by_role("link", name="Weekly digest").click()
        await expect(page.locator(".dkim")).to_contain_text("The message has no DKIM-Signature.")
        assert tab.console == []


async def test_everything_has_a_name(inbox: CaptureInbox, send: Send) -> None:
    await a_day_of_mail(send)
    async with open_tab(inbox.url) as tab:
        await tab.page.get_by_role("link", name="Your invoice for November").click()
        await expect(tab.page.get_by_role("tab", name="HTML")).to_be_visible()
        nameless = await tab.page.evaluate(
            """() => [...document.querySelectorAll("a, button, input, iframe, img, dialog, [role]")]
            .filter((node) => !(node.ariaLabel || node.title || node.textContent.trim() || node.labels?.length
                || node.getAttribute("aria-labelledby") || node.getAttribute("alt") === ""
                || node.role === "status"))
            .map((node) => node.outerHTML)"""
        )
        assert nameless == []
        snapshot = await tab.page.locator("body").aria_snapshot()
        for part in (
            "- banner:",
            '- heading "Test inbox" [level=1]',
            '- searchbox "Search messages"',
            '- button "Help and keyboard shortcuts"',
            '- navigation "Messages":',
            '- main "Message":',
            '- heading "Your invoice for November" [level=2]',
            '- tablist "Parts of the message":',
            '- tab "HTML" [selected]',
            '- tabpanel "HTML":',
        ):
            assert part in snapshot, snapshot


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_screenshots(inbox: CaptureInbox, send: Send, tmp_path: Path, scheme: str) -> None:
    await a_day_of_mail(send)
    assert scheme in ("light", "dark")
    async with open_tab(inbox.url, scheme="dark" if scheme == "dark" else "light") as tab:
        await tab.page.get_by_role("link", name="Your invoice for November").click()
        await expect(tab.page.frame_locator("iframe").get_by_text("Dear Grace")).to_be_visible()
        await tab.screenshot(tmp_path / f"message-1280-{scheme}.png")
        await tab.page.get_by_role("tab", name="Headers").click()
        await tab.page.get_by_role("link", name="quick question").click()
        await expect(tab.page.locator(".dkim summary")).to_contain_text("DKIM fail")
        await tab.page.locator(".dkim summary").click()
        await tab.screenshot(tmp_path / f"headers-1280-{scheme}.png")
        await tab.page.get_by_role("button", name="Help and keyboard shortcuts").click()
        await tab.screenshot(tmp_path / f"help-1280-{scheme}.png")
        await tab.page.keyboard.press("Escape")


async def test_phone(inbox: CaptureInbox, send: Send, tmp_path: Path) -> None:
    await a_day_of_mail(send)
    async with open_tab(inbox.url, 360, 740) as tab:
        page = tab.page
        await expect(page.locator("#list li")).to_have_count(5)
        await tab.screenshot(tmp_path / "list-360.png")
        await page.get_by_role("link", name="Your invoice for November").click()
        await expect(page.frame_locator("iframe").get_by_text("Dear Grace")).to_be_visible()
        await tab.screenshot(tmp_path / "message-360.png")
        assert await page.evaluate("document.documentElement.scrollWidth") <= 360
        await page.get_by_role("button", name="← Messages").click()
        await expect(page.get_by_role("link", name="Your invoice for November")).to_be_focused()
        await page.get_by_role("link", name="Weekly digest").click()
        await expect(page.locator("#reader h2")).to_contain_text("Weekly digest")
        await page.go_back()
        await expect(page.locator("#list")).to_be_visible()
        assert tab.console == []
