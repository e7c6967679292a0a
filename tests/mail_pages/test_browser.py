"""The pages in a real Chromium: by keyboard, on a phone, in the dark, for screen readers."""

from __future__ import annotations

from typing import Literal

import pytest

from tests.identity.tab import PageTab, open_page
from tests.mail_pages.world import Mail

pytestmark = pytest.mark.browser


async def _check(tab: PageTab) -> None:
    await tab.check_accessible()
    assert not await tab.page.evaluate("document.documentElement.scrollWidth > innerWidth"), tab.page.url


@pytest.mark.parametrize(("width", "scheme"), [(360, "light"), (1280, "dark")])
async def test_out_and_back_again(site: str, mail: Mail, width: int, scheme: Literal["light", "dark"]) -> None:
    ada = await mail.subscriber("ada.with.a.rather.long.name@mail.department.example.com", "n" * 64)
    async with open_page(site, width=width, scheme=scheme) as tab:
        await tab.go(mail.path(ada))
        await tab.heading("Unsubscribe?")
        await _check(tab)
        assert await mail.suppressions() == []
        await tab.page.keyboard.press("Tab")
        await tab.page.keyboard.press("Enter")
        await tab.heading("You are unsubscribed")
        await _check(tab)
        assert len(await mail.suppressions()) == 1
        await tab.page.get_by_role("button").click()
        await tab.heading("You are subscribed again")
        await _check(tab)
        assert await mail.suppressions() == []
        assert await tab.page.context.cookies() == []


async def test_a_broken_link(site: str, mail: Mail) -> None:
    async with open_page(site, width=360) as tab:
        await tab.go("/u/broken")
        await tab.heading("This link does not work")
        await _check(tab)


@pytest.mark.parametrize(("width", "scheme"), [(360, "dark"), (1280, "light")])
async def test_preferences(site: str, mail: Mail, width: int, scheme: Literal["light", "dark"]) -> None:
    await mail.subscriber(list_name="o" * 64)
    ada = await mail.subscriber(list_name="news")
    async with open_page(site, width=width, scheme=scheme) as tab:
        await tab.go(mail.path(ada))
        await tab.page.get_by_role("link", name="Choose what you get").click()
        await tab.heading("Mail from Acme")
        await _check(tab)
        await tab.page.get_by_label("news").uncheck()
        await tab.press("Save")
        await tab.page.get_by_role("status").wait_for()
        await _check(tab)
        assert await mail.scopes() == [("list", "news")]
        await tab.press("Unsubscribe from everything")
        await tab.page.get_by_text("no newsletters and offers at all").wait_for()
        await _check(tab)
