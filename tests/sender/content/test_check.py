"""Whole checks, with a real SpamAssassin."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from penguinmails_core.errors import Unprocessable
from penguinmails_core.kit.dns import StaticResolver
from penguinmails_core.templates.renderer import Renderer
from penguinmails_sender.content.check import Content, ContentChecker
from penguinmails_sender.content.spamd import Spamd, SpamdError, parse
from tests.fixtures.spamd import spamd

__all__ = ["spamd"]

GTUBE = "XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X"
NOWHERE = StaticResolver({})


@pytest.fixture
async def renderer() -> AsyncIterator[Renderer]:
    made = Renderer(processes=1)
    yield made
    await made.close()


def content(html: str | None = None, text: str | None = "Hello Ada, see you soon.", **members: str) -> Content:
    return Content(members.get("subject", "Hello"), html, text, members.get("cls", "transactional"))


async def test_real_rules_with_their_own_words(renderer: Renderer, spamd: str) -> None:
    checker = ContentChecker(renderer, NOWHERE, Spamd(spamd), [])
    plain = (await checker.check(content())).spam
    assert (plain.status, plain.detail) == ("checked", None)
    assert plain.report is not None
    assert plain.report.threshold == 5.0
    assert plain.report.score < 1
    ignored = {rule.name for rule in plain.report.rules if not rule.counted}
    assert "NO_RELAYS" in ignored
    counted = {rule.name for rule in plain.report.rules if rule.counted}
    assert not [name for name in counted if name.startswith("MISSING_") or "RELAY" in name]

    html = '<html><body><font color="white">x</font><img src="https://a.example/x.png"></body></html>'
    marked = (await checker.check(content(html, f"Hello\n\n{GTUBE}\n"))).spam.report
    assert marked is not None
    rules = {rule.name: rule for rule in marked.rules}
    assert marked.score >= 999
    assert (rules["GTUBE"].score, rules["GTUBE"].counted) == (1000.0, True)
    assert "Test for Unsolicited Bulk Email" in rules["GTUBE"].description
    assert rules["HTML_MESSAGE"].description
    assert marked.score == pytest.approx(sum(rule.score for rule in marked.rules if rule.counted), abs=0.1)


async def test_without_one_the_answer_says_so(renderer: Renderer) -> None:
    spam = (await ContentChecker(renderer, NOWHERE, None, []).check(content())).spam
    assert (spam.status, spam.report) == ("not_configured", None)
    assert spam.detail is not None
    assert "PENGUINMAILS_SPAMD_URL" in spam.detail


async def test_one_that_is_away_does_not_fail_the_check(renderer: Renderer, unused_tcp_port: int) -> None:
    report = await ContentChecker(renderer, NOWHERE, Spamd(f"127.0.0.1:{unused_tcp_port}"), []).check(
        content(subject="")
    )
    assert (report.spam.status, report.spam.report) == ("unavailable", None)
    assert [found.rule for found in report.findings] == ["subject_empty"]


async def test_one_that_says_nothing_is_not_waited_for(renderer: Renderer) -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        spam = (await ContentChecker(renderer, NOWHERE, Spamd(f"127.0.0.1:{port}"), []).check(content())).spam
    assert spam.status == "unavailable"


def test_answers_that_are_none() -> None:
    for answer in (b"", b"SPAMD/1.0 76 Bad header line\r\n\r\n", b"SPAMD/1.1 0 EX_OK\r\n\r\nnothing"):
        with pytest.raises(SpamdError):
            parse(answer)


async def test_listed_hosts_are_findings_in_their_place(renderer: Renderer) -> None:
    zone = "dbl.example.net"
    resolver = StaticResolver({f"test.{zone}": {"A": ["127.0.0.2"]}, f"bad.example.{zone}": {"A": ["127.0.0.4"]}})
    html = '<html lang="en">\n<a href="https://www.bad.example/x">see your order</a></html>'
    report = await ContentChecker(renderer, resolver, None, [zone]).check(content(html, "see your order"))
    [found] = report.findings
    assert (found.rule, found.part, found.line) == ("link_listed", "html", 2)
    assert found.snippet == f"www.bad.example: {zone} says 127.0.0.4"
    assert (report.blocklists.status, report.blocklists.hosts) == ("checked", ("www.bad.example",))
    dead = await ContentChecker(renderer, NOWHERE, None, [zone]).check(content(html, "see your order"))
    assert (dead.blocklists.status, dead.blocklists.unusable, dead.findings) == ("unavailable", (zone,), ())


async def test_the_worst_comes_first(renderer: Renderer) -> None:
    html = '<html><a href="http://a.example/">click here</a><script></script></html>'
    report = await ContentChecker(renderer, NOWHERE, None, []).check(content(html))
    order = [found.severity for found in report.findings]
    assert order == sorted(order, key=["error", "warning", "info"].index)
    assert report.message_bytes is not None
    assert report.message_bytes > report.html_bytes == len(html)


async def test_what_is_no_message(renderer: Renderer) -> None:
    checker = ContentChecker(renderer, NOWHERE, None, [])
    for bad, pointer in (
        (Content("s", None, None, "campaign"), "/html"),
        (Content("s", "\0", None, "campaign"), "/html"),
        (Content("s", None, "t", "campaign", "nobody"), "/from"),
    ):
        with pytest.raises(Unprocessable) as caught:
            await checker.check(bad)
        assert [error.pointer for error in caught.value.errors] == [pointer]
