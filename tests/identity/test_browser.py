"""The pages in a real Chromium: whole journeys, with keyboard and axe-core, under our own content security policy."""

from __future__ import annotations

from pathlib import Path

import pytest

from penguinmails_api.services import Services
from penguinmails_core.identity import totp
from tests.identity.people import HERE, PASSWORD, Person, link_in_mail, make_person, system_mail
from tests.identity.tab import PageTab, open_page

pytestmark = pytest.mark.browser


async def test_signing_up_by_mail(site: str, services: Services, tmp_path: Path) -> None:
    async with open_page(site) as tab:
        await tab.go("/login")
        await tab.check_accessible()
        await tab.screenshot(tmp_path / "login.png")
        await tab.page.get_by_role("link", name="Sign up").click()
        await tab.check_accessible()
        await tab.screenshot(tmp_path / "signup.png")
        await tab.fill_in("Send me a link", email="grace@example.com", name="Grace Hopper", organization="Cobol Ltd")
        await tab.heading("Look into your mail")
        await tab.check_accessible()
        await tab.go(await link_in_mail(services, "grace@example.com"))
        await tab.heading("Choose a password")
        await tab.check_accessible()
        await tab.fill_in("Save password", password=PASSWORD)
        await tab.at("/account")
        await tab.check_accessible()
        await tab.screenshot(tmp_path / "account.png")
        await tab.go("/account/organizations")
        await tab.page.get_by_text("Cobol Ltd").wait_for()
        await tab.check_accessible()
        await tab.screenshot(tmp_path / "organizations.png")


async def test_keyboard_alone_signs_in_and_out(site: str, ada: Person) -> None:
    async with open_page(site) as tab:
        await tab.go("/login")
        keyboard = tab.page.keyboard
        await keyboard.type(ada.email)  # the first field has the focus
        await keyboard.press("Tab")
        await keyboard.type(ada.password)
        await keyboard.press("Enter")
        await tab.at("/account")
        await tab.page.evaluate("document.activeElement.blur()")
        await keyboard.press("Tab")
        assert await _focused(tab) == "Skip to content"
        for _ in range(2):
            await keyboard.press("Tab")
        assert await _focused(tab) == "Sign out"
        outline = await tab.page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outline == "solid"
        await keyboard.press("Enter")
        await tab.at("/login")


async def _focused(tab: PageTab) -> str:
    return str(await tab.page.evaluate("document.activeElement.textContent.trim()"))


async def test_one_time_codes_from_the_picture_to_the_recovery_code(
    site: str, services: Services, ada: Person, tmp_path: Path
) -> None:
    async with open_page(site, height=1000) as tab:
        await tab.sign_in(ada.email, ada.password)
        await tab.at("/account")
        await tab.go("/account/security")
        await tab.check_accessible()
        await tab.page.get_by_role("link", name="Set up one-time codes").click()
        await tab.check_accessible()
        await tab.screenshot(tmp_path / "codes.png")
        secret = await tab.page.text_content("code.secret")
        assert secret is not None
        await tab.fill_in("Turn on one-time codes", code="000000")
        await tab.page.get_by_text("This code is wrong").wait_for()
        await tab.check_accessible()
        code = totp.code_at(secret)
        await tab.fill_in("Turn on one-time codes", code=f"{code[:3]} {code[3:]}")  # as apps show it
        await tab.heading("One-time codes are on")
        await tab.check_accessible()
        await tab.screenshot(tmp_path / "recovery.png")
        codes = await tab.page.locator(".codes code").all_text_contents()
        assert len(set(codes)) == 10
        await tab.press("Sign out")

        await tab.sign_in(ada.email, ada.password)
        await tab.heading("Second factor")
        await tab.check_accessible()
        await tab.screenshot(tmp_path / "second_factor.png")
        await tab.fill_in("Continue", code=code)  # it was used to turn them on
        await tab.page.get_by_text("This code is wrong, or was used before.").wait_for()
        await tab.fill_in("Continue", code=codes[0].upper())
        await tab.at("/account")
        assert any("a recovery code was used" in text.lower() for text in await system_mail(services, ada.email))
        await tab.press("Sign out")
        await tab.sign_in(ada.email, ada.password)
        await tab.fill_in("Continue", code=codes[0])
        await tab.page.get_by_text("This code is wrong, or was used before.").wait_for()


async def test_forgotten_password(site: str, services: Services, ada: Person, tmp_path: Path) -> None:
    old = await services.identity.sign_in(ada.email, ada.password, HERE)
    async with open_page(site) as tab:
        await tab.go("/login")
        await tab.page.get_by_role("link", name="Forgot password?").click()
        await tab.check_accessible()
        await tab.fill_in("Send link", email=ada.email)
        await tab.heading("Look into your mail")
        link = await link_in_mail(services, ada.email)
        await tab.go(link)
        await tab.fill_in("Save password", password="another long password")
        await tab.at("/login")
        await tab.page.get_by_text("The new password is set").wait_for()
        await tab.check_accessible()
        await tab.sign_in(ada.email, "another long password")
        await tab.at("/account")
        await tab.go(link)
        await tab.heading("The link was used or has expired")
        await tab.check_accessible()
        await tab.screenshot(tmp_path / "expired.png")
    assert await services.identity.sessions.find(old.token) is None


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_pages_read_well(site: str, services: Services, ada: Person, tmp_path: Path, scheme: str) -> None:
    """Screenshots for people, axe-core (contrast too) for us, on a phone and a desk."""
    for width in (360, 1000):
        async with open_page(site, width=width, scheme=scheme) as tab:  # type: ignore[arg-type]
            await tab.go("/login")
            await tab.screenshot(tmp_path / f"login-{width}.png")
            await tab.check_accessible()
            await tab.fill_in("Sign in", email=ada.email, password="wrong")
            await tab.page.get_by_role("alert").first.wait_for()
            await tab.check_accessible()
            await tab.sign_in(ada.email, ada.password)
            await tab.at("/account")
            for path in ("/account", "/account/security", "/account/sessions", "/account/organizations"):
                await tab.go(path)
                await tab.check_accessible()
                await tab.screenshot(tmp_path / f"{path[1:].replace('/', '-')}-{width}.png")
                overflow = await tab.page.evaluate("document.documentElement.scrollWidth > innerWidth")
                assert not overflow, path
        await services.identity.throttle.forgive("password", "127.0.0.1", ada.email)


async def test_a_name_that_is_markup_stays_text(site: str, services: Services, ada: Person) -> None:
    await make_person(services, "eve@example.com", name="<img src=x onerror=alert(1)>")
    async with open_page(site) as tab:
        await tab.sign_in("eve@example.com", PASSWORD)
        await tab.at("/account")
        assert await tab.page.input_value("#name") == "<img src=x onerror=alert(1)>"
        assert await tab.page.locator("main img").count() == 0
