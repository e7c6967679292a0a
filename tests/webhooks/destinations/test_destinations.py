"""Events to Redis streams, SQS and NATS, with real servers at the other end."""

from __future__ import annotations

import asyncio
import ssl
import sys
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from moto.server import ThreadedMotoServer
from nats.aio.client import Client as NatsClient
from redis.asyncio import Redis

from penguinmails_core.embedded import EmbeddedStack
from penguinmails_core.kit.dns import StaticResolver
from penguinmails_core.kit.http import OutgoingHttp
from penguinmails_core.kit.http_dns import AddressCache
from penguinmails_core.kit.http_guard import InvalidRequest, OutgoingError
from penguinmails_webhooks.destinations.base import Limits, Message, Target
from penguinmails_webhooks.destinations.redis_stream import RedisStreams
from penguinmails_webhooks.destinations.registry import Destinations, check
from penguinmails_webhooks.destinations.sigv4 import signed
from tests.core.kit.http_world import certificate
from tests.webhooks.destinations.servers import free_port, nats_server

HEADERS = {"webhook-id": "evt_1", "webhook-timestamp": "1790000000", "webhook-signature": "v1,abc="}
MESSAGE = Message("evt_1", "email.delivered", b'{"id":"evt_1","data":{"name":"Zo\xc3\xab"}}', HEADERS, "rcp_1")
KEY = {"access_key_id": "AKIDEXAMPLE0000000", "region": "eu-west-1"}
SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"


@pytest.fixture
async def http() -> AsyncIterator[OutgoingHttp]:
    async with OutgoingHttp(allow_private=True, timeout=10) as http:
        yield http


@pytest.fixture
async def destinations(http: OutgoingHttp) -> AsyncIterator[Destinations]:
    found = Destinations(http, allow_private=True, timeout=10, resolver=StaticResolver({}))
    try:
        yield found
    finally:
        await found.close()


def target(url: str, secret: str | None = None, /, **settings: Any) -> Target:
    return Target("endpoint", url, settings, secret)


async def failure(destinations: Destinations, kind: str, place: Target, message: Message = MESSAGE) -> OutgoingError:
    with pytest.raises(OutgoingError) as caught:
        await destinations.send(kind, place, message)
    if place.secret is not None:
        assert place.secret not in str(caught.value)
    return caught.value


# Redis


def place_of(stack: EmbeddedStack, database: int = 0) -> tuple[str, str | None]:
    """(URL without the password, the password) of the embedded server."""
    parts = urlsplit(stack.redis_url)
    return f"redis://{parts.hostname}:{parts.port}/{database}", parts.password


async def test_redis_gets_an_entry_for_each_event(
    destinations: Destinations, stack: EmbeddedStack, redis: Redis
) -> None:
    place = target(*place_of(stack, 3), stream="events", max_length=2)
    assert check("redis_stream", place.url, place.settings, place.secret, allow_private=True) == []
    said = [await destinations.send("redis_stream", place, MESSAGE) for _ in range(3)]
    async with Redis.from_url(place.url, password=place.secret) as reader:
        entries: Any = await reader.xrange("events")
        assert [entry[0].decode() for entry in entries][-1] == said[-1]["entry_id"]
        fields = entries[-1][1]
        assert fields[b"body"] == MESSAGE.body
        assert {name.encode(): value.encode() for name, value in HEADERS.items()}.items() <= fields.items()
        assert (fields[b"id"], fields[b"type"]) == (b"evt_1", b"email.delivered")
        clients = [client for client in await reader.client_list() if client["name"] == "penguinmails"]
        assert len(clients) == 1, "the connection is used again"
        await reader.flushdb()


async def test_redis_that_refuses(destinations: Destinations, stack: EmbeddedStack, redis: Redis) -> None:
    await redis.set("text", "x")
    wrong_type = await failure(destinations, "redis_stream", target(*place_of(stack), stream="text"))
    assert "WRONGTYPE" in str(wrong_type)
    password = await failure(
        destinations, "redis_stream", target(place_of(stack)[0], "hunter22", stream="s", username="nobody")
    )
    assert password.reason == "rejected"
    nobody = await failure(destinations, "redis_stream", target(f"redis://127.0.0.1:{free_port()}", stream="s"))
    assert nobody.reason == "connect"
    assert not isinstance(nobody, InvalidRequest)


async def test_redis_is_tried_anew_after_it_was_away(
    destinations: Destinations, stack: EmbeddedStack, redis: Redis
) -> None:
    place = target(*place_of(stack), stream="again")
    await destinations.send("redis_stream", place, MESSAGE)
    await redis.client_kill_filter(_type="normal", skipme=True)
    for _ in range(2):  # the first may find the closed connection
        try:
            await destinations.send("redis_stream", place, MESSAGE)
            break
        except OutgoingError:
            continue
    assert await redis.xlen("again") == 2


async def test_redis_over_tls_is_asked_for_the_certificate_of_its_name(
    stack: EmbeddedStack, redis: Redis, tmp_path: Path
) -> None:
    """A TLS door before the real server; the name leads to its address by DNS."""
    context, trusted = certificate(tmp_path, ["redis.example.com"])
    upstream, password = urlsplit(stack.redis_url).port or 0, place_of(stack)[1]
    names: list[str | None] = []

    def remember(_: ssl.SSLObject | ssl.SSLSocket, name: str | None, __: ssl.SSLContext) -> None:
        names.append(name)

    context.sni_callback = remember
    server = await asyncio.start_server(lambda r, w: _forward(r, w, upstream), "127.0.0.1", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]
    dns = AddressCache(
        StaticResolver({name: {"A": ["127.0.0.1"]} for name in ("redis.example.com", "other.example.com")}),
        allow_private=True,
    )
    streams = RedisStreams(Limits(dns, True, 10), ca_data=trusted.read_text())
    try:
        said = await streams.send(target(f"rediss://redis.example.com:{port}/0", password, stream="tls"), MESSAGE)
        assert said["entry_id"]
        assert names == ["redis.example.com"]
        with pytest.raises(OutgoingError) as caught:
            await streams.send(target(f"rediss://other.example.com:{port}/0", password, stream="tls"), MESSAGE)
        assert caught.value.reason == "tls"
    finally:
        await streams.close()
        server.close()
        await dns.close()
    assert await redis.xlen("tls") == 1


async def _forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int) -> None:
    there, back = await asyncio.open_connection("127.0.0.1", port)

    async def pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        while data := await source.read(65536):
            sink.write(data)
            await sink.drain()
        sink.close()

    await asyncio.gather(pump(reader, back), pump(there, writer), return_exceptions=True)


# SQS


@pytest.fixture(scope="module")
def moto() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


async def aws(moto: str, action: str, **members: Any) -> dict[str, Any]:
    headers = {
        "X-Amz-Target": f"AmazonSQS.{action}",
        "Content-Type": "application/x-amz-json-1.0",
        "Authorization": "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE0000000/20260101/eu-west-1/sqs/aws4_request, "
        "SignedHeaders=host, Signature=0",
    }
    async with aiohttp.ClientSession() as session, session.post(moto, json=members, headers=headers) as answer:
        found: dict[str, Any] = await answer.json(content_type=None)
        return found


async def queue(moto: str, name: str, **attributes: str) -> str:
    url: str = (await aws(moto, "CreateQueue", QueueName=name, Attributes=attributes))["QueueUrl"]
    return url


async def test_sqs_gets_a_message_with_attributes(destinations: Destinations, moto: str) -> None:
    url = await queue(moto, "events")
    place = target(url, SECRET, **KEY)
    assert check("sqs", url, KEY, SECRET, allow_private=True) == []
    said = await destinations.send("sqs", place, MESSAGE)
    (received,) = (await aws(moto, "ReceiveMessage", QueueUrl=url, MessageAttributeNames=["All"]))["Messages"]
    assert received["MessageId"] == said["message_id"]
    assert received["Body"].encode() == MESSAGE.body
    attributes = {name: value["StringValue"] for name, value in received["MessageAttributes"].items()}
    assert attributes == {**HEADERS, "type": "email.delivered"}


async def test_sqs_drops_repeats_of_a_fifo_queue_and_keeps_a_resource_in_order(
    destinations: Destinations, moto: str
) -> None:
    url = await queue(moto, "events.fifo", FifoQueue="true")
    place = target(url, SECRET, **KEY)
    for event in ("evt_1", "evt_1", "evt_2"):
        await destinations.send("sqs", place, Message(event, "email.sent", event.encode(), HEADERS, "rcp_1"))
    received = await aws(moto, "ReceiveMessage", QueueUrl=url, MaxNumberOfMessages=10, AttributeNames=["All"])
    assert [message["Body"] for message in received["Messages"]] == ["evt_1", "evt_2"]
    assert {message["Attributes"]["MessageGroupId"] for message in received["Messages"]} == {"rcp_1"}


async def test_sqs_that_refuses(destinations: Destinations, moto: str) -> None:
    missing = await failure(destinations, "sqs", target(f"{moto}/123456789012/none", SECRET, **KEY))
    assert missing.reason == "rejected"
    assert "NonExistentQueue" in str(missing) or "QueueDoesNotExist" in str(missing)
    large = Message("evt_1", "email.sent", b"x" * 1_048_577, HEADERS, "g")
    assert isinstance(await failure(destinations, "sqs", target(f"{moto}/1/q", SECRET, **KEY), large), InvalidRequest)
    nobody = await failure(destinations, "sqs", target(f"http://127.0.0.1:{free_port()}/1/q", SECRET, **KEY))
    assert not isinstance(nobody, InvalidRequest)


@pytest.mark.parametrize("url", ["https://sqs.eu-west-1.amazonaws.com/", "http://127.0.0.1:4566/a/b%20c~d"])
def test_signatures_are_those_of_botocore(url: str) -> None:
    now = datetime.now(UTC)
    headers = {"Content-Type": "application/x-amz-json-1.0", "X-Amz-Target": "AmazonSQS.SendMessage"}
    ours = signed(
        url,
        headers,
        MESSAGE.body,
        region="eu-west-1",
        service="sqs",
        access_key_id="AKIDEXAMPLE0000000",
        secret_access_key=SECRET,
        now=now,
    )
    request = AWSRequest("POST", url, headers=headers, data=MESSAGE.body)
    request.context["timestamp"] = ours["X-Amz-Date"]
    signer = SigV4Auth(Credentials("AKIDEXAMPLE0000000", SECRET), "sqs", "eu-west-1")
    request.headers["X-Amz-Date"] = ours["X-Amz-Date"]
    signature = signer.signature(signer.string_to_sign(request, signer.canonical_request(request)), request)
    assert ours["Authorization"].endswith(f"Signature={signature}")
    assert "SignedHeaders=content-type;host;x-amz-date;x-amz-target," in ours["Authorization"]


# NATS


@pytest.fixture(scope="module")
def nats() -> Iterator[int]:
    with nats_server() as port:
        yield port


async def test_nats_stores_a_message_once(destinations: Destinations, nats: int) -> None:
    url = f"nats://127.0.0.1:{nats}"
    place = target(url, subject="penguinmails.events")
    assert check("nats", url, place.settings, None, allow_private=True) == []
    missing = await failure(destinations, "nats", place)
    assert missing.reason == "rejected"
    assert "stream" in missing.detail
    reader = NatsClient()
    await reader.connect(url)
    try:
        await reader.jetstream().add_stream(name="EVENTS", subjects=["penguinmails.>"])
        first = await destinations.send("nats", place, MESSAGE)
        again = await destinations.send("nats", place, MESSAGE)
        assert first == {"stream": "EVENTS", "sequence": 1, "duplicate": False}
        assert again == {"stream": "EVENTS", "sequence": 1, "duplicate": True}
        stored = await reader.jetstream().get_msg("EVENTS", 1)
        assert stored.data == MESSAGE.body
        assert stored.headers is not None
        assert HEADERS.items() <= stored.headers.items()
        assert (stored.headers["Nats-Msg-Id"], stored.headers["type"]) == ("evt_1", "email.delivered")
        large = Message("evt_2", "email.sent", b"x" * 1_100_000, HEADERS, "g")
        assert isinstance(await failure(destinations, "nats", place, large), InvalidRequest)
        assert await destinations.send("nats", place, Message("evt_3", "t", b"{}", HEADERS, "g"))
    finally:
        await reader.close()


async def test_nats_without_jetstream(destinations: Destinations, nats: int) -> None:
    url = f"nats://127.0.0.1:{nats}"
    reader = NatsClient()
    await reader.connect(url)
    try:
        listening = await reader.subscribe("plain.events")
        await reader.flush()
        place = target(url, subject="plain.events", jetstream=False)
        assert await destinations.send("nats", place, MESSAGE) == {"jetstream": False}
        received = await listening.next_msg(timeout=10)
        assert received.data == MESSAGE.body
    finally:
        await reader.close()


async def test_nats_with_a_password(destinations: Destinations) -> None:
    with nats_server("--user", "pm", "--pass", "correct horse") as port:
        url = f"nats://127.0.0.1:{port}"
        wrong = await failure(
            destinations, "nats", target(url, "wrong horse", subject="a", username="pm", jetstream=False)
        )
        assert (wrong.reason, "rights" in wrong.detail) == ("rejected", True)
        place = target(url, "correct horse", subject="a", username="pm", jetstream=False)
        assert await destinations.send("nats", place, MESSAGE)
    gone = await failure(destinations, "nats", place)
    assert not isinstance(gone, InvalidRequest)
    assert str(port) not in gone.detail


async def test_nats_that_is_not_installed(destinations: Destinations, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "nats", None)
    missing = await failure(destinations, "nats", target("nats://127.0.0.1:1", subject="a"))
    assert missing.reason == "not_installed"
    assert "penguinmails-server[nats]" in missing.detail


# Where they may go


@pytest.mark.parametrize(
    ("kind", "url"),
    [
        ("redis_stream", "redis://redis.example.com"),
        ("redis_stream", "rediss://127.0.0.1"),
        ("redis_stream", "rediss://10.0.0.7:6379/0"),
        ("redis_stream", "rediss://[::ffff:127.0.0.1]:6379"),
        ("redis_stream", "rediss://2130706433:6379"),
        ("redis_stream", "rediss://user:pass@redis.example.com"),
        ("redis_stream", "rediss://redis.internal"),
        ("redis_stream", "rediss://redis.example.com/a"),
        ("redis_stream", "rediss://redis.example.com:0"),
        ("redis_stream", "https://redis.example.com"),
        ("nats", "nats://nats.example.com"),
        ("nats", "tls://169.254.169.254"),
        ("nats", "tls://localhost:4222"),
        ("nats", "tls://nats.example.com/subject"),
        ("sqs", "http://sqs.eu-west-1.amazonaws.com/1/q"),
        ("sqs", "https://169.254.169.254/1/q"),
        ("sqs", "https://sqs.eu-west-1.amazonaws.com/"),
    ],
)
def test_places_inside_are_refused_early(kind: str, url: str) -> None:
    every: dict[str, dict[str, Any]] = {"redis_stream": {"stream": "s"}, "nats": {"subject": "a.b"}, "sqs": KEY}
    assert [error.pointer for error in check(kind, url, every[kind], SECRET, allow_private=False)] == ["/url"]


@pytest.mark.parametrize(
    ("kind", "url"), [("redis_stream", "rediss://evil.example.com"), ("nats", "tls://evil.example.com")]
)
async def test_names_that_lead_inside_are_not_called(http: OutgoingHttp, kind: str, url: str) -> None:
    for inside in (["10.0.0.1"], ["203.0.113.7", "127.0.0.1"], ["0.0.0.0"], ["169.254.169.254"]):
        resolver = StaticResolver({"evil.example.com": {"A": inside}})
        strict = Destinations(http, allow_private=False, timeout=5, resolver=resolver)
        settings = {"stream": "s"} if kind == "redis_stream" else {"subject": "a"}
        assert check(kind, url, settings, None, allow_private=False) == []
        refused = await failure(strict, kind, target(url, stream="s", subject="a"))
        assert refused.reason == "forbidden_address"
        await strict.close()


@pytest.mark.parametrize(
    ("kind", "url", "settings", "pointers"),
    [
        ("redis_stream", "rediss://r.example.com", {}, {"/destination/stream"}),
        ("redis_stream", "rediss://r.example.com", {"stream": "s", "username": "u"}, {"/destination/secret"}),
        ("nats", "tls://n.example.com", {}, {"/destination/subject"}),
        ("nats", "tls://n.example.com", {"subject": "a.*"}, {"/destination/subject"}),
        ("nats", "tls://n.example.com", {"subject": "a b"}, {"/destination/subject"}),
        ("nats", "tls://n.example.com", {"subject": "a", "stream": "s"}, {"/destination/stream"}),
        (
            "sqs",
            "https://sqs.eu-west-1.amazonaws.com/1/q",
            {},
            {"/destination/access_key_id", "/destination/secret"},
        ),
        (
            "sqs",
            "https://queue.example.com/1/q",
            {"access_key_id": "A" * 20},
            {"/destination/region", "/destination/secret"},
        ),
    ],
)
def test_settings_that_are_missing(kind: str, url: str, settings: dict[str, Any], pointers: set[str]) -> None:
    assert {error.pointer for error in check(kind, url, settings, None, allow_private=False)} == pointers
