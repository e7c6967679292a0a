"""The JSON API, over real HTTP."""

from __future__ import annotations

import asyncio
import json

import aiohttp
import dkim
import pytest

from penguinmails_sender.inbox.server import CaptureInbox
from tests.sender.inbox.conftest import Send
from tests.sender.inbox.samples import FROM, PNG, TO, pem, raw, rich, rsa_key, simple


async def get(http: aiohttp.ClientSession, path: str) -> dict[str, object]:
    async with http.get(path) as response:
        assert response.status == 200, await response.text()
        body: dict[str, object] = await response.json()
        return body


async def names(http: aiohttp.ClientSession, query: str) -> list[str]:
    body = await get(http, "/api/messages" + query)
    assert isinstance(body["data"], list)
    return [item["subject"] for item in body["data"]]


def signed(message: bytes) -> bytes:
    made: bytes = dkim.sign(message, b"s1", b"acme.test", pem(rsa_key()))
    return made + message


async def test_list_item(http: aiohttp.ClientSession, send: Send) -> None:
    message = signed(raw(simple("Grüße", sender="Ada Lövelace <ada@acme.test>")))
    kept = await send(message, "bounce+1@acme.test")
    body = await get(http, "/api/messages")
    assert body["has_more"] is False
    assert body["next_cursor"] is None
    assert isinstance(body["data"], list)
    (item,) = body["data"]
    assert item.pop("received_at").endswith("Z")
    assert item == {
        "id": kept.id,
        "from": "Ada Lövelace <ada@acme.test>",
        "to": TO,
        "subject": "Grüße",
        "size": len(message),
        "envelope_sender": "bounce+1@acme.test",
        "recipients": [TO],
        "dkim": {"verdict": "pass", "reason": "signature verified"},
    }


async def test_filters(http: aiohttp.ClientSession, send: Send) -> None:
    await send(simple("Invoice", "pay by Friday", sender="billing@acme.test", to="grace@x.test"))
    await send(simple("Welcome", "hello there", to="alan@x.test"), to="other@y.test")
    assert await names(http, "") == ["Welcome", "Invoice"]
    assert await names(http, "?q=FRIDAY") == ["Invoice"]
    assert await names(http, "?q=hello+welcome") == ["Welcome"]
    assert await names(http, "?q=hello+friday") == []
    assert await names(http, "?to=other@y") == ["Welcome"]
    assert await names(http, "?to=grace") == ["Invoice"]
    assert await names(http, "?from=billing") == ["Invoice"]
    assert await names(http, "?subject=come&from=ada") == ["Welcome"]


async def test_pages(http: aiohttp.ClientSession, send: Send, inbox: CaptureInbox) -> None:
    for number in range(5):
        await send(simple(f"m{number}"))
    seen: list[str] = []
    after = ""
    for _ in range(3):
        body = await get(http, f"/api/messages?limit=2{after}")
        assert isinstance(body["data"], list)
        seen += [item["subject"] for item in body["data"]]
        after = f"&after={body['next_cursor']}"
        if body["next_cursor"]:
            inbox.store.delete(str(body["next_cursor"]))  # a cursor outlives its message
    assert seen == ["m4", "m3", "m2", "m1", "m0"]
    assert body["has_more"] is False


@pytest.mark.parametrize(
    ("query", "pointer", "code"),
    [
        ("limit=0", "limit", "out_of_range"),
        ("limit=101", "limit", "out_of_range"),
        ("limit=ten", "limit", "out_of_range"),
        ("limit=", "limit", "out_of_range"),
        ("limit=%D9%A1", "limit", "out_of_range"),
        ("after=cap_1", "after", "invalid_cursor"),
        ("after=msg_01h455vb4pex5vsknk084sn02q", "after", "invalid_cursor"),
        ("q=" + "x" * 201, "q", "too_long"),
        ("page=2", "page", "unknown_parameter"),
        ("q=a&q=b", "q", "given_twice"),
    ],
)
async def test_bad_parameters_are_named(http: aiohttp.ClientSession, query: str, pointer: str, code: str) -> None:
    async with http.get("/api/messages?" + query) as response:
        assert response.status == 422
        assert response.content_type == "application/problem+json"
        body = await response.json()
    assert body["status"] == 422
    assert [(error["pointer"], error["code"]) for error in body["errors"]] == [(pointer, code)]


async def test_one_message(http: aiohttp.ClientSession, send: Send) -> None:
    kept = await send(rich("<p>Dear <b>Grace</b></p>"))
    body = await get(http, f"/api/messages/{kept.id}")
    assert body["text"] == "Dear Grace,\n\nthe invoice is attached.\n"
    assert body["html"] == "<p>Dear <b>Grace</b></p>\n"
    assert {"name": "Subject", "value": "Your invoice for November"} in body["headers"]  # type: ignore[operator]
    assert body["attachments"] == [
        {"index": 0, "filename": "", "content_type": "image/png", "size": len(PNG), "content_id": "logo@acme.test"},
        {"index": 1, "filename": "Rechnung März.pdf", "content_type": "application/pdf", "size": 19, "content_id": ""},
        {"index": 2, "filename": "../../etc/passwd.html", "content_type": "text/html", "size": 27, "content_id": ""},
    ]
    assert (body["dkim"], body["dkim_verdict"]) == ([], "none")
    assert (body["envelope_sender"], body["recipients"], body["tls"]) == (FROM, [TO], False)


async def test_signatures_of_one_message(http: aiohttp.ClientSession, send: Send) -> None:
    kept = await send(signed(raw(simple())) + b"added\r\n")
    body = await get(http, f"/api/messages/{kept.id}")
    reason = "body hash did not verify: the body was changed after signing"
    assert body["dkim"] == [
        {"domain": "acme.test", "selector": "s1", "algorithm": "rsa-sha256", "verdict": "fail", "reason": reason}
    ]
    assert body["dkim_verdict"] == "fail"


async def test_raw_is_what_was_sent(http: aiohttp.ClientSession, send: Send) -> None:
    message = b"Subject: x\r\n\r\n\xff\x00.\r\n.dot\r\n"
    kept = await send(message)
    async with http.get(f"/api/messages/{kept.id}/raw") as response:
        assert response.content_type == "message/rfc822"
        assert await response.read() == message


async def test_html_is_sandboxed_and_rewritten(http: aiohttp.ClientSession, send: Send) -> None:
    html = '<meta charset="latin1"><link rel=preconnect href="//t.test"><img src="cid:logo%40acme.test">'
    html += '<img src="cid:other">'
    kept = await send(rich(html))
    async with http.get(f"/api/messages/{kept.id}/html") as response:
        assert response.headers["Content-Type"] == "text/html; charset=utf-8"
        policy = response.headers["Content-Security-Policy"].split("; ")
        assert policy[:4] == ["sandbox", "default-src 'none'", "img-src 'self' data:", "style-src 'unsafe-inline'"]
        text = await response.text()
    assert f'src="/api/messages/{kept.id}/attachments/0"' in text
    assert 'src="cid:other"' in text
    assert "<link" not in text


async def test_text_and_what_is_absent(http: aiohttp.ClientSession, send: Send) -> None:
    kept = await send(simple(text="nur Text: ü\n"))
    async with http.get(f"/api/messages/{kept.id}/text") as response:
        assert response.headers["Content-Type"] == "text/plain; charset=utf-8"
        assert await response.text() == "nur Text: ü\n"
    for path in ("/html", "/attachments/0", "/attachments/x", "/nothing"):
        async with http.get(f"/api/messages/{kept.id}{path}") as response:
            assert response.status == 404, path
            assert (await response.json())["code"] == "not_found"


async def test_attachments_download_safely(http: aiohttp.ClientSession, send: Send) -> None:
    kept = await send(rich("<p>x</p>"))
    base = f"/api/messages/{kept.id}/attachments/"
    async with http.get(base + "1") as response:
        assert response.headers["Content-Disposition"] == (
            "attachment; filename=\"Rechnung M_rz.pdf\"; filename*=UTF-8''Rechnung%20M%C3%A4rz.pdf"
        )
        assert response.content_type == "application/octet-stream"
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert await response.read() == b"%PDF-1.4 not really"
    async with http.get(base + "2") as response:
        assert response.content_type == "application/octet-stream"  # never text/html from our origin
        assert response.headers["Content-Disposition"].startswith('attachment; filename="passwd.html"')
        assert response.headers["Content-Security-Policy"].startswith("sandbox")
    async with http.get(base + "0") as response:
        assert response.content_type == "image/png"
        assert response.headers["Content-Disposition"].startswith("attachment; ")
        assert await response.read() == PNG


@pytest.mark.parametrize("headers", [{}, {"Sec-Fetch-Site": "same-origin"}, {"Sec-Fetch-Site": "none"}])
async def test_delete(http: aiohttp.ClientSession, send: Send, inbox: CaptureInbox, headers: dict[str, str]) -> None:
    first = await send(simple("1"))
    await send(simple("2"))
    async with http.delete(f"/api/messages/{first.id}", headers=headers) as response:
        assert response.status == 204
    async with http.delete(f"/api/messages/{first.id}", headers=headers) as response:
        assert response.status == 404
    assert await names(http, "") == ["2"]
    async with http.delete("/api/messages", headers=headers) as response:
        assert await response.json() == {"deleted": 1}
    assert len(inbox.store) == 0


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "http://evil.test"},
        {"Origin": "null"},
    ],
)
async def test_other_sites_cannot_delete(
    http: aiohttp.ClientSession, send: Send, inbox: CaptureInbox, headers: dict[str, str]
) -> None:
    kept = await send(simple())
    for path in ("/api/messages", f"/api/messages/{kept.id}"):
        async with http.delete(path, headers=headers) as response:
            assert response.status == 403
            assert (await response.json())["code"] == "forbidden"
    assert len(inbox.store) == 1


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost", 200),
        ("LOCALHOST.:8025", 200),
        ("inbox.localhost:1", 200),
        ("127.0.0.1", 200),
        ("127.9.9.9:80", 200),
        ("[::1]:8025", 200),
        ("evil.test", 421),
        ("localhost.evil.test", 421),
        ("127.0.0.1.nip.io", 421),
        ("10.0.0.1", 421),
        ("", 421),
    ],
)
async def test_hosts(http: aiohttp.ClientSession, host: str, status: int) -> None:
    async with http.get("/api/messages", headers={"Host": host}) as response:
        assert response.status == status
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        if status == 421:
            assert (await response.json())["code"] == "host_not_allowed"


async def test_configured_host_is_served() -> None:
    async with (
        CaptureInbox(allowed_hosts=["Mail.corp.test"]) as inbox,
        aiohttp.ClientSession(inbox.url) as http,
        http.get("/", headers={"Host": "mail.corp.test:8025"}) as response,
    ):
        assert response.status == 200


@pytest.mark.parametrize("path", ["/", "/assets/inbox.js", "/api/messages", "/api/info", "/nowhere", "/favicon.ico"])
async def test_security_headers_everywhere(http: aiohttp.ClientSession, path: str) -> None:
    async with http.get(path) as response:
        headers = response.headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"
    for name in ("Opener", "Resource"):
        assert headers[f"Cross-Origin-{name}-Policy"] == "same-origin"
    policy = headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';")
    assert "unsafe" not in policy


async def test_errors_are_problems(http: aiohttp.ClientSession) -> None:
    for method, path, status in [
        ("GET", "/nowhere", 404),
        ("GET", "/assets/..%2fapp.py", 404),
        ("GET", "/assets/index.html", 404),
        ("GET", "/api/messages/cap_nope", 404),
        ("POST", "/api/messages", 405),
        ("PUT", "/api/messages/cap_x/raw", 405),
    ]:
        async with http.request(method, path) as response:
            assert response.status == status, path
            assert response.content_type == "application/problem+json"
            assert (await response.json())["status"] == status


async def next_event(stream: aiohttp.ClientResponse) -> dict[str, str]:
    event: dict[str, str] = {}
    async with asyncio.timeout(10):
        while True:
            line = (await stream.content.readline()).decode().rstrip("\n")
            if not line and "event" in event:
                return event
            name, _, value = line.partition(": ")
            if name:
                event[name] = value


async def test_stream(http: aiohttp.ClientSession, send: Send, inbox: CaptureInbox) -> None:
    old = await send(simple("old"))
    missed = await send(simple("missed"))
    async with http.get("/api/stream", headers={"Last-Event-ID": old.id}) as stream:
        assert stream.content_type == "text/event-stream"
        event = await next_event(stream)
        assert (event["event"], event["id"]) == ("message", missed.id)
        fresh = await send(simple("fresh"))
        event = await next_event(stream)
        assert (event["id"], json.loads(event["data"])["subject"]) == (fresh.id, "fresh")
        inbox.store.delete(fresh.id)
        assert json.loads((await next_event(stream))["data"]) == {"id": fresh.id}
        inbox.store.clear()
        assert (await next_event(stream))["event"] == "cleared"
        inbox.store.close()
        assert await stream.content.read() == b""


async def test_stop_ends_open_streams() -> None:
    inbox = CaptureInbox()
    await inbox.start()
    async with aiohttp.ClientSession(inbox.url) as http, http.get("/api/stream") as stream:
        await stream.content.readline()
        async with asyncio.timeout(10):
            await inbox.stop()
            await stream.content.read()


async def test_port_in_use_is_an_os_error() -> None:
    async with CaptureInbox() as inbox:
        with pytest.raises(OSError, match="in use"):
            await CaptureInbox(smtp_port=inbox.smtp_port).start()
        with pytest.raises(OSError, match="in use"):
            await CaptureInbox(http_port=inbox.http_port).start()
