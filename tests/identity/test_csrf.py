"""Requests that a browser makes with our cookie, from our pages and from anybody else's."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from penguinmails_api.services import Services
from tests.fixtures.factories import Tenant
from tests.identity.people import Person, Surfer
from tests.identity.tab import open_page

OURS = "http://localhost:8025"


@pytest.mark.parametrize(
    ("headers", "allowed"),
    [
        ({"Sec-Fetch-Site": "same-origin", "Origin": OURS}, True),
        ({"Sec-Fetch-Site": "same-origin"}, True),
        ({"Sec-Fetch-Site": "none"}, True),
        ({"Origin": OURS}, True),  # plain http by IP: no Sec-Fetch-Site
        ({"Origin": "http://127.0.0.1:8025"}, True),  # the other name of the same place
        ({"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.test"}, False),
        ({"Sec-Fetch-Site": "same-site", "Origin": "http://localhost:9999"}, False),
        ({"Sec-Fetch-Site": "same-site"}, False),
        ({"Sec-Fetch-Site": "same-origin", "Origin": "https://evil.test"}, False),
        ({"Sec-Fetch-Site": "none", "Origin": "null"}, False),
        ({"Origin": "http://localhost:9999"}, False),
        ({"Origin": "http://localhost:8025.evil.test"}, False),
        ({}, False),
    ],
)
@pytest.mark.parametrize("path", ["/login", "/logout", "/account/name", "/v1/webhook_endpoints"])
async def test_the_rule(
    surfer: Surfer, ada: Person, services: Services, headers: dict[str, str], allowed: bool, path: str
) -> None:
    if path != "/login":
        await surfer.sign_in(ada)
        fields = {"form_token": await surfer.token("/account"), "name": "Ada"}
    else:
        fields = {"form_token": await surfer.token("/login"), "email": ada.email, "password": ada.password}
    if path.startswith("/v1/"):
        body = {"url": "https://example.com/hook", "events": ["email.bounced"]}
        answer = await surfer.http.post(path, json=body, headers=headers)
    else:
        answer = await surfer.http.post(path, data=fields, headers=headers)
    assert (answer.status_code != 403) is allowed, answer.text


async def test_signing_in_needs_the_rule_without_any_cookie(surfer: Surfer, ada: Person) -> None:
    """Else somebody could sign a victim's browser in to their own account."""
    answer = await surfer.http.post(
        "/login", data={"email": ada.email, "password": ada.password}, headers={"Sec-Fetch-Site": "cross-site"}
    )
    assert answer.status_code == 403


async def test_a_form_of_another_browser_is_refused(surfer: Surfer, open_browser: object, ada: Person) -> None:
    other = await open_browser()  # type: ignore[operator]
    token = await other.token("/login")
    await surfer.get("/login")
    answer = await surfer.post("/login", {"form_token": token, "email": ada.email, "password": ada.password})
    assert answer.status_code == 403
    assert "form" in answer.text


async def test_bearers_are_exempt(surfer: Surfer, ada: Person, tenant: Tenant) -> None:
    await surfer.sign_in(ada)
    answer = await surfer.http.post(
        "/v1/webhook_endpoints",
        json={"url": "https://example.com/hook", "events": ["email.bounced"]},
        headers={
            "Authorization": f"Bearer {tenant.key}",
            "Sec-Fetch-Site": "cross-site",
            "Origin": "https://evil.test",
        },
    )
    assert answer.status_code != 403, answer.text


async def test_a_wrong_bearer_is_not_saved_by_a_cookie(surfer: Surfer, ada: Person) -> None:
    await surfer.sign_in(ada)
    answer = await surfer.http.get("/v1/emails", headers={"Authorization": "Bearer pm_live_wrong"})
    assert answer.status_code == 401


@pytest.mark.parametrize(
    "body", [b"", b"form_token", b"a=1&&b=2", b"a=%ff", b"\xff=1", b"&".join(b"a%d=1" % n for n in range(200))]
)
async def test_malformed_forms_are_refused_without_harm(surfer: Surfer, body: bytes) -> None:
    await surfer.get("/login")
    headers = {"Content-Type": "application/x-www-form-urlencoded", "Sec-Fetch-Site": "same-origin"}
    answer = await surfer.http.post("/login", content=body, headers=headers)
    assert answer.status_code in (400, 403), answer.status_code


@pytest.fixture
async def attacker() -> AsyncIterator[str]:
    """A page on another port of localhost: the same site, another origin."""

    async def page(request: web.Request) -> web.Response:
        target = request.query["target"]
        inputs = "".join(f'<input name="{name}" value="x">' for name in ("name", "form_token"))
        form = f'<form method="post" action="{target}">{inputs}<button>Win a prize</button></form>'
        return web.Response(text=form, content_type="text/html")

    app = web.Application()
    app.router.add_get("/", page)
    runner = web.AppRunner(app)
    await runner.setup()
    server = web.TCPSite(runner, "127.0.0.1", 0)
    await server.start()
    port = runner.addresses[0][1]
    try:
        yield f"http://localhost:{port}"
    finally:
        await runner.cleanup()


@pytest.mark.browser
async def test_a_page_on_another_port_gets_nowhere(site: str, services: Services, ada: Person, attacker: str) -> None:
    """Its form carries the Lax cookie, since another port is the same site: SameSite alone would let it in."""
    async with open_page(site) as tab:
        await tab.sign_in(ada.email, ada.password)
        await tab.at("/account")
        sent: list[str] = []
        tab.page.on("request", lambda request: sent.append(request.method) if "/account/name" in request.url else None)
        await tab.page.goto(f"{attacker}/?target={site}/account/name")
        async with tab.page.expect_response("**/account/name") as answered:
            await tab.page.get_by_role("button").click()
        answer = await answered.value
        cookies = (await answer.request.all_headers()).get("cookie", "")
        assert "pm_session=" in cookies
        assert answer.status == 403
        tab.requests.clear()
        await tab.go("/account")
        assert await tab.page.input_value("#name") == "Ada Lovelace"


@pytest.mark.browser
async def test_a_page_cannot_be_framed(site: str, ada: Person, attacker: str) -> None:
    async with open_page(site) as tab:
        await tab.go("/login")
        answer = await tab.page.request.get(site + "/login")
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
        assert answer.headers["x-frame-options"] == "DENY"
        assert answer.headers["referrer-policy"] == "same-origin"
        assert answer.headers["cache-control"] == "no-store"
