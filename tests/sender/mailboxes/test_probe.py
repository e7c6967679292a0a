"""Signing in to mailboxes, against a real Dovecot and a submission server: what works, and why the rest does not."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest
from aiohttp import web
from pydantic import SecretStr

from penguinmails_core.config import MailboxSettings
from penguinmails_core.kit.dns import StaticResolver
from penguinmails_core.kit.http import OutgoingHttp
from penguinmails_core.mailboxes.oauth import OAuthTokens
from penguinmails_core.mailboxes.records import Check, Connection, MailServer
from penguinmails_sender.mailboxes.causes import FIXES, cause_of
from penguinmails_sender.mailboxes.probe import MailboxProber, reach_of
from tests.fixtures.dovecot import Dovecot, free_ports, running_dovecot
from tests.fixtures.smtp_auth import running_submission

USER = "grace@acme.test"


@pytest.fixture(scope="module")
def dovecot() -> Iterator[Dovecot]:
    off = "off@acme.test:{PLAIN}pw::::::nologin=y reason=IMAP_access_is_disabled\n"
    with running_dovecot([USER], lines=off) as server:
        yield server


def server_context(dovecot: Dovecot) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(dovecot.root / "cert.pem", dovecot.root / "key.pem")
    return context


def imap_of(
    port: int, tls: str = "none", user: str = USER, password: str = "pw", host: str = "localhost"
) -> MailServer:
    return MailServer(host, port, tls, user, password)


async def look(
    smtp: MailServer, imap: MailServer | None, authority: Path | None = None, *, allow_private: bool = True
) -> dict[str, Check]:
    settings = MailboxSettings(allow_private=allow_private, timeout=5, ca_file=authority)
    resolver = StaticResolver({})
    async with OutgoingHttp(allow_private=True) as http:
        prober = MailboxProber(reach_of(settings, resolver), OAuthTokens(http, settings), "localhost")
        found = await prober.check(Connection(smtp, imap))
    return {check.protocol: check for check in found}


@pytest.mark.parametrize("tls", ["none", "starttls", "implicit"])
async def test_signing_in_works_with_every_kind_of_tls(dovecot: Dovecot, tls: str) -> None:
    context = server_context(dovecot) if tls != "none" else None
    with running_submission(context=context, implicit=tls == "implicit") as submission:
        port = dovecot.imaps if tls == "implicit" else dovecot.imap
        found = await look(imap_of(submission.port, tls), imap_of(port, tls), dovecot.authority)
        assert found == {"smtp": Check("smtp"), "imap": Check("imap")}
        assert submission.signed_in == [USER]


async def test_a_wrong_password_is_the_cause(dovecot: Dovecot) -> None:
    with running_submission() as submission:
        found = await look(
            imap_of(submission.port, password="wrong"), imap_of(dovecot.imap, password="wrong"), dovecot.authority
        )
    assert (found["smtp"].code, found["imap"].code) == ("auth_failed", "auth_failed")
    assert "535" in (found["smtp"].detail or "")
    assert "wrong" not in str(found)


async def test_a_certificate_that_nobody_vouches_for(dovecot: Dovecot) -> None:
    with running_submission(context=server_context(dovecot), implicit=True) as submission:
        found = await look(imap_of(submission.port, "implicit"), imap_of(dovecot.imaps, "implicit"))
        assert submission.signed_in == []
    assert (found["smtp"].code, found["imap"].code) == ("tls_certificate", "tls_certificate")


async def test_a_certificate_for_another_name(dovecot: Dovecot) -> None:
    server = imap_of(dovecot.imaps, "implicit", host="127.0.0.1")
    found = await look(server, server, dovecot.authority)
    assert found["imap"].code == "tls_certificate"


async def test_no_starttls(dovecot: Dovecot) -> None:
    with running_dovecot([USER], tls=False) as plain, running_submission() as submission:
        found = await look(imap_of(submission.port, "starttls"), imap_of(plain.imap, "starttls"))
        assert submission.signed_in == []
    assert (found["smtp"].code, found["imap"].code) == ("starttls_missing", "starttls_missing")


async def test_imap_is_switched_off_for_the_mailbox(dovecot: Dovecot) -> None:
    with running_submission() as submission:
        found = await look(imap_of(submission.port), imap_of(dovecot.imap, user="off@acme.test"))
    assert found["smtp"].ok
    assert found["imap"].code == "imap_disabled"
    assert found["imap"].fix == FIXES["imap_disabled"]


async def test_nobody_listens_and_another_protocol_answers(dovecot: Dovecot) -> None:
    (port,) = free_ports(1)
    found = await look(imap_of(port), imap_of(port))
    assert (found["smtp"].code, found["imap"].code) == ("refused", "refused")
    with running_submission() as submission:
        found = await look(imap_of(dovecot.imap), imap_of(submission.port))
    assert (found["smtp"].code, found["imap"].code) == ("protocol", "protocol")


async def test_hosts_that_lead_nowhere_or_inside() -> None:
    found = await look(imap_of(993, host="nowhere.example"), imap_of(993, host="localhost"), allow_private=False)
    assert (found["smtp"].code, found["imap"].code) == ("dns", "forbidden_address")


async def test_a_name_that_leads_inside_is_not_called(dovecot: Dovecot) -> None:
    settings = MailboxSettings(timeout=5)
    resolver = StaticResolver({"inside.example": {"A": ["127.0.0.1"]}})
    async with OutgoingHttp(allow_private=False) as http:
        prober = MailboxProber(reach_of(settings, resolver), OAuthTokens(http, settings), "localhost")
        server = imap_of(dovecot.imap, host="inside.example")
        found = await prober.check(Connection(server, server))
    assert {check.code for check in found} == {"forbidden_address"}


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("5.7.9 Application-specific password required", "app_password_needed"),
        ("5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant", "smtp_disabled"),
        ("5.7.139 Authentication unsuccessful, basic authentication is disabled", "oauth_needed"),
        ("5.7.8 Username and Password not accepted", "auth_failed"),
        ("[ALERT] Your account is not enabled for IMAP use", "imap_disabled"),
        ("[LIMIT] Too many simultaneous connections", "rate_limited"),
        ("[AUTHENTICATIONFAILED] Invalid credentials (Failure)", "auth_failed"),
        ("[ALERT] Please log in via your web browser", "account_blocked"),
        ("something else", "server_unavailable"),
    ],
)
def test_what_servers_say(words: str, code: str) -> None:
    assert cause_of(words, "server_unavailable") == code
    assert code in FIXES


class Google:
    """A token endpoint; `answer` is the next answer."""

    def __init__(self) -> None:
        self.forms: list[dict[str, str]] = []
        self.status, self.answer = 200, {"access_token": "at", "expires_in": 3600}

    async def token(self, request: web.Request) -> web.Response:
        self.forms.append({name: str(value) for name, value in (await request.post()).items()})
        return web.Response(status=self.status, body=orjson.dumps(self.answer), content_type="application/json")


async def test_a_withdrawn_grant_is_told_apart_from_a_server_that_is_away() -> None:
    google = Google()
    app = web.Application()
    app.router.add_post("/token", google.token)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    settings = MailboxSettings(
        google_client_id="id",
        google_client_secret=SecretStr("secret"),
        google_token_url=f"http://127.0.0.1:{port}/token",
    )
    smtp = imap_of(465)
    try:
        async with OutgoingHttp(allow_private=True) as http:
            prober = MailboxProber(reach_of(settings, StaticResolver({})), OAuthTokens(http, settings), "localhost")
            google.status, google.answer = 400, {"error": "invalid_grant"}
            (revoked,) = await prober.check(Connection(smtp, None, "google", "rt"))
            google.status, google.answer = 503, {}
            (away,) = await prober.check(Connection(smtp, None, "google", "rt"))
            (unset,) = await prober.check(Connection(smtp, None, "microsoft", "rt"))
    finally:
        await runner.cleanup()
    codes = [(check.protocol, check.code) for check in (revoked, away, unset)]
    assert codes == [("oauth", "oauth_revoked"), ("oauth", "oauth_unavailable"), ("oauth", "oauth_not_configured")]
    assert google.forms[0]["refresh_token"] == "rt"
    assert google.forms[0]["grant_type"] == "refresh_token"
