"""The link in an invitation: nothing happens before the button, and only the person it was sent to gets in."""

from __future__ import annotations

from pathlib import Path

import pytest

from penguinmails_api.app import create_gateway
from penguinmails_api.services import Services
from penguinmails_core.kit import ids
from tests.fixtures.client import ApiClient
from tests.fixtures.factories import Tenant
from tests.identity.conftest import Open
from tests.identity.people import PASSWORD, Person, Surfer, link_in_mail, make_person
from tests.identity.tab import open_page

GRACE = "grace@example.com"


@pytest.fixture
async def link(services: Services, tenant: Tenant, ada: Person) -> str:
    async with ApiClient(create_gateway(services), tenant.key) as client:
        body = {"email": GRACE, "role": "developer", "note": "Welcome <b>Grace</b>!"}
        response = await client.post("/v1/invitations", json=body)
        assert response.status_code == 201, response.text
    return await link_in_mail(services, GRACE)


async def _members(services: Services, tenant: Tenant) -> dict[str, str]:
    rows = await services.database.worker.fetch(
        "select u.email, m.role from members m join users u on u.id = m.user_id where m.organization_id = $1", tenant.id
    )
    return {row["email"]: row["role"] for row in rows}


def _token(link: str) -> str:
    return link.partition("token=")[2]


async def test_somebody_new_chooses_a_password_and_is_in(
    services: Services, tenant: Tenant, surfer: Surfer, link: str
) -> None:
    page = await surfer.get(link)
    for text in ("Join Acme", GRACE, "developer", "Welcome &lt;b&gt;Grace&lt;/b&gt;!"):
        assert text in page.text
    assert "<b>Grace" not in page.text
    assert await _members(services, tenant) == {"ada@example.com": "owner"}, "looking changes nothing"
    short = await surfer.post("/invitation/join", {"token": _token(link), "name": "Grace", "password": "x"}, page=link)
    assert short.status_code == 422
    assert 'value="Grace"' in short.text
    fields = {"token": _token(link), "name": "Grace", "password": PASSWORD}
    joined = await surfer.post("/invitation/join", fields, page=link)
    assert joined.headers["location"] == "/account/organizations?notice=joined"
    me = (await surfer.get("/v1/me")).json()
    assert (me["user"]["name"], me["organization"]["id"]) == ("Grace", ids.encode("org", tenant.id))
    assert (await _members(services, tenant))[GRACE] == "developer"
    again = await surfer.get(link)
    assert again.status_code == 404
    assert "link was used" in again.text


async def test_who_has_an_account_signs_in_and_joins(
    services: Services, tenant: Tenant, surfer: Surfer, link: str
) -> None:
    grace = await make_person(services, GRACE)
    page = await surfer.get(link)
    assert "Sign in to join" in page.text
    assert 'name="password"' not in page.text
    fields = {"token": _token(link), "name": "Eve", "password": "another long password"}
    taken = await surfer.post("/invitation/join", fields, page="/login")
    assert taken.status_code == 409
    answer = await surfer.sign_in(grace, next=link)
    assert answer.headers["location"] == link
    joined = await surfer.post("/invitation", {"token": _token(link)}, page=link)
    assert joined.headers["location"] == "/account/organizations?notice=joined"
    assert (await surfer.get("/v1/me")).json()["organization"]["id"] == ids.encode("org", tenant.id)
    assert (await _members(services, tenant))[GRACE] == "developer"


async def test_somebody_else_does_not_get_in(
    services: Services, tenant: Tenant, open_browser: Open, link: str, ada: Person
) -> None:
    eve = await make_person(services, "eve@example.com")
    surfer = await open_browser()
    await surfer.sign_in(eve)
    page = await surfer.get(link)
    assert "the invitation is for another address" in page.text
    refused = await surfer.post("/invitation", {"token": _token(link)}, page=link)
    assert refused.status_code == 403
    assert set(await _members(services, tenant)) == {"ada@example.com"}


async def test_forms_of_other_sites_are_refused(surfer: Surfer, services: Services, tenant: Tenant, link: str) -> None:
    fields = {"token": _token(link), "password": PASSWORD}
    headers = {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.test"}
    answer = await surfer.post("/invitation/join", fields, page=link, headers=headers)
    assert answer.status_code == 403
    assert set(await _members(services, tenant)) == {"ada@example.com"}


async def test_in_a_real_browser(site: str, services: Services, tenant: Tenant, link: str, tmp_path: Path) -> None:
    for width in (360, 1000):
        async with open_page(site, width=width) as tab:
            await tab.go(link)
            await tab.heading("Join Acme")
            await tab.check_accessible()
            await tab.screenshot(tmp_path / f"invitation-{width}.png")
            assert not await tab.page.evaluate("document.documentElement.scrollWidth > innerWidth")
    async with open_page(site) as tab:
        await tab.go(link)
        await tab.fill_in("Join", name="Grace", password=PASSWORD)
        await tab.at("/account/organizations")
        await tab.check_accessible()
    assert (await _members(services, tenant))[GRACE] == "developer"
