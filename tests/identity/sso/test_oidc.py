"""Signing in by OpenID Connect: what holds, and what is refused."""

from __future__ import annotations

import base64
import time
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from authlib.oidc.core.util import create_half_hash
from joserfc.jwk import OctKey

from penguinmails_api.services import Services
from penguinmails_core.audit.actor import Actor
from penguinmails_core.identity.sessions import SSO, Session
from penguinmails_core.limits import service as limits
from tests.fixtures.factories import Tenant, make_tenant
from tests.identity.conftest import Open
from tests.identity.people import HERE, Person, Surfer, make_person
from tests.identity.sso.world import CLIENT_ID, CLIENT_SECRET, FOREIGN, Liar, connect


async def leave(surfer: Surfer, connection: str, query: str = "") -> str:
    """The URL that the browser is sent to."""
    answer = await surfer.get(f"/sso/oidc/{connection}/start{query}")
    assert answer.status_code == 303, answer.text
    return str(answer.headers["location"])


async def come_back(surfer: Surfer, liar: Liar, url: str) -> httpx.Response:
    return await surfer.get(liar.authorized(url).removeprefix(surfer.base))


async def sign_in(surfer: Surfer, liar: Liar, connection: str, query: str = "") -> httpx.Response:
    return await come_back(surfer, liar, await leave(surfer, connection, query))


async def session_of(services: Services, surfer: Surfer) -> Session | None:
    token = surfer.http.cookies.get("pm_session")
    return await services.identity.sessions.find(token) if token else None


@pytest.fixture
async def connection(services: Services, tenant: Tenant, liar: Liar) -> str:
    return await connect(services, tenant.id, issuer=liar.issuer)


async def test_the_first_time_makes_a_member(
    surfer: Surfer, services: Services, liar: Liar, connection: str, tenant: Tenant
) -> None:
    url = await leave(surfer, connection, "?next=/account/security&hint=ada@example.com")
    asked = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
    assert asked["response_type"] == "code"
    assert (asked["client_id"], asked["login_hint"]) == (CLIENT_ID, "ada@example.com")
    assert asked["code_challenge_method"] == "S256"
    assert asked["redirect_uri"] == f"{surfer.base}/sso/oidc/{connection}/callback"
    answer = await come_back(surfer, liar, url)
    assert (answer.status_code, answer.headers["location"]) == (303, "/account/security")
    session = await session_of(services, surfer)
    assert session is not None
    assert (session.email, session.name, session.amr) == ("ada@example.com", "Ada Lovelace", (SSO,))
    assert session.organization_id == tenant.id
    pair = base64.b64decode(liar.authorization.removeprefix("Basic ")).decode()
    assert pair == f"{CLIENT_ID}:a%20secret%3A%20with%20%25", "RFC 6749 §2.3.1"
    assert liar.exchanged["redirect_uri"] == asked["redirect_uri"]
    assert (await surfer.http.get("/v1/emails")).status_code == 200
    row = await services.database.worker.fetchrow("select role from members where user_id = $1", session.user_id)
    assert row["role"] == "member"
    actions = await services.database.worker.fetch("select action from audit_logs where action like '%in%'")
    assert {"member.joined", "user.signed_in"} <= {row["action"] for row in actions}

    # The second time it is the same person, whatever their address has become.
    liar.claims = {"email": "ada@elsewhere.example"}
    await sign_in(surfer, liar, connection)
    again = await session_of(services, surfer)
    assert again is not None
    assert (again.user_id, again.email) == (session.user_id, "ada@example.com")
    assert again.id != session.id
    assert await services.database.worker.fetchval("select count(*) from user_sessions") == 1
    (told,) = await services.database.worker.fetch("select type, payload from events")
    assert (told["type"], told["payload"]["via"]) == ("member.added", "single_sign_on")


async def test_a_public_client_and_one_that_posts_its_secret(
    open_browser: Open, services: Services, liar: Liar, tenant: Tenant
) -> None:
    public = await connect(services, tenant.id, issuer=liar.issuer, secret=None)
    assert (await sign_in(await open_browser(), liar, public)).status_code == 303
    assert (liar.authorization, liar.exchanged["client_id"]) == ("", CLIENT_ID)
    liar.metadata = {"token_endpoint_auth_methods_supported": ["client_secret_post"]}
    posts = await connect(services, tenant.id, issuer=liar.issuer, domain="example.org")
    liar.claims = {"email": "bob@example.org", "sub": "bob"}
    services.oidc._cache.clear()
    assert (await sign_in(await open_browser(), liar, posts)).status_code == 303
    assert (liar.authorization, liar.exchanged["client_secret"]) == ("", CLIENT_SECRET)


async def test_what_the_token_leaves_out_comes_from_userinfo(
    surfer: Surfer, services: Services, liar: Liar, connection: str
) -> None:
    liar.claims = {"email": None, "email_verified": None, "name": None}
    liar.userinfo = {"email": "ada@example.com", "name": "Ada"}
    assert (await sign_in(surfer, liar, connection)).status_code == 303
    liar.userinfo = {"sub": "eve", "email": "ada@example.com"}
    refused = await sign_in(surfer, liar, connection)
    assert refused.status_code == 403
    assert "about somebody else" in refused.text


def _forged() -> dict[str, dict[str, Any]]:
    now = int(time.time())
    hs = {"header": {"alg": "HS256"}, "key": OctKey.import_key(CLIENT_SECRET)}
    return {
        "iss": {"claims": {"iss": "https://evil.example"}},
        "no iss": {"claims": {"iss": None}},
        "aud": {"claims": {"aud": "another"}},
        "aud, azp is us": {"claims": {"aud": "another", "azp": CLIENT_ID}},
        "aud list without azp": {"claims": {"aud": [CLIENT_ID, "another"]}},
        "azp": {"claims": {"aud": [CLIENT_ID, "another"], "azp": "another"}},
        "azp of another, one audience": {"claims": {"azp": "another"}},
        "no nonce": {"claims": {"nonce": None}},
        "nonce": {"claims": {"nonce": "of another visit"}},
        "expired": {"claims": {"exp": now - 90}},
        "no exp": {"claims": {"exp": None}},
        "from the future": {"claims": {"iat": now + 600}},
        "no sub": {"claims": {"sub": None}},
        "sub is a number": {"claims": {"sub": 7}},
        "foreign key, same kid": {"key": FOREIGN},
        "signed with the client secret": hs,
        "at_hash": {"claims": {"at_hash": create_half_hash("other", "RS256").decode()}},
        "not a token": {"raw_token": "a.b.c"},
        "empty": {"raw_token": ""},
        "alg none": {"raw_token": "none"},
    }


@pytest.mark.filterwarnings("ignore::joserfc.errors.SecurityWarning")
@pytest.mark.parametrize("name", _forged())
async def test_forged_tokens_sign_nobody_in(
    surfer: Surfer, services: Services, liar: Liar, connection: str, name: str
) -> None:
    for attribute, value in _forged()[name].items():
        setattr(liar, attribute, value)
    if liar.raw_token == "none":
        header = base64.urlsafe_b64encode(b'{"alg":"none"}').rstrip(b"=").decode()
        url = await leave(surfer, connection)
        back = liar.authorized(url)
        liar.raw_token = None
        liar.raw_token = f"{header}.{liar.mint().split('.')[1]}."
        answer = await surfer.get(back.removeprefix(surfer.base))
    else:
        answer = await sign_in(surfer, liar, connection)
    assert answer.status_code == 403, name
    assert "does not hold" in answer.text
    assert await session_of(services, surfer) is None
    assert await services.database.worker.fetchval("select count(*) from sso_identities") == 0


async def test_good_tokens_of_the_same_mint_hold(surfer: Surfer, liar: Liar, connection: str) -> None:
    """Else the test above would prove nothing."""
    liar.claims = {
        "aud": [CLIENT_ID, "another"],
        "azp": CLIENT_ID,
        "at_hash": create_half_hash("at", "RS256").decode(),
        "exp": int(time.time()) - 30,
    }
    assert (await sign_in(surfer, liar, connection)).status_code == 303


async def test_a_key_that_was_rotated_is_fetched(
    surfer: Surfer, open_browser: Open, liar: Liar, connection: str
) -> None:
    await sign_in(surfer, liar, connection)
    assert liar.read == 1, "metadata is kept"
    liar.key, liar.published = FOREIGN, [FOREIGN]
    assert (await sign_in(await open_browser(), liar, connection)).status_code == 303
    assert liar.read == 2


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"metadata": {"issuer": "https://evil.example"}}, "another issuer"),
        ({"metadata": {"token_endpoint": "http://169.254.169.254/latest"}}, "metadata address"),
        ({"metadata": {"jwks_uri": None}}, "jwks_uri"),
        ({"metadata": {"authorization_endpoint": "javascript:alert(1)"}}, "authorization_endpoint"),
    ],
)
async def test_metadata_that_cannot_be_used(
    surfer: Surfer, liar: Liar, connection: str, change: dict[str, Any], text: str
) -> None:
    liar.metadata = change["metadata"]
    answer = await surfer.get(f"/sso/oidc/{connection}/start")
    assert answer.status_code == 503
    assert text in answer.text


async def test_private_providers_only_where_the_operator_allows_it(
    surfer: Surfer, services: Services, liar: Liar, connection: str
) -> None:
    services.outgoing._allow_private = False
    answer = await surfer.get(f"/sso/oidc/{connection}/start")
    assert answer.status_code == 503
    assert liar.read == 0


async def test_the_answer_names_its_issuer(surfer: Surfer, services: Services, liar: Liar, connection: str) -> None:
    liar.answer = {"iss": "https://evil.example"}
    assert (await sign_in(surfer, liar, connection)).status_code == 403
    liar.answer = {}
    liar.metadata = {"authorization_response_iss_parameter_supported": True}
    services.oidc._cache.clear()
    assert (await sign_in(surfer, liar, connection)).status_code == 403, "it has to be there"
    liar.answer = {"iss": liar.issuer}
    assert (await sign_in(surfer, liar, connection)).status_code == 303


async def test_state_works_once_in_its_browser_at_its_connection(
    surfer: Surfer, open_browser: Open, services: Services, liar: Liar, connection: str, tenant: Tenant
) -> None:
    back = liar.authorized(await leave(surfer, connection)).removeprefix(surfer.base)
    other = await open_browser()
    await other.get("/login")
    refused = await other.get(back)
    assert (refused.status_code, "another browser" in refused.text) == (403, True)
    assert (await surfer.get(back)).status_code == 404, "it was used up by the attempt"
    back = liar.authorized(await leave(surfer, connection)).removeprefix(surfer.base)
    second = await connect(services, tenant.id, issuer=liar.issuer, domain="example.org")
    assert (await surfer.get(back.replace(connection, second))).status_code == 404
    back = liar.authorized(await leave(surfer, connection)).removeprefix(surfer.base)
    assert (await surfer.get(back)).status_code == 303
    assert (await surfer.get(back)).status_code == 404
    assert (await surfer.get(f"/sso/oidc/{connection}/callback?code=x&state=made-up")).status_code == 404
    await services.database.worker.execute("delete from sso_requests")
    back = liar.authorized(await leave(surfer, connection)).removeprefix(surfer.base)
    await services.database.worker.execute("update sso_requests set expires_at = now() - interval '1 second'")
    assert (await surfer.get(back)).status_code == 404


async def test_refusal_of_the_provider_is_told_without_its_words(surfer: Surfer, liar: Liar, connection: str) -> None:
    liar.answer = {"code": None, "error": "access_denied", "error_description": "<b>call 0900</b>"}
    answer = await sign_in(surfer, liar, connection)
    assert answer.status_code == 403
    assert "0900" not in answer.text


async def test_where_to_go_on_stays_here(surfer: Surfer, liar: Liar, connection: str) -> None:
    answer = await sign_in(surfer, liar, connection, "?next=https://evil.example")
    assert answer.headers["location"] == "/account"


async def test_disabled_or_unknown_connections(surfer: Surfer, services: Services, connection: str) -> None:
    await services.database.worker.execute("update sso_connections set status = 'disabled'")
    assert (await surfer.get(f"/sso/oidc/{connection}/start")).status_code == 404
    assert (await surfer.get("/sso/oidc/sso_01kaz6yzwhe1xrqm3c8s4q3m8r/start")).status_code == 404
    assert (await surfer.get("/sso/oidc/nonsense/start")).status_code == 404
    await services.database.worker.execute("update sso_connections set status = 'active'")
    assert (await surfer.get(f"/sso/saml/{connection}/start")).status_code == 404


# Who may come in by address


async def test_only_addresses_of_proven_domains_come_in(
    surfer: Surfer, services: Services, liar: Liar, tenant: Tenant
) -> None:
    connection = await connect(services, tenant.id, issuer=liar.issuer, proven=False)
    refused = await sign_in(surfer, liar, connection)
    assert refused.status_code == 403
    assert "has not proven" in refused.text
    await services.database.worker.execute("update sso_domains set verified_at = now()")
    for email in ("eve@example.org", "eve@sub.example.com", "", "no address", None):
        liar.claims = {"email": email}
        assert (await sign_in(surfer, liar, connection)).status_code == 403, email
    liar.claims = {"email_verified": False}
    assert (await sign_in(surfer, liar, connection)).status_code == 403
    assert await services.database.worker.fetchval("select count(*) from users where email like 'eve@%'") == 0


async def test_an_account_that_exists_is_linked_only_when_the_address_is_verified(
    surfer: Surfer, services: Services, liar: Liar, connection: str, ada: Person
) -> None:
    liar.claims = {"email_verified": None}
    refused = await sign_in(surfer, liar, connection)
    assert (refused.status_code, "email_verified" in refused.text) == (403, True)
    assert await session_of(services, surfer) is None
    liar.claims = {}
    await sign_in(surfer, liar, connection)
    session = await session_of(services, surfer)
    assert session is not None
    assert session.user_id == ada.id
    role = await services.database.worker.fetchval("select role from members where user_id = $1", ada.id)
    assert role == "owner", "nobody loses a role by signing in"


async def test_a_linked_account_is_still_asked_for_its_own_second_factor(
    surfer: Surfer, services: Services, liar: Liar, connection: str, ada: Person
) -> None:
    await services.database.worker.execute(
        "update user_credentials set totp_secret = $2, totp_confirmed_at = now() where user_id = $1",
        ada.id,
        b"sealed",
    )
    for _ in range(2):
        answer = await sign_in(surfer, liar, connection)
        assert answer.headers["location"].startswith("/login/second-factor")
        session = await session_of(services, surfer)
        assert session is not None
        assert session.state == "pending"
        assert (await surfer.http.get("/v1/emails")).status_code == 401


async def test_who_was_removed_does_not_come_back(
    surfer: Surfer, services: Services, liar: Liar, connection: str
) -> None:
    await sign_in(surfer, liar, connection)
    await services.database.worker.execute("delete from members where user_id in (select user_id from sso_identities)")
    refused = await sign_in(surfer, liar, connection)
    assert (refused.status_code, "removed" in refused.text) == (403, True)


# Enforced


async def test_members_of_the_domain_must_use_it_and_owners_need_not(
    open_browser: Open, services: Services, liar: Liar, tenant: Tenant, ada: Person
) -> None:
    await connect(services, tenant.id, issuer=liar.issuer, enforced=True)
    member = await make_person(services, "bob@example.com", organization_id=tenant.id, role="member")
    elsewhere = await make_person(services, "carol@example.org", organization_id=tenant.id, role="member")
    outsider = await make_person(services, "dan@example.com", organization_id=(await make_tenant(services.database)).id)
    surfer = await open_browser()
    refused = await surfer.sign_in(member)
    assert refused.status_code == 403
    assert "single sign-on" in refused.text
    wrong = await surfer.post("/login", {"email": member.email, "password": "wrong"})
    assert "single sign-on" not in wrong.text.split("</form>")[0], "only who has the password learns of it"
    for person in (ada, elsewhere, outsider):
        assert (await (await open_browser()).sign_in(person)).status_code == 303, person.email
    await services.database.worker.execute("update sso_connections set status = 'disabled'")
    await services.identity.throttle.forgive("password", HERE.address, member.email)
    assert (await (await open_browser()).sign_in(member)).status_code == 303


# Sudo mode


async def test_sudo_mode_by_asking_the_provider_again(
    surfer: Surfer, services: Services, liar: Liar, connection: str
) -> None:
    await sign_in(surfer, liar, connection)
    first = await session_of(services, surfer)
    assert first is not None
    await services.database.worker.execute("update user_sessions set auth_time = now() - interval '1 hour'")
    await services.identity.sessions.refresh_user(first.user_id)
    page = await surfer.get("/login/confirm?next=/account/password")
    assert "Confirm with single sign-on" in page.text
    away = await surfer.get("/sso/confirm?next=/account/password")
    assert away.headers["location"].startswith(f"/sso/oidc/{connection}/start?confirm=1")

    async def confirm(**claims: Any) -> httpx.Response:
        liar.claims = claims
        url = (await surfer.get(away.headers["location"])).headers["location"]
        assert parse_qs(urlsplit(url).query)["max_age"] == ["0"]
        return await come_back(surfer, liar, url)

    assert (await confirm()).status_code == 403, "auth_time is missing"
    assert (await confirm(auth_time=int(time.time()) - 3600)).status_code == 403, "the provider did not ask"
    assert (await confirm(auth_time=int(time.time()), sub="eve")).status_code == 403, "somebody else"
    session = await session_of(services, surfer)
    assert session is not None
    assert not await services.identity.in_sudo(session)
    done = await confirm(auth_time=int(time.time()))
    assert (done.status_code, done.headers["location"]) == (303, "/account/password")
    session = await session_of(services, surfer)
    assert session is not None
    assert session.id == first.id
    assert await services.identity.in_sudo(session)


# The page that finds the provider


async def test_finding_the_provider_says_nothing_of_people(
    surfer: Surfer, services: Services, liar: Liar, connection: str, ada: Person
) -> None:
    known = await surfer.post("/sso", {"email": ada.email, "next": "/account"})
    unknown = await surfer.post("/sso", {"email": "nobody@example.com", "next": "/account"})
    assert f"/sso/oidc/{connection}/start" in known.text
    assert known.text.replace("ada%40", "nobody%40") == unknown.text
    none = await surfer.post("/sso", {"email": "x@unknown.example"})
    assert "No single sign-on is set up for unknown.example" in none.text
    cross = await surfer.http.post("/sso", data={"email": ada.email}, headers={"Sec-Fetch-Site": "cross-site"})
    assert cross.status_code == 403


async def test_a_full_house_lets_nobody_new_in(
    surfer: Surfer, services: Services, liar: Liar, connection: str, tenant: Tenant
) -> None:
    operator = Actor.operator(tenant.id)
    await limits.override(services.database, operator, "max_users", 0, reason="a test")
    refused = await sign_in(surfer, liar, connection)
    assert refused.status_code == 403
    assert "max_users" in refused.text
    assert await services.database.worker.fetchval("select count(*) from members") == 0
    await limits.override(services.database, operator, "max_users", 1, reason="a test")
    assert (await sign_in(surfer, liar, connection)).status_code == 303
    assert (await sign_in(surfer, liar, connection)).status_code == 303, "a member comes in as before"
