"""Signing up, resetting, the keys page: nothing tells who has an account, and nothing secret is logged."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import pytest

from penguinmails_api.runtime.provision import Tenant as Provisioned
from penguinmails_api.runtime.provision import signed_in_cookie
from penguinmails_api.services import Services
from penguinmails_core.errors import LinkExpired, Problem
from penguinmails_core.identity import mails
from penguinmails_core.identity.origin import PublicUrl
from penguinmails_core.organizations.service import list_organizations
from penguinmails_core.system_mail.budget import ASKED
from penguinmails_core.system_mail.service import ORGANIZATION_ID, SystemMail
from tests.fixtures.factories import Tenant
from tests.identity.people import PASSWORD, Person, Surfer, link_in_mail, make_person, system_mail
from tests.identity.tab import open_page


async def test_signup_and_reset_answer_alike(surfer: Surfer, ada: Person, services: Services) -> None:
    pages = []
    for email in (ada.email, "nobody@example.com"):
        values = {"email": email, "name": "X", "organization": "Y"}
        pages.append((await surfer.post("/signup", values)).text)
    assert pages[0] == pages[1].replace("nobody@example.com", ada.email)
    assert "has an account" in (await system_mail(services, ada.email))[0]
    pages = [
        (await surfer.post("/reset-password", {"email": email})).text for email in (ada.email, "nobody@example.com")
    ]
    assert pages[0] == pages[1]
    assert len(await system_mail(services, "nobody@example.com")) == 1  # of signing up, none of the reset


async def test_nothing_is_made_before_the_link_is_used(surfer: Surfer, services: Services) -> None:
    await surfer.post("/signup", {"email": "grace@example.com", "name": "Grace", "organization": "Cobol"})
    link = await link_in_mail(services, "grace@example.com")
    for _ in range(2):
        assert (await surfer.get(link)).status_code == 200  # scanners open every link
    assert await services.database.worker.fetchval("select count(*) from users") == 0
    token = link.partition("token=")[2]
    results = await asyncio.gather(
        *(services.identity.accounts.complete_signup(token, PASSWORD) for _ in range(4)), return_exceptions=True
    )
    assert sum(isinstance(result, LinkExpired) for result in results) == 3, results
    assert await services.database.worker.fetchval("select count(*) from users") == 1
    assert [name for _, name in await list_organizations(services.database)] == ["Cobol"]


async def test_a_weak_password_does_not_use_the_link_up(surfer: Surfer, services: Services) -> None:
    await surfer.post("/signup", {"email": "grace@example.com", "name": "Grace", "organization": "Cobol"})
    link = await link_in_mail(services, "grace@example.com")
    token = link.partition("token=")[2]
    answer = await surfer.post("/verify-email", {"token": token, "password": "short"}, page=link)
    assert answer.status_code == 422
    assert "at least 10" in answer.text
    answer = await surfer.post("/verify-email", {"token": token, "password": PASSWORD}, page=link)
    assert answer.headers["location"] == "/account"


async def test_no_customer_sees_system_mail(surfer: Surfer, ada: Person, services: Services, tenant: Tenant) -> None:
    await surfer.post("/reset-password", {"email": ada.email})
    assert await system_mail(services, ada.email)
    await surfer.sign_in(ada)
    assert (await surfer.get("/v1/emails")).json()["data"] == []
    assert ORGANIZATION_ID not in [found for found, _ in await list_organizations(services.database)]


async def test_an_address_changes_only_by_the_link(surfer: Surfer, ada: Person, services: Services) -> None:
    await surfer.sign_in(ada)
    await surfer.post("/account/email", {"email": "countess@example.com"}, page="/account")
    link = await link_in_mail(services, "countess@example.com")
    assert ada.email in (await surfer.get("/account")).text
    answer = await surfer.post("/account/email/confirm", {"token": link.partition("token=")[2]}, page=link)
    assert answer.headers["location"] == "/account?notice=email-changed"
    assert "countess@example.com" in (await surfer.get("/account")).text
    assert any("address was changed" in text for text in await system_mail(services, ada.email))


async def test_a_link_for_somebody_else_changes_nothing(surfer: Surfer, ada: Person, services: Services) -> None:
    bob = await make_person(services, "bob@example.com")
    await services.identity.accounts.request_email_change(bob.id, "robert@example.com", "192.0.2.9", services.public)
    link = await link_in_mail(services, "robert@example.com")
    await surfer.sign_in(ada)
    answer = await surfer.post("/account/email/confirm", {"token": link.partition("token=")[2]}, page=link)
    assert answer.status_code == 404
    assert (await services.identity.accounts.get(ada.id)).email == ada.email
    await services.identity.accounts.change_email(link.partition("token=")[2], bob.id)  # still good for him


async def test_nothing_secret_is_logged(
    surfer: Surfer, ada: Person, services: Services, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    await surfer.post("/login", {"email": ada.email, "password": "a wrong password"})
    await surfer.sign_in(ada)
    await surfer.post("/reset-password", {"email": ada.email}, page="/account/password")
    token = (await link_in_mail(services, ada.email)).partition("token=")[2]
    await surfer.get("/reset-password/choose?token=" + token)
    await surfer.get("/account/codes")
    ours = "\n".join(
        record.getMessage() for record in caplog.records if not record.name.startswith(("httpx", "httpcore"))
    )
    for secret in ("a wrong password", PASSWORD, token, surfer.http.cookies["pm_session"]):
        assert secret not in ours


async def test_signup_is_closed_where_strangers_come_by(surfer: Surfer, services: Services) -> None:
    services.public = PublicUrl.of("https://mail.example.com")
    assert (await surfer.get("/signup")).status_code == 404
    login = await surfer.get("/login")
    assert "Sign up" not in login.text
    cookie = login.headers["set-cookie"]
    assert cookie.startswith("__Host-pm_browser=")
    assert {"Secure", "HttpOnly", "Path=/", "SameSite=Lax"} <= set(cookie.split("; "))


async def test_a_cookie_for_tools(surfer: Surfer, services: Services, tenant: Tenant) -> None:
    provisioned = Provisioned(tenant.id, tenant.workspace_id, tenant.key, tenant.test, "hello@acme.test")
    cookie = await signed_in_cookie(services, provisioned, "owner@acme.test")
    answer = await surfer.http.get("/v1/emails", headers={"Cookie": cookie})
    assert answer.status_code == 200


@pytest.mark.browser
async def test_keys_are_made_and_revoked_on_their_page(
    site: str, services: Services, ada: Person, tenant: Tenant, tmp_path: Path
) -> None:
    async with open_page(site, height=1300) as tab:
        await tab.sign_in(ada.email, ada.password)
        await tab.at("/account")
        await tab.go("/account/api-keys")
        await tab.check_accessible()
        await tab.screenshot(tmp_path / "keys.png")
        await tab.page.fill("#name", "My program")
        await tab.press("Create key")
        await tab.heading("Your new key")
        await tab.check_accessible()
        await tab.screenshot(tmp_path / "key.png")
        secret = await tab.page.text_content("code.secret")
        assert secret is not None
        headers = {"Authorization": f"Bearer {secret}"}
        assert (await tab.page.request.get(site + "/v1/emails", headers=headers)).status == 200
        assert (await tab.page.request.get(site + "/v1/api_keys", headers=headers)).status == 403
        await tab.page.get_by_role("link", name="I have copied it").click()
        assert secret not in await tab.page.content()
        await services.database.worker.execute("update user_sessions set auth_time = now() - interval '1 hour'")
        await services.identity.sessions.refresh_user(ada.id)
        await tab.page.get_by_role("button", name="Revoke key My program").click()
        await tab.heading("Confirm it is you")
        await tab.check_accessible()
        await tab.fill_in("Continue", password=ada.password)
        await tab.at("/account/api-keys")
        await tab.page.get_by_role("button", name="Revoke key My program").click()
        await tab.page.get_by_text("The key is revoked.").wait_for()
        assert (await tab.page.request.get(site + "/v1/emails", headers=headers)).status == 401


async def test_a_viewer_makes_no_keys(surfer: Surfer, services: Services, tenant: Tenant) -> None:
    viewer = await make_person(services, "victor@example.com", organization_id=tenant.id, role="viewer")
    await surfer.sign_in(viewer)
    answer = await surfer.get("/account/api-keys")
    assert answer.status_code == 403
    assert "api_keys:read" in answer.text


async def test_people_in_a_browser_confirm_before_keys(surfer: Surfer, ada: Person, services: Services) -> None:
    """At the API too: 403 `reauthentication_required`."""
    await surfer.sign_in(ada)
    await services.database.worker.execute("update user_sessions set auth_time = now() - interval '1 hour'")
    await services.identity.sessions.refresh_user(ada.id)
    answer = await surfer.http.post(
        "/v1/api_keys",
        json={"name": "x", "scopes": ["emails:read"]},
        headers={"Sec-Fetch-Site": "same-origin"},
    )
    assert answer.status_code == 403, answer.text
    assert answer.json()["code"] == "reauthentication_required"


async def test_without_a_sender_nobody_waits_for_mail(services: Services) -> None:
    silent = SystemMail(services.acceptor, services.draft_limits, None)
    assert not silent.enabled
    with pytest.raises(Problem, match="SYSTEM_MAIL_FROM"):
        await silent.send("ada@example.com", "x", text="y")


async def test_nobody_is_flooded_and_still_hears_warnings(ada: Person, services: Services) -> None:
    notices = services.identity.notices
    for _ in range(ASKED[0].most + 5):
        notices.post(ada.email, mails.reset("http://localhost/"))
    notices.send(ada.email, "a passkey was added")
    await notices.drain()
    texts = await system_mail(services, ada.email)
    assert sum("new password for PenguinMails" in text for text in texts) == ASKED[0].most
    assert sum("A passkey was added" in text for text in texts) == 1
