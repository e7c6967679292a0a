"""The doctor against real receivers, each with one of the mistakes that people make; every diagnosis has one."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import ssl
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from aiohttp import web

from penguinmails_webhooks.doctor import Finding, Level, Secret, Signed
from penguinmails_webhooks.doctor_run import Doctor, Outcome
from penguinmails_webhooks.signing import decode_secret, generate_secret, signed_headers
from tests.core.kit.http_world import WORLD, HangingResolver, certificate, http_server

SECRET, PREVIOUS, OTHER = (generate_secret() for _ in range(3))
BODY = (
    '{"id":"evt_1","type":"email.sent","data":{"subject":"Grüße & <b>","url":"https://a/b","n":1,"a":[1,2]}}'.encode()
)
SECRETS = [
    Secret(SECRET),
    Secret(PREVIOUS, Finding(Level.ERROR, "wrong_secret", "wrong secret: that is the previous one")),
    Secret(OTHER, Finding(Level.ERROR, "wrong_secret", "wrong secret: that is the one of another endpoint of yours")),
]
Answer = Callable[[dict[str, str], bytes], dict[str, str]]


def sign(
    key: bytes, headers: dict[str, str], body: bytes, shape: str = "{id}.{t}.{b}", algorithm: str = "sha256"
) -> bytes:
    """What a receiver computes, in the way it believes to be right."""
    shaped = shape.replace("{id}", headers["webhook-id"]).replace("{t}", headers["webhook-timestamp"])
    before, _, after = shaped.partition("{b}")
    content = before.encode() + (body if "{b}" in shape else b"") + after.encode()
    return hmac.digest(key, content, algorithm)


def b64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


KEY = decode_secret(SECRET)


def rewritten(write: Callable[[object], str]) -> Answer:
    """Parses the body, and signs what its language writes."""
    return lambda headers, body: {"signature": "v1," + b64(sign(KEY, headers, write(json.loads(body)).encode()))}


def shaped(shape: str) -> Answer:
    return lambda headers, body: {"signature": b64(sign(KEY, headers, body, shape))}


def keyed(key: bytes) -> Answer:
    return lambda headers, body: {"signature": b64(sign(key, headers, body))}


def written(write: Callable[[bytes], str]) -> Answer:
    return lambda headers, body: {"signature": write(sign(KEY, headers, body))}


def clock(off: float) -> Answer:
    return lambda headers, body: {"signature": b64(sign(KEY, headers, body)), "timestamp": str(int(time.time() + off))}


COMPACT = (",", ":")
MISTAKES: dict[str, tuple[Answer, str, str]] = {
    "re-serialised by Python": (rewritten(json.dumps), "body_reserialised", "Python's json.dumps"),
    "re-serialised by PHP": (
        rewritten(lambda value: json.dumps(value, separators=COMPACT).replace("/", "\\/")),
        "body_reserialised",
        "PHP's json_encode",
    ),
    "re-serialised by Go": (
        rewritten(
            lambda value: (
                json.dumps(value, separators=COMPACT, ensure_ascii=False, sort_keys=True)
                .replace("&", "\\u0026")
                .replace("<", "\\u003c")
                .replace(">", "\\u003e")
            )
        ),
        "body_reserialised",
        "Go's json.Marshal",
    ),
    "pretty": (
        rewritten(lambda value: json.dumps(value, indent=2, ensure_ascii=False)),
        "body_reserialised",
        "indented by 2",
    ),
    "sorted": (
        rewritten(lambda value: json.dumps(value, separators=COMPACT, ensure_ascii=False, sort_keys=True)),
        "body_reserialised",
        "keys sorted",
    ),
    "object": (rewritten(lambda value: "[object Object]"), "body_parsed", "[object Object]"),
    "dict": (rewritten(str), "body_parsed", "str(data)"),
    "stream was read": (rewritten(lambda value: ""), "body_empty", "empty body"),
    "line break": (lambda h, b: {"signature": b64(sign(KEY, h, b + b"\n"))}, "body_changed", "line break at the end"),
    "Latin-1": (
        lambda h, b: {"signature": b64(sign(KEY, h, b.decode("latin-1").encode()))},
        "body_changed",
        "Latin-1",
    ),
    "previous secret": (keyed(decode_secret(PREVIOUS)), "wrong_secret", "the previous one"),
    "another endpoint's": (keyed(decode_secret(OTHER)), "wrong_secret", "another endpoint of yours"),
    "clock behind": (clock(-412), "clock_off", "yours is behind"),
    "clock ahead": (clock(4000), "clock_off", "yours is ahead"),
    "clock in milliseconds": (
        lambda h, b: {"timestamp": str(int(time.time() * 1000))},
        "clock_in_milliseconds",
        "milliseconds",
    ),
    "body only": (shaped("{b}"), "id_and_timestamp_missing", "without id and timestamp"),
    "no id": (shaped("{t}.{b}"), "id_missing", "without the id"),
    "no timestamp": (shaped("{id}.{b}"), "timestamp_missing", "without the timestamp"),
    "no body": (shaped("{id}.{t}"), "body_missing", "without the body"),
    "no dots": (shaped("{id}{t}{b}"), "dots_missing", "without dots"),
    "order": (shaped("{t}.{id}.{b}"), "wrong_order", "`timestamp.id.body`"),
    "key not decoded": (keyed(SECRET.removeprefix("whsec_").encode()), "base64_not_decoded", "decoded from base64"),
    "prefix kept": (keyed(SECRET.encode()), "prefix_not_removed", "remove `whsec_`"),
    "prefix kept, decoded by Python": (
        keyed(base64.b64decode(SECRET + "=" * (-len(SECRET.replace("_", "")) % 4))),
        "prefix_not_removed",
        "together with its prefix",
    ),
    "hex": (written(bytes.hex), "hex_not_base64", "hex instead of base64"),
    "hex with version": (written(lambda raw: "v1," + raw.hex()), "hex_not_base64", "hex instead of base64"),
    "base64 of hex": (written(lambda raw: b64(raw.hex().encode())), "hex_not_base64", "hex digits"),
    "unpadded": (written(lambda raw: b64(raw).rstrip("=")), "wrong_base64", "padding"),
    "SHA-1": (lambda h, b: {"signature": b64(sign(KEY, h, b, algorithm="sha1"))}, "wrong_algorithm", "HMAC-SHA1"),
    "SHA-512": (lambda h, b: {"signature": b64(sign(KEY, h, b, algorithm="sha512"))}, "wrong_algorithm", "HMAC-SHA512"),
    "only a hash of another body": (
        lambda h, b: {"body-sha256": hashlib.sha256(json.dumps(json.loads(b)).encode()).hexdigest()},
        "body_reserialised",
        "Python's json.dumps",
    ),
    "unknown secret": (
        lambda h, b: {
            "signature": b64(sign(b"?" * 32, h, b)),
            "body-sha256": hashlib.sha256(b).hexdigest(),
        },
        "wrong_secret",
        "none of your endpoints'",
    ),
    "inexplicable": (lambda h, b: {"signature": b64(b"?" * 32)}, "signature_mismatch", "No known mistake"),
    "no signature at all": (lambda h, b: {"signature": "yes"}, "echo_unreadable", "is no signature"),
}


async def examined(handler: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> Outcome:
    async with http_server(handler) as port:
        url = f"http://receiver.test:{port}/hooks"
        return await _examine(Doctor(WORLD, allow_private=True), url)


async def _examine(doctor: Doctor, url: str, body: bytes = BODY) -> Outcome:
    stamp = int(time.time())
    headers = signed_headers([SECRET], "evt_1", stamp, body)
    return await doctor.examine(url, Signed("evt_1", str(stamp), body), headers, SECRETS)


def answering(
    answer: Answer, *, as_json: bool = False, status: int = 200
) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def handler(request: web.Request) -> web.Response:
        body = await request.read()
        said = answer(dict(request.headers), body)
        if as_json:
            echo = {name.replace("-", "_"): value for name, value in said.items()}
            return web.json_response({"penguinmails_echo": echo}, status=status)
        return web.Response(status=status, headers={f"Webhook-Echo-{name}": value for name, value in said.items()})

    return handler


def codes(outcome: Outcome, level: Level = Level.ERROR) -> list[str]:
    return [finding.code for finding in outcome.findings if finding.level is level]


@pytest.mark.parametrize("as_json", [False, True], ids=["headers", "json"])
@pytest.mark.parametrize("name", MISTAKES)
async def test_a_mistake_is_named(name: str, as_json: bool) -> None:
    answer, code, words = MISTAKES[name]
    outcome = await examined(answering(answer, as_json=as_json))
    assert codes(outcome) == [code], outcome.findings
    found = next(finding for finding in outcome.findings if finding.code == code)
    assert words in found.detail
    assert not outcome.passed
    if code.startswith("body_re"):
        assert found.difference is not None
        place = found.difference.offset
        assert BODY[place:].startswith(found.difference.expected.encode())
        assert found.difference.got.encode() != BODY[place : place + len(found.difference.got.encode())]


async def test_the_clock_is_told_to_the_second() -> None:
    outcome = await examined(answering(clock(-412)))
    detail = next(finding.detail for finding in outcome.findings if finding.code == "clock_off")
    assert any(f"Clock off by {seconds} s" in detail for seconds in (411, 412, 413))
    assert codes(outcome, Level.OK) == ["received", "signature_ok"]
    assert codes(await examined(answering(clock(-60))), Level.WARNING) == ["clock_off"]
    assert codes(await examined(answering(clock(5))), Level.WARNING) == []


@pytest.mark.parametrize("as_json", [False, True], ids=["headers", "json"])
async def test_a_receiver_that_is_right(as_json: bool) -> None:
    """Whether or not it writes `v1,` in front; and it may prove the body alone."""

    def right(headers: dict[str, str], body: bytes) -> dict[str, str]:
        digest = hashlib.sha256(body).hexdigest()
        return {"signature": b64(sign(KEY, headers, body)), "body-sha256": digest, "timestamp": str(time.time())}

    outcome = await examined(answering(right, as_json=as_json))
    assert outcome.passed
    assert codes(outcome, Level.OK) == ["received", "signature_ok"]
    only_body = await examined(answering(lambda h, b: {"body-sha256": hashlib.sha256(b).hexdigest()}))
    assert codes(only_body, Level.OK) == ["received", "body_ok"]
    assert outcome.timing.dns is not None
    assert outcome.timing.connect is not None
    assert outcome.addresses == ["127.0.0.1"]


async def test_several_mistakes_at_once() -> None:
    """Re-serialised, the body alone, and in hex: all three are told."""

    def worst(headers: dict[str, str], body: bytes) -> dict[str, str]:
        return {"signature": sign(KEY, headers, json.dumps(json.loads(body)).encode(), "{b}").hex()}

    outcome = await examined(answering(worst))
    assert set(codes(outcome)) == {"body_reserialised", "id_and_timestamp_missing", "hex_not_base64"}


async def test_a_previous_secret_that_still_works() -> None:
    warning = Finding(Level.WARNING, "previous_secret", "you use the previous secret, which works until noon")
    stamp = int(time.time())
    async with http_server(answering(keyed(decode_secret(PREVIOUS)))) as port:
        outcome = await Doctor(WORLD, allow_private=True).examine(
            f"http://receiver.test:{port}/",
            Signed("evt_1", str(stamp), BODY),
            signed_headers([SECRET, PREVIOUS], "evt_1", stamp, BODY),
            [Secret(SECRET), Secret(PREVIOUS, warning)],
        )
    assert outcome.passed
    assert codes(outcome, Level.OK) == ["received", "signature_ok"]
    assert codes(outcome, Level.WARNING) == ["previous_secret"]


async def test_an_echoed_body_shows_the_byte() -> None:
    """A change that is no known one, too."""

    async def handler(request: web.Request) -> web.Response:
        body = (await request.read()).replace(b"email.sent", b"email.lost")
        signature = b64(sign(KEY, dict(request.headers), body))
        return web.json_response({"penguinmails_echo": {"signature": signature, "body": body.decode()}})

    outcome = await examined(handler)
    assert codes(outcome) == ["body_changed"]
    found = next(finding for finding in outcome.findings if finding.code == "body_changed")
    assert found.difference is not None
    assert (found.difference.offset, found.difference.expected[:4], found.difference.got[:4]) == (
        BODY.index(b"sent"),
        "sent",
        "lost",
    )

    async def by_header(request: web.Request) -> web.Response:
        return web.Response(headers={"webhook-echo-body": b64((await request.read())[:-1])})

    cut = next(finding for finding in (await examined(by_header)).findings if finding.code == "body_changed")
    assert cut.difference is not None
    assert (cut.difference.offset, cut.difference.expected, cut.difference.got) == (len(BODY) - 1, "}", "")


@pytest.mark.parametrize("status", [200, 401, 404, 410, 500])
async def test_a_silent_receiver(status: int) -> None:
    outcome = await examined(answering(lambda h, b: {}, status=status))
    expected = {200: [], 410: ["gone"]}.get(status, ["status"])
    assert codes(outcome) == expected
    assert codes(outcome, Level.WARNING) == ["no_echo"]
    assert outcome.result is not None
    assert outcome.result.status == status


async def test_a_redirect_is_told_and_not_followed() -> None:
    seen: list[str] = []

    async def handler(request: web.Request) -> web.Response:
        seen.append(request.path)
        return web.Response(status=308, headers={"Location": "/new?x=1"})

    outcome = await examined(handler)
    assert seen == ["/hooks"]
    assert outcome.redirect is not None
    assert outcome.redirect.endswith("/new?x=1")
    assert outcome.redirect.startswith("http://receiver.test:")
    assert codes(outcome) == ["redirect"]


async def test_an_answer_is_capped() -> None:
    async def handler(request: web.Request) -> web.Response:
        return web.Response(body=b"x" * 300_000)

    outcome = await examined(handler)
    assert outcome.result is not None
    assert (len(outcome.result.body), outcome.result.truncated) == (64 * 1024, True)


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("https://gone.test/", "dns"),
        ("https://empty.test/", "dns"),
        ("https://both.test/", "forbidden_address"),
        ("https://metadata.test/", "forbidden_address"),
        ("https://localhost/", "forbidden_address"),
        ("http://receiver.test/", "invalid_url"),
        ("https://169.254.169.254/", "forbidden_address"),
        ("https://0x7f.1/", "forbidden_address"),
    ],
)
async def test_where_it_does_not_go(url: str, code: str) -> None:
    outcome = await _examine(Doctor(WORLD, allow_private=False), url)
    assert outcome.error is not None
    assert outcome.error[0] == code
    assert codes(outcome) == [code]
    assert (outcome.addresses, outcome.result) == ([], None)


async def test_it_ends_in_time() -> None:
    hanging = await _examine(Doctor(HangingResolver(), allow_private=True, timeout=0.2), "https://receiver.test/")
    assert hanging.error == ("timeout", "no complete answer within 0.2 s (resolving the host)")
    assert codes(hanging) == ["timeout"]


async def test_tls(tmp_path: Path) -> None:
    """Trusted: the certificate's facts. Not trusted: why, in words, and nothing was sent."""
    calls: list[str] = []

    async def handler(request: web.Request) -> web.Response:
        calls.append(request.path)
        return web.Response(status=204)

    server, authority = certificate(tmp_path, ["receiver.test"])
    async with http_server(handler, server) as port:
        url = f"https://receiver.test:{port}/"
        good = await _examine(
            Doctor(WORLD, allow_private=True, trust=lambda: ssl.create_default_context(cafile=str(authority))), url
        )
        assert good.tls is not None
        assert good.tls.certificate is not None
        assert (good.tls.trusted, good.tls.version, good.tls.certificate.names) == (True, "TLSv1.3", ["receiver.test"])
        assert codes(good) == []
        assert calls == ["/"]
        bad = await _examine(Doctor(WORLD, allow_private=True), url)
        assert bad.tls is not None
        assert not bad.tls.trusted
        assert codes(bad)[0] == "certificate_self_signed"
        assert bad.result is None
        assert calls == ["/"]


@pytest.mark.parametrize("as_json", [False, True], ids=["headers", "json"])
async def test_what_a_verifier_said(as_json: bool) -> None:
    """All that a receiver with a public key can say; a refusal with its reason is told as the reason."""
    good = await examined(answering(lambda h, b: {"verified": "true"}, as_json=as_json))
    assert good.passed
    assert codes(good, Level.OK) == ["received", "signature_ok"]
    assert codes(await examined(answering(lambda h, b: {"verified": "false"}, as_json=as_json))) == [
        "signature_refused"
    ]
    late = answering(lambda h, b: {"verified": "false", "timestamp": str(int(time.time()) - 900)}, as_json=as_json)
    assert codes(await examined(late)) == ["clock_off"]
