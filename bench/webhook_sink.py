"""A webhook receiver that answers 204 to everything at once, in a process of its own; prints its port.

Raw HTTP/1.1, so that it costs as little as a receiver can. Paths that begin with `/hang` are never answered. `GET
/count` answers with the requests at other paths so far; `GET /arrivals` with `[[webhook-id, monotonic seconds], ...]`
of those since the last such look (both processes read the same clock).
"""

from __future__ import annotations

import asyncio
import json
import time
from typing import cast

import uvloop

_OK = b"HTTP/1.1 204 No Content\r\n\r\n"


class State:
    count = 0
    arrivals: list[tuple[str, float]] = []  # noqa: RUF012  (one process, one state)
    keep = False


class Receiver(asyncio.Protocol):
    def __init__(self) -> None:
        self.buffer = b""
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self.buffer = self.buffer + data if self.buffer else data
        while (end := self.buffer.find(b"\r\n\r\n")) >= 0:
            head = self.buffer[:end]
            at = head.lower().find(b"content-length:")
            length = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
            if len(self.buffer) < end + 4 + length:
                return
            self.buffer = self.buffer[end + 4 + length :]
            self.answer(head)

    def answer(self, head: bytes) -> None:
        method, path, _ = head.split(b" ", 2)
        if method == b"GET":
            self.report(path)
            return
        if path.startswith(b"/hang"):
            return
        State.count += 1
        if State.keep:
            at = head.lower().find(b"webhook-id:")
            State.arrivals.append((head[at + 11 :].split(b"\r\n", 1)[0].strip().decode(), time.monotonic()))
        self.transport.write(_OK)

    def report(self, path: bytes) -> None:
        if path == b"/arrivals":
            body = json.dumps(State.arrivals).encode()
            State.arrivals, State.keep = [], True
        else:
            body = str(State.count).encode()
        self.transport.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body))


async def main() -> None:
    server = await asyncio.get_running_loop().create_server(Receiver, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(main())
