"""Signing in and out by password, and what the session cookie is worth at the API."""

from __future__ import annotations

import pytest

from penguinmails_api.services import Services
from penguinmails_core.kit import ids
from tests.fixtures.factories import Tenant
from tests.identity.conftest import Open
from tests.identity.people import HERE, Person, Surfer, make_person


async def test_a_person_signs_in_and_is_led_to_where_they_wanted(surfer: Surfer, ada: Person) -> None:
    away = await surfer.get("/account/sessions")
    assert away.status_code == 303
    assert away.headers["location"] == "/login?next=/account/sessions"
    answer = await surfer.sign_in(ada, next="/account/sessions")
    assert answer.status_code == 303, answer.text
    assert answer.headers["location"] == "/account/sessions"
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith("pm_session=")
    assert {"HttpOnly", "SameSite=Lax", "Path=/"} <= set(cookie.split("; "))
    page = await surfer.get("/account/sessions")
    assert "this browser" in page.text
    assert page.headers["cache-control"] == "no-store"


async def test_unknown_people_and_wrong_passwords_sound_alike(surfer: Surfer, ada: Person) -> None:
    wrong = await surfer.post("/login", {"email": ada.email, "password": "wrong password"})
    unknown = await surfer.post("/login", {"email": "bob@example.com", "password": "wrong password"})
    assert wrong.status_code == unknown.status_code == 401
    assert wrong.text.replace(ada.email, "") == unknown.text.replace("bob@example.com", "")


async def test_the_session_answers_at_the_api(surfer: Surfer, ada: Person, tenant: Tenant) -> None:
    refused = await surfer.get("/v1/emails")
    assert refused.status_code == 401
    await surfer.sign_in(ada)
    answer = await surfer.get("/v1/emails")
    assert answer.status_code == 200, answer.text
    sent = await surfer.http.post(
        "/v1/webhook_endpoints",
        json={"url": "https://example.com/hook", "events": ["email.bounced"]},
        headers={"Sec-Fetch-Site": "same-origin"},
    )
    assert sent.status_code != 403, sent.text


async def test_signing_out_ends_the_session_for_good(surfer: Surfer, ada: Person, services: Services) -> None:
    await surfer.sign_in(ada)
    token = surfer.http.cookies["pm_session"]
    answer = await surfer.post("/logout", {}, page="/account")
    assert answer.headers["location"] == "/login?notice=signed-out"
    assert "pm_session" not in surfer.http.cookies
    assert await services.identity.sessions.find(token) is None
    surfer.http.cookies.set("pm_session", token)
    assert (await surfer.get("/v1/emails")).status_code == 401


@pytest.mark.parametrize(
    "target", ["https://evil.test/", "//evil.test/", "/\\evil.test", "javascript:alert(1)", "/a\r\nSet-Cookie: x=1"]
)
async def test_nobody_is_led_away_from_the_site(surfer: Surfer, ada: Person, target: str) -> None:
    answer = await surfer.sign_in(ada, next=target)
    assert answer.headers["location"] == "/account"


async def test_another_sign_in_makes_another_session(surfer: Surfer, ada: Person, services: Services) -> None:
    """No session fixation: the token from before is dead."""
    await surfer.sign_in(ada)
    before = surfer.http.cookies["pm_session"]
    await services.identity.sessions.find(before)
    # The sign-in page leads on, so the form is taken from another browser's page state: sign in by the service.
    signed = await services.identity.sign_in(ada.email, ada.password, HERE, before)
    assert signed.token != before
    assert await services.identity.sessions.find(before) is None


async def test_sessions_are_listed_and_ended(open_browser: Open, ada: Person, services: Services) -> None:
    first, second = await open_browser(), await open_browser()
    await first.sign_in(ada)
    await second.sign_in(ada)
    listed = await services.identity.sessions.list_for(ada.id)
    assert len(listed) == 2
    mine = await services.identity.sessions.find(first.http.cookies["pm_session"])
    assert mine is not None
    other = next(item for item in listed if item.id != mine.id)
    answer = await first.post(
        "/account/sessions/end", {"session": ids.encode("ses", other.id)}, page="/account/sessions"
    )
    assert answer.headers["location"] == "/account/sessions?notice=session-ended"
    assert (await second.get("/v1/emails")).status_code == 401
    assert (await first.get("/v1/emails")).status_code == 200


async def test_a_session_of_somebody_else_is_not_found(open_browser: Open, ada: Person, services: Services) -> None:
    bob = await make_person(services, "bob@example.com")
    adas, bobs = await open_browser(), await open_browser()
    await adas.sign_in(ada)
    await bobs.sign_in(bob)
    target = (await services.identity.sessions.list_for(ada.id))[0]
    answer = await bobs.post("/account/sessions/end", {"session": ids.encode("ses", target.id)}, page="/account")
    assert answer.status_code == 404
    assert len(await services.identity.sessions.list_for(ada.id)) == 1


async def test_somebody_without_an_organization_is_told_so(surfer: Surfer, services: Services) -> None:
    bob = await make_person(services, "bob@example.com")
    await surfer.sign_in(bob)
    answer = await surfer.get("/v1/emails")
    assert answer.status_code == 403
    assert "/account/organizations" in answer.json()["detail"]
