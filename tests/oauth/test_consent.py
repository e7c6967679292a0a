"""The page that asks, its answer, and what is bound to what."""

from __future__ import annotations

import asyncio

import pytest

from penguinmails_api.identity.browser import cookie_name
from penguinmails_core.identity.accounts import create_person
from penguinmails_core.identity.sessions import Browser
from penguinmails_core.kit import ids
from tests.fixtures.factories import make_tenant, make_workspace
from tests.oauth.test_client_credentials import claims_of
from tests.oauth.world import REDIRECT, Flow, World, answered, refusal


async def another_cookie(world: World, email: str = "grace@example.com") -> str:
    user_id, _ = await create_person(world.services.database, email, organization_id=world.tenant.id, role="owner")
    signed = await world.services.identity.start_session(user_id, ["pwd"], Browser("192.0.2.9", "Firefox"))
    return f"{cookie_name(world.services.public)}={signed.token}"


async def test_the_page_says_who_asks_for_what_and_may_not_be_framed(world: World) -> None:
    app = await world.app(client_uri="https://billing.example/about")
    page = await world.browse(world.authorize_url(app, Flow(), scope="emails:read emails:write openid"))
    assert "Billing sync" in page.text
    assert "billing.example" in page.text
    assert "Send, reschedule, cancel and retry emails" in page.text
    assert "unverified" not in page.text
    policy = page.headers["content-security-policy"]
    assert "frame-ancestors 'none'" in policy
    assert "form-action" not in policy, "it would cover the redirect to the app"
    assert page.headers["cache-control"] == "no-store"


async def test_saying_no_is_told_to_the_client(world: World) -> None:
    app, flow = await world.app(), Flow()
    told = answered(await world.decide(await world.browse(world.authorize_url(app, flow)), "deny"))
    assert (told["error"], told["state"], told["iss"]) == ("access_denied", flow.state, world.issuer)
    assert await world.services.database.worker.fetchval("select count(*) from oauth_grants") == 0


async def test_a_double_click_is_answered_once(world: World) -> None:
    page = await world.browse(world.authorize_url(await world.app(), Flow()))
    answers = await asyncio.gather(world.decide(page), world.decide(page))
    assert sorted(answer.status_code for answer in answers) == [303, 409]
    assert await world.services.database.worker.fetchval("select count(*) from oauth_grants") == 1


async def test_another_session_cannot_answer(world: World) -> None:
    page = await world.browse(world.authorize_url(await world.app(), Flow()))
    assert (await world.decide(page, cookie=await another_cookie(world))).status_code == 409
    assert (await world.decide(page)).status_code == 303


async def test_an_interaction_expires(world: World) -> None:
    page = await world.browse(world.authorize_url(await world.app(), Flow()))
    await world.services.database.worker.execute("update oauth_interactions set expires_at = now()")
    assert (await world.decide(page)).status_code == 409


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site", "Origin": "http://localhost:9999"},
    ],
)
async def test_other_sites_cannot_press_the_button(world: World, headers: dict[str, str]) -> None:
    page = await world.browse(world.authorize_url(await world.app(), Flow()))
    fields = world.fields(page) | {"decision": "allow"}
    answer = await world.http.post("/oauth2/consent", data=fields, headers={"Cookie": world.cookie} | headers)
    assert answer.status_code == 403
    assert (await world.decide(page)).status_code == 303


async def test_who_is_not_signed_in_signs_in_first_and_comes_back(world: World) -> None:
    app, flow = await world.app(), Flow()
    answer = await world.http.get(world.authorize_url(app, flow))
    assert answer.status_code == 303
    where = answer.headers["location"]
    assert where.startswith("/login?next=/oauth2/consent%3Finteraction%3Dpmin_")
    back = where.partition("next=")[2].replace("%3F", "?").replace("%3D", "=")
    told = answered(await world.decide(await world.browse(back)))
    assert told["state"] == flow.state
    told = answered(await world.http.get(world.authorize_url(app, flow, prompt="none")))
    assert told["error"] == "login_required"


async def test_prompt_login_asks_once_for_a_fresh_sign_in_and_not_for_ever(world: World) -> None:
    app, flow = await world.app(), Flow()
    pool = world.services.database.worker
    await pool.execute("update user_sessions set auth_time = now() - interval '1 hour'")
    assert world.services.redis is not None
    await world.services.redis.flushdb()
    for more in ({"prompt": "login"}, {"max_age": "60"}):
        answer = await world.browse(world.authorize_url(app, flow, **more))
        where = answer.headers["location"]
        assert where.startswith("/login/confirm?next=/oauth2/consent%3Finteraction%3D")
        back = where.partition("next=")[2].replace("%3F", "?").replace("%3D", "=")
        assert (await world.browse(back)).headers["location"].startswith("/login/confirm")
        interaction = back.partition("interaction=")[2]
        skipped = await world.http.post(
            "/oauth2/consent",
            data={"interaction": interaction, "decision": "allow"},
            headers={"Cookie": world.cookie},
        )
        assert skipped.status_code == 409, "the fresh sign-in cannot be skipped"
    await pool.execute("update user_sessions set auth_time = now()")
    await world.services.redis.flushdb()
    assert "code" in answered(await world.decide(await world.browse(back)))


async def test_one_workspace_can_be_chosen(world: World) -> None:
    app, flow = await world.app(), Flow()
    brand = await make_workspace(world.services.database, world.tenant.id, "brand")
    page = await world.browse(world.authorize_url(app, flow))
    code = answered(await world.decide(page, access=ids.encode("ws", brand)))["code"]
    token = (await world.exchange(app, flow, code)).json()["access_token"]
    principal = (await world.services.oauth.tokens.find(token)).principal
    assert principal.workspace_id == brand


async def test_only_own_places_can_be_given_away(world: World) -> None:
    app = await world.app()
    stranger = await make_tenant(world.services.database, "Umbrella")
    for access in (ids.encode("org", stranger.id), ids.encode("ws", stranger.workspace_id), "nonsense"):
        page = await world.browse(world.authorize_url(app, Flow()))
        assert (await world.decide(page, access=access)).status_code == 422
        assert (await world.decide(page)).status_code == 303, "the answer can be given again"


async def test_people_of_other_organizations_can_use_the_app(world: World) -> None:
    app, flow = await world.app(), Flow()
    stranger = await make_tenant(world.services.database, "Umbrella")
    user_id, _ = await create_person(
        world.services.database, "bob@example.com", organization_id=stranger.id, role="member"
    )
    signed = await world.services.identity.start_session(user_id, ["pwd"], Browser("192.0.2.9", "Firefox"))
    cookie = f"{cookie_name(world.services.public)}={signed.token}"
    page = await world.browse(world.authorize_url(app, flow), cookie)
    code = answered(await world.decide(page, cookie=cookie))["code"]
    token = (await world.exchange(app, flow, code)).json()["access_token"]
    assert claims_of(token)["org"] == ids.encode("org", stranger.id)
    assert (await world.services.oauth.tokens.find(token)).principal.organization_id == stranger.id


async def test_connected_apps_are_listed_and_disconnected(world: World) -> None:
    app = await world.app()
    token = await world.tokens(app, scope="emails:read")
    page = await world.browse("/account/apps")
    assert "Billing sync" in page.text
    assert "Read emails, their recipients, content and history" in page.text
    browser = page.headers["set-cookie"].partition(";")[0]
    page = await world.browse("/account/apps", f"{world.cookie}; {browser}")
    answer = await world.http.post(
        "/account/apps/revoke",
        data=world.fields(page),
        headers={"Cookie": f"{world.cookie}; {browser}", "Sec-Fetch-Site": "same-origin"},
    )
    assert answer.headers["location"] == "/account/apps?notice=app-disconnected"
    world.services.oauth.tokens.forget()
    assert (await world.call(token["access_token"])).status_code == 401
    refusal(await world.refresh(app, token["refresh_token"]), 400, "invalid_grant")
    assert "Billing sync" not in (await world.browse("/account/apps")).text


async def test_a_consent_whose_code_was_never_fetched_connects_nothing(world: World) -> None:
    await world.code(await world.app(), Flow())
    assert "Billing sync" not in (await world.browse("/account/apps")).text


async def test_a_pushed_request_survives_a_slow_sign_in(world: World) -> None:
    app, flow = await world.app(), Flow()
    fields = {
        "response_type": "code",
        "redirect_uri": REDIRECT,
        "scope": "emails:read",
        "state": flow.state,
        "code_challenge": flow.challenge,
        "code_challenge_method": "S256",
    }
    pushed = await world.post("par", fields | app.auth)
    assert (pushed.status_code, pushed.json()["expires_in"]) == (201, 60)
    url = f"/oauth2/authorize?client_id={app.client_id}&request_uri={pushed.json()['request_uri']}"
    answer = await world.http.get(url)
    await world.services.database.worker.execute("update oauth_pushed_requests set expires_at = now()")
    back = answer.headers["location"].partition("next=")[2].replace("%3F", "?").replace("%3D", "=")
    code = answered(await world.decide(await world.browse(back)))["code"]
    assert (await world.exchange(app, flow, code)).status_code == 200
    assert (await world.browse(url)).status_code == 400, "good once"


async def test_a_pushed_request_is_checked_at_once_and_bound_to_its_client(world: World) -> None:
    app, other, flow = await world.app(), await world.app(), Flow()
    good = {
        "response_type": "code",
        "redirect_uri": REDIRECT,
        "code_challenge": flow.challenge,
        "code_challenge_method": "S256",
    }
    refusal(await world.post("par", good | app.auth | {"client_secret": "wrong"}), 401, "invalid_client")
    refusal(await world.post("par", good | app.auth | {"redirect_uri": "https://evil.example"}), 400, "invalid_request")
    refusal(await world.post("par", good | app.auth | {"code_challenge_method": "plain"}), 400, "invalid_request")
    refusal(await world.post("par", good | app.auth | {"scope": "emails:fly"}), 400, "invalid_scope")
    refusal(await world.post("par", good | app.auth | {"request_uri": "urn:x"}), 400, "invalid_request")
    uri = (await world.post("par", good | app.auth)).json()["request_uri"]
    assert (await world.browse(f"/oauth2/authorize?client_id={other.client_id}&request_uri={uri}")).status_code == 400
    assert (await world.browse(f"/oauth2/authorize?client_id={app.client_id}&request_uri={uri}")).status_code == 200
