"""A real HTTP server on the loopback that answers by script and keeps what it was asked."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit


@dataclass(frozen=True)
class Reply:
    """An answer: `json` or `text` or neither. `drop` closes the connection instead, `hang` never answers."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    json: Any = None
    text: str | None = None
    drop: bool = False
    hang: bool = False

    def body(self) -> bytes:
        if self.text is not None:
            return self.text.encode()
        return b"" if self.json is None else json.dumps(self.json).encode()

    def content_type(self) -> str:
        if self.text is not None:
            return "text/html; charset=utf-8"
        return "application/problem+json" if self.status >= 400 else "application/json"


@dataclass(frozen=True)
class Received:
    """A request; header names are in lower case."""

    method: str
    path: str
    query: list[tuple[str, str]]
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body) if self.body else None


class ScriptedServer:
    """Answers the n-th request with the n-th reply; one request too many gets 500 `unexpected_request`."""

    def __init__(self, replies: Sequence[Reply]) -> None:
        self.requests: list[Received] = []
        self._replies = list(replies)
        self._released = threading.Event()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_one_request(self) -> None:
                try:
                    super().handle_one_request()
                except ConnectionError:  # a client that gave up
                    self.close_connection = True

            def _answer(self) -> None:
                outer._answer(self)

            do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = _answer

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = False
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def _answer(self, handler: BaseHTTPRequestHandler) -> None:
        parts = urlsplit(handler.path)
        length = int(handler.headers.get("content-length", 0))
        self.requests.append(
            Received(
                handler.command,
                parts.path,
                parse_qsl(parts.query, keep_blank_values=True),
                {name.lower(): value for name, value in handler.headers.items()},
                handler.rfile.read(length),
            )
        )
        number = len(self.requests)
        reply = self._replies[number - 1] if number <= len(self._replies) else Reply(500, json=UNEXPECTED)
        if reply.hang:
            self._released.wait(30)
        if reply.hang or reply.drop:
            handler.close_connection = True
            if reply.drop:
                handler.connection.shutdown(socket.SHUT_RDWR)
            return
        body = reply.body()
        headers = {"content-type": reply.content_type()} if body else {}
        headers |= {"request-id": f"req_{number}", **{name.lower(): value for name, value in reply.headers.items()}}
        handler.send_response(reply.status)
        for name, value in headers.items():
            handler.send_header(name, value)
        if reply.status != 204:
            handler.send_header("content-length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._released.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


UNEXPECTED = {"code": "unexpected_request", "title": "The script has no reply left", "detail": "", "errors": []}
