"""Signing in by SAML: what holds, and what is refused. The provider's answers are posted as a browser would."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from lxml import etree

from penguinmails_api.identity.sso import saml
from penguinmails_api.identity.sso.saml import Endpoints, SamlUnavailable
from penguinmails_api.services import Services
from penguinmails_core.identity.sessions import SSO
from penguinmails_core.kit.clock import utcnow
from tests.fixtures.factories import Tenant
from tests.identity.conftest import Open
from tests.identity.people import Person, Surfer
from tests.identity.sso.assertions import FOREIGN, IDP, ISSUER, NS, SHA1, Answer, encode, moment, sign, wrapped
from tests.identity.sso.test_oidc import session_of
from tests.identity.sso.world import connect

SSO_URL = "https://idp.acme.example/sso"
Forge = Callable[[Answer], Any]


@dataclass
class Visit:
    """A browser that has left for the provider."""

    surfer: Surfer
    connection: str
    request_id: str
    relay_state: str
    request: str

    @property
    def ours(self) -> Endpoints:
        base = f"{self.surfer.base}/sso/saml/{self.connection}"
        return Endpoints(f"{base}/metadata", f"{base}/acs")

    def answer(self, **says: Any) -> Answer:
        return Answer(**{"request_id": self.request_id, "acs": self.ours.acs, "audience": self.ours.entity_id, **says})

    async def post(self, response: str, surfer: Surfer | None = None) -> httpx.Response:
        """From the provider's site, so without the Lax cookie."""
        target = surfer or self.surfer
        form = {"SAMLResponse": response, "RelayState": self.relay_state}
        headers = {"Sec-Fetch-Site": "cross-site", "Origin": "https://idp.acme.example", "Cookie": ""}
        return await target.http.post(f"/sso/saml/{self.connection}/acs", data=form, headers=headers)


async def leave(surfer: Surfer, connection: str, query: str = "") -> Visit:
    away = await surfer.get(f"/sso/saml/{connection}/start{query}")
    assert away.status_code == 303, away.text
    url = str(away.headers["location"])
    assert url.startswith(SSO_URL + "?")
    sent = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
    request = zlib.decompress(base64.b64decode(sent["SAMLRequest"]), -15).decode()
    return Visit(surfer, connection, etree.fromstring(request).get("ID"), sent["RelayState"], request)


@pytest.fixture
async def connection(services: Services, tenant: Tenant) -> str:
    return await connect(
        services, tenant.id, protocol="saml", issuer=ISSUER, sso_url=SSO_URL, certificates=[IDP.certificate]
    )


@pytest.fixture
async def visit(surfer: Surfer, connection: str) -> Visit:
    return await leave(surfer, connection, "?next=/account/security")


async def test_the_first_time_makes_a_member(visit: Visit, surfer: Surfer, services: Services, tenant: Tenant) -> None:
    request = etree.fromstring(visit.request)
    assert request.get("AssertionConsumerServiceURL") == visit.ours.acs
    assert request.findtext("saml:Issuer", namespaces=NS) == visit.ours.entity_id
    posted = await visit.post(visit.answer().encoded())
    assert posted.status_code == 303, posted.text
    assert "pm_session" not in posted.headers.get("set-cookie", ""), "the answer alone signs nobody in"
    finish = posted.headers["location"]
    done = await surfer.get(finish)
    assert (done.status_code, done.headers["location"]) == (303, "/account/security")
    session = await session_of(services, surfer)
    assert session is not None
    assert (session.email, session.name, session.amr) == ("ada@example.com", "Ada Lovelace", (SSO,))
    assert session.organization_id == tenant.id
    assert (await surfer.get(finish)).status_code == 404, "the code works once"
    assert (await visit.post(visit.answer(assertion_id="_two").encoded())).status_code == 404, "so does the request"


async def test_the_answer_is_for_the_browser_that_asked(visit: Visit, open_browser: Open, services: Services) -> None:
    other = await open_browser()
    await other.get("/login")
    finish = (await visit.post(visit.answer().encoded(), other)).headers["location"]
    refused = await other.get(finish)
    assert (refused.status_code, "another browser" in refused.text) == (403, True)
    assert await session_of(services, other) is None


async def test_an_assertion_is_good_once(visit: Visit, surfer: Surfer) -> None:
    """Even where a second request waits that it would fit (here: the same one, as if its answer had been lost)."""
    response = visit.answer().encoded()
    assert (await visit.post(response)).status_code == 303
    await _forget_the_answer(surfer)
    again = await visit.post(response)
    assert (again.status_code, "used before" in again.text) == (403, True)


async def _forget_the_answer(surfer: Surfer) -> None:
    services = surfer.http._transport.app.services  # type: ignore[attr-defined]
    await services.database.worker.execute("update sso_requests set code_hash = null, result = null")


async def test_an_answer_waits_one_minute(visit: Visit, surfer: Surfer, services: Services) -> None:
    finish = (await visit.post(visit.answer().encoded())).headers["location"]
    left = await services.database.worker.fetchval("select expires_at - now() from sso_requests")
    assert left <= timedelta(seconds=60)
    await services.database.worker.execute("update sso_requests set expires_at = now() - interval '1 second'")
    assert (await surfer.get(finish)).status_code == 404


def _unsigned(answer: Answer) -> Any:
    answer.signer = None
    return answer.tree()


def _stripped(answer: Answer) -> Any:
    root = answer.tree()
    assertion = root.find("saml:Assertion", NS)
    assertion.remove(assertion.find("ds:Signature", NS))
    return root


def _tampered(answer: Answer) -> Any:
    root = answer.tree()
    root.find("saml:Assertion/saml:Subject/saml:NameID", NS).text = "eve@example.com"
    return root


def _two_assertions(answer: Answer) -> Any:
    root = answer.tree()
    second = etree.fromstring(Answer(answer.request_id, answer.acs, answer.audience, assertion_id="_b").xml())
    assertion = second.find("saml:Assertion", NS)
    sign(assertion, IDP)
    root.append(assertion)
    return root


def _says(**changes: Any) -> Forge:
    def forge(answer: Answer) -> Any:
        for name, value in changes.items():
            setattr(answer, name, value)
        return answer.tree()

    return forge


_BOMB = '<!DOCTYPE r [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;&a;">]>'
_XXE = '<!DOCTYPE r [<!ENTITY x SYSTEM "file:///etc/passwd">]>'
FORGED: dict[str, Forge] = {
    **{f"signature wrapping {n}": (lambda answer, n=n: wrapped(answer, n)) for n in range(1, 9)},  # type: ignore[misc]
    "unsigned": _unsigned,
    "signature stripped": _stripped,
    "tampered": _tampered,
    "only the Response is signed": _says(sign_response=True),
    "foreign key, its certificate beside": _says(signer=FOREIGN),
    "two assertions": _two_assertions,
    "rsa-sha1": _says(algorithms=SHA1),
    "DTD": _says(doctype="<!DOCTYPE r>"),
    "entity bomb": _says(doctype=_BOMB, subject="&b;"),
    "external entity": _says(doctype=_XXE, subject="&x;"),
    "another audience": _says(audience="https://other.example/metadata"),
    "no audience": _says(audience=""),
    "another issuer": _says(issuer="https://evil.example"),
    "another recipient": _says(recipient="https://other.example/acs"),
    "no recipient": _says(recipient=""),
    "a recipient that begins like ours": lambda answer: _says(recipient=answer.acs + "/more")(answer),
    "another destination": _says(destination="https://other.example/acs"),
    "no destination": _says(destination=""),
    "no conditions": _says(conditions=False),
    "nobody asked (no InResponseTo)": _says(request_id="", response_to=""),
    "no signed InResponseTo": lambda answer: _says(request_id="", response_to=answer.request_id)(answer),
    "answer to another request, cut off the Response": _says(request_id="_other", response_to=""),
    "answer to another request": _says(request_id="_other"),
    "the Response answers another request": _says(response_to="_other"),
    "expired": _says(not_on_or_after=moment(-6)),
    "no end of the confirmation": _says(not_on_or_after=""),
    "lives for a day": _says(not_on_or_after=moment(24 * 60)),
    "transient subject": _says(name_format="urn:oasis:names:tc:SAML:2.0:nameid-format:transient"),
    "empty subject": _says(subject=""),
    "not XML": lambda _: "nonsense",
    "another document": lambda _: "<a/>",
}


@pytest.mark.parametrize("name", FORGED)
async def test_forged_answers_sign_nobody_in(visit: Visit, surfer: Surfer, services: Services, name: str) -> None:
    answer = await visit.post(encode(FORGED[name](visit.answer())))
    assert answer.status_code == 403, (name, answer.status_code)
    assert "does not hold" in answer.text
    assert await services.database.worker.fetchval("select count(*) from sso_requests where code_hash is not null") == 0
    # The request waits on: whoever posts nonsense does not cut off the person.
    good = await visit.post(visit.answer(assertion_id="_good").encoded())
    assert good.status_code == 303


async def test_a_comment_does_not_cut_the_subject(visit: Visit, surfer: Surfer, services: Services) -> None:
    """Readers that take the text before a comment let `ada@example.com<!-- -->.evil.example` be ada."""
    await visit.post(visit.answer(subject="ada@example.com<!-- -->.evil.example").encoded())
    row = await services.database.worker.fetchval("select result ->> 'subject' from sso_requests")
    assert row == "ada@example.com.evil.example"


async def test_the_new_certificate_counts_beside_the_old_one(visit: Visit, services: Services) -> None:
    await services.database.worker.execute(
        "update sso_connections set certificates = $1", [FOREIGN.certificate, IDP.certificate]
    )
    assert (await visit.post(visit.answer().encoded())).status_code == 303


async def test_only_proven_domains_and_links_without_a_word_of_verification(
    visit: Visit, surfer: Surfer, services: Services, ada: Person, connection: str
) -> None:
    finish = (await visit.post(visit.answer().encoded())).headers["location"]
    await surfer.get(finish)
    session = await session_of(services, surfer)
    assert session is not None
    assert session.user_id == ada.id, "the domain is proven, and SAML knows no email_verified"
    second = await leave(surfer, connection)
    finish = (await second.post(second.answer(subject="eve@example.org", assertion_id="_e").encoded())).headers[
        "location"
    ]
    refused = await surfer.get(finish)
    assert (refused.status_code, "has not proven" in refused.text) == (403, True)


async def test_sudo_mode_asks_the_provider_again(
    visit: Visit, surfer: Surfer, services: Services, connection: str
) -> None:
    await surfer.get((await visit.post(visit.answer().encoded())).headers["location"])
    first = await session_of(services, surfer)
    assert first is not None
    await services.database.worker.execute("update user_sessions set auth_time = $1", utcnow() - timedelta(hours=1))
    await services.identity.sessions.refresh_user(first.user_id)
    again = await leave(surfer, connection, "?confirm=1&next=/account/password")
    assert etree.fromstring(again.request).get("ForceAuthn") == "true"
    finish = (await again.post(again.answer(assertion_id="_b").encoded())).headers["location"]
    assert (await surfer.get(finish)).headers["location"] == "/account/password"
    session = await session_of(services, surfer)
    assert session is not None
    assert session.id == first.id
    assert await services.identity.in_sudo(session)


async def test_forms_that_are_no_answers(surfer: Surfer, connection: str) -> None:
    url = f"/sso/saml/{connection}/acs"
    assert (await surfer.http.post(url, data={"SAMLResponse": "x"})).status_code == 400
    assert (await surfer.http.post(url, content=b"\xff")).status_code == 400
    assert (await surfer.http.post(url, data={"SAMLResponse": "x", "RelayState": "made up"})).status_code == 404
    assert (await surfer.http.get(url)).status_code == 405


async def test_only_the_acs_is_exempt_from_the_rule_about_other_sites(surfer: Surfer, connection: str) -> None:
    await surfer.get("/login")
    foreign = {"Sec-Fetch-Site": "same-site", "Origin": "http://localhost:9000"}
    answer = await surfer.http.post(f"/sso/saml/{connection}/acs", data={"SAMLResponse": "x"}, headers=foreign)
    assert answer.status_code == 400, "read, and found wanting"
    for path in ("/sso", "/login", "/sso/saml/finish"):
        answer = await surfer.http.post(path, data={"email": "a@example.com"}, headers=foreign)
        assert answer.status_code == 403, path


async def test_metadata_tells_the_provider_who_we_are(surfer: Surfer, connection: str) -> None:
    page = await surfer.get(f"/sso/saml/{connection}/metadata")
    assert page.headers["content-type"].startswith("application/samlmetadata+xml")
    root = etree.fromstring(page.content)
    assert root.get("entityID") == f"{surfer.base}/sso/saml/{connection}/metadata"
    descriptor = root.find("{urn:oasis:names:tc:SAML:2.0:metadata}SPSSODescriptor")
    assert descriptor is not None
    assert descriptor.get("WantAssertionsSigned") == "true"
    service = descriptor.find("{urn:oasis:names:tc:SAML:2.0:metadata}AssertionConsumerService")
    assert service is not None
    assert service.get("Location") == f"{surfer.base}/sso/saml/{connection}/acs"


async def test_without_the_extra_saml_says_what_is_missing(
    surfer: Surfer, connection: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "onelogin.saml2", None)
    monkeypatch.setitem(sys.modules, "onelogin.saml2.auth", None)
    assert not saml.available()
    with pytest.raises(SamlUnavailable, match=r"penguinmails-server\[saml\]"):
        saml.require()
    page = await surfer.get(f"/sso/saml/{connection}/start")
    assert page.status_code == 503
    assert "penguinmails-server[saml]" in page.text
