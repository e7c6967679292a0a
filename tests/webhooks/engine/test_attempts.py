"""What is kept of each attempt: its parts, whom it reached, headers without secrets."""

from __future__ import annotations

import socket

import orjson

from penguinmails_core.kit.http import ConnectFailed
from penguinmails_core.kit.ids import Prefix, encode
from penguinmails_webhooks.attempt_detail import detail_of
from tests.webhooks.engine.world import Receiver, World, answer


async def test_each_attempt_tells_its_parts(world: World, receiver: Receiver) -> None:
    """Of one that was answered, of one over the same connection, and of one that reached nobody."""
    receiver.answers["/hook"] = answer(500, headers={"Set-Cookie": "session=secret", "X-Trace": "t" * 600})
    endpoint, _ = await world.endpoint(receiver.url())
    [event] = await world.happen()
    engine = world.engine()
    await engine.run_once()
    await world.hurry()
    await engine.run_once()
    with socket.socket() as closed:  # bound, and nobody listens
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/"
        await world.database.worker.execute("update webhook_endpoints set url = $1", url)
        await world.hurry()
        await engine.run_once()
    first, second, third = [row["detail"] for row in await world.attempts()]
    assert first["remote_address"] == "127.0.0.1"
    assert (first["reused"], second["reused"]) == (False, True)
    assert min(first[name] for name in ("connect_ms", "first_byte_ms", "total_ms")) >= 0
    assert (second["connect_ms"], first["tls_ms"], first["tls_version"]) == (None, None, None)
    assert first["request_headers"]["webhook-id"] == encode(Prefix.EVENT, event)
    assert first["request_headers"].keys() == {"webhook-id", "webhook-timestamp", "webhook-signature", "content-type"}
    assert first["response_headers"]["set-cookie"] == "(hidden)"
    assert first["response_headers"]["x-trace"] == "t" * 500
    assert third["total_ms"] >= 0
    assert "response_headers" not in third
    assert endpoint


def test_secrets_in_headers_are_hidden() -> None:
    """Whatever header an endpoint has set; and what the database cannot hold does not get there."""
    sent = {"webhook-id": "evt_1", "authorization": "Bearer secret", "X-Token": "secret"}
    assert "secret" not in detail_of(ConnectFailed("refused"), sent)
    assert orjson.loads(detail_of(ConnectFailed("refused"), sent))["request_headers"]["webhook-id"] == "evt_1"
