"""Passkeys in a real Chromium with a virtual authenticator, and every trap that WebAuthn leaves to the server."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from penguinmails_api.services import Services
from penguinmails_core.identity import totp
from tests.identity.people import HERE, Person, make_person
from tests.identity.tab import PageTab, open_page

pytestmark = pytest.mark.browser


async def _add_passkey(tab: PageTab, person: Person, name: str = "Laptop") -> str:
    """Signs in by password, adds a passkey, takes recovery codes; returns the authenticator's id."""
    authenticator = await tab.add_authenticator()
    await tab.sign_in(person.email, person.password)
    await tab.at("/account")
    await tab.go("/account/passkeys")
    await tab.page.fill("#passkey-name", name)
    await tab.press("Create passkey")
    await tab.heading("Your passkey is added")
    await tab.check_accessible()
    await tab.press("Show recovery codes")
    await tab.heading("New recovery codes")
    return authenticator


async def test_a_passkey_alone_signs_in(site: str, services: Services, ada: Person) -> None:
    async with open_page(site) as tab:
        await _add_passkey(tab, ada)
        await tab.go("/account/security")
        await tab.page.get_by_text("Laptop").wait_for()
        await tab.check_accessible()
        await tab.sign_out()
        await tab.at("/login")
        await tab.press("Sign in with a passkey")
        await tab.at("/account")
        session = (await services.identity.sessions.list_for(ada.id))[0]
        assert session.amr == ("hwk",)
        assert await services.identity.in_sudo(session)  # two factors in one


async def test_after_a_password_the_passkey_is_the_second_factor(site: str, services: Services, ada: Person) -> None:
    async with open_page(site) as tab:
        await _add_passkey(tab, ada)
        await tab.sign_out()
        await tab.sign_in(ada.email, ada.password)
        await tab.heading("Second factor")
        await tab.check_accessible()
        assert (await tab.page.request.get(site + "/v1/emails")).status == 401  # pending is not signed in
        await tab.press("Use a passkey")
        await tab.at("/account")
        assert (await tab.page.request.get(site + "/v1/emails")).status == 200


async def test_a_passkey_of_somebody_else_is_no_second_factor(site: str, services: Services, ada: Person) -> None:
    bob = await make_person(services, "bob@example.com")
    async with open_page(site) as tab:
        await _add_passkey(tab, bob)
        await tab.sign_out()
        # Ada owns one-time codes; Bob's passkey is offered by hand where her code is asked for.
        factors = services.identity.factors
        enrolment = await factors.enrol(ada.id, ada.email)
        await factors.confirm(ada.id, ada.email, totp.code_at(enrolment.secret))
        await tab.sign_in(ada.email, ada.password)
        await tab.heading("Second factor")
        answer = await _use_passkey_by_hand(tab)
        assert answer["status"] == 401, answer
        assert "another account" in answer["body"]["detail"]


async def test_a_user_handle_of_somebody_else_is_refused(site: str, services: Services, ada: Person) -> None:
    async with open_page(site) as tab:
        await _add_passkey(tab, ada)
        await tab.sign_out()
        foreign = base64.urlsafe_b64encode(b"f" * 64).decode().rstrip("=")
        answer = await _use_passkey_by_hand(tab, f"credential.response.userHandle = {json.dumps(foreign)};")
        assert answer["status"] == 401, answer


async def test_an_answer_is_good_once(site: str, services: Services, ada: Person) -> None:
    async with open_page(site) as tab:
        await _add_passkey(tab, ada)
        await tab.sign_out()
        first = await _use_passkey_by_hand(tab)
        assert first["status"] == 200, first
        await tab.page.context.clear_cookies(name="pm_session")
        await tab.go("/login")
        again = await _send(tab, "/login/passkey", first["sent"])
        assert again["status"] == 401
        await _send(tab, "/login/passkey/options", {})  # another question: the old answer does not fit it
        assert (await _send(tab, "/login/passkey", first["sent"]))["status"] == 401


async def test_a_question_of_another_browser_is_not_answered(site: str, services: Services, ada: Person) -> None:
    async with open_page(site) as tab, open_page(site) as other:
        await _add_passkey(tab, ada)
        await tab.sign_out()
        await tab.at("/login")
        await other.go("/login")
        options = (await _send(other, "/login/passkey/options", {}))["body"]
        answered = await tab.page.evaluate(_ANSWER, options)
        assert (await _send(tab, "/login/passkey", {"credential": answered}))["status"] == 401
        assert (await _send(other, "/login/passkey", {"credential": answered}))["status"] == 200


async def test_an_old_question_is_not_answered(site: str, services: Services, ada: Person) -> None:
    async with open_page(site) as tab:
        await _add_passkey(tab, ada)
        await tab.sign_out()
        await tab.at("/login")
        options = (await _send(tab, "/login/passkey/options", {}))["body"]
        await services.database.worker.execute("update webauthn_challenges set expires_at = now() - interval '1 s'")
        answered = await tab.page.evaluate(_ANSWER, options)
        assert (await _send(tab, "/login/passkey", {"credential": answered}))["status"] == 401


async def test_without_user_verification_nobody_comes_in(site: str, services: Services, ada: Person) -> None:
    """A script that asks the authenticator for less: only the server's own check stops it."""
    async with open_page(site) as tab:
        authenticator = await _add_passkey(tab, ada)
        await tab.sign_out()
        await tab.devtools.send("WebAuthn.setUserVerified", {"authenticatorId": authenticator, "isUserVerified": False})
        await tab.go("/login")
        lowered = await _use_passkey_by_hand(tab, options='options.userVerification = "discouraged";')
        assert lowered["status"] == 401, lowered
        await tab.press("Sign in with a passkey")
        await tab.page.get_by_text("The passkey was not used.").wait_for()
        await tab.check_accessible()


async def test_a_copied_passkey_is_noticed(
    site: str, services: Services, ada: Person, caplog: pytest.LogCaptureFixture
) -> None:
    """The copy counts from where it was made, so its counter goes back."""
    async with open_page(site) as tab:
        authenticator = await _add_passkey(tab, ada)
        await tab.sign_out()
        for _ in range(2):
            await tab.press("Sign in with a passkey")
            await tab.at("/account")
            await tab.sign_out()
        found = await tab.devtools.send("WebAuthn.getCredentials", {"authenticatorId": authenticator})
        credential = found["credentials"][0]
        assert credential["signCount"] > 1
        where = {"authenticatorId": authenticator}
        await tab.devtools.send("WebAuthn.removeCredential", where | {"credentialId": credential["credentialId"]})
        copy = credential | {"signCount": 1}
        await tab.devtools.send("WebAuthn.addCredential", where | {"credential": copy})
        await tab.press("Sign in with a passkey")
        await tab.page.get_by_text("The passkey could not be verified.").wait_for()
        assert "went back" in caplog.text
        assert await services.identity.sessions.list_for(ada.id) == []


async def test_a_deleted_passkey_is_no_way_in(site: str, services: Services, ada: Person) -> None:
    async with open_page(site) as tab:
        await _add_passkey(tab, ada)
        await tab.go("/account/security")
        await tab.page.get_by_role("button", name="Delete passkey Laptop").click()
        await tab.page.get_by_text("The passkey is deleted.").wait_for()
        await tab.sign_out()
        await tab.press("Sign in with a passkey")
        await tab.page.get_by_text("The passkey could not be verified.").wait_for()
        signed = await services.identity.sign_in(ada.email, ada.password, HERE)
        assert not signed.pending  # no second factor any more, and recovery codes went with it
        assert await services.identity.factors.recovery_codes_left(ada.id) == 0


async def test_passkeys_are_not_slowed_by_guesses_at_the_password(site: str, services: Services, ada: Person) -> None:
    async with open_page(site) as tab:
        await _add_passkey(tab, ada)
        await tab.sign_out()
        for _ in range(6):
            await tab.sign_in(ada.email, "wrong password")
        await tab.page.get_by_text("Too many attempts.").wait_for()
        await tab.press("Sign in with a passkey")
        await tab.at("/account")


_ANSWER = """async (options) => (await navigator.credentials.get({
  publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(options)})).toJSON()"""


async def _send(tab: PageTab, path: str, body: Any) -> dict[str, Any]:
    """A call as our script makes it."""
    found: dict[str, Any] = await tab.page.evaluate(
        """async ([path, body]) => {
          const token = document.querySelector('meta[name="form-token"]').content;
          const response = await fetch(path, {method: "POST", body: JSON.stringify(body),
            headers: {"Content-Type": "application/json", "X-Form-Token": token}});
          return {status: response.status, body: await response.json()};
        }""",
        [path, body],
    )
    return found


async def _use_passkey_by_hand(tab: PageTab, credential: str = "", *, options: str = "") -> dict[str, Any]:
    """Sign in with a passkey as a changed script would: `options` and `credential` are statements that change them.
    (The evaluation of a test is not bound by the page's policy.)"""
    found: dict[str, Any] = await tab.page.evaluate(
        """async () => {
          const token = document.querySelector('meta[name="form-token"]').content;
          const headers = {"Content-Type": "application/json", "X-Form-Token": token};
          const asked = await fetch("/login/passkey/options", {method: "POST", body: "{}", headers});
          const options = await asked.json();
          OPTIONS
          const made = await navigator.credentials.get({
            publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(options)});
          const credential = made.toJSON();
          CREDENTIAL
          const sent = {credential, next: "/account"};
          const response = await fetch("/login/passkey", {method: "POST", body: JSON.stringify(sent), headers});
          return {status: response.status, body: await response.json(), sent};
        }""".replace("OPTIONS", options).replace("CREDENTIAL", credential)
    )
    return found
