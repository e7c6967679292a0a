"""An HTTP server that takes every POST and keeps nothing, in a process of its own; prints its ports.

    python -m bench.http_sink CERTIFICATE KEY  ->  PLAIN TLS

A path of `/close` is answered with `Connection: close`.
"""

from __future__ import annotations

import asyncio
import ssl
import sys
from typing import cast

import uvloop

_ANSWER = b"HTTP/1.1 200 OK\r\nServer: sink\r\nContent-Type: application/json\r\nContent-Length: 15\r\n%s\r\n"
KEEP = _ANSWER % b"" + b'{"status":"ok"}'
CLOSE = _ANSWER % b"Connection: close\r\n" + b'{"status":"ok"}'


class Sink(asyncio.Protocol):
    def __init__(self) -> None:
        self.buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self.buffer = buffer = self.buffer + data if self.buffer else data
        end = buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        head = buffer[:end].lower()
        length = int(head.split(b"content-length:")[1].split(b"\r\n")[0])
        if len(buffer) < end + 4 + length:
            return
        self.buffer = buffer[end + 4 + length :]
        if head.startswith(b"post /close "):
            self.transport.write(CLOSE)
            self.transport.close()
        else:
            self.transport.write(KEEP)


async def main(certificate: str, key: str) -> None:
    loop = asyncio.get_running_loop()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    ports = []
    for tls in (None, context):
        server = await loop.create_server(Sink, "127.0.0.1", 0, ssl=tls, backlog=1000)
        ports.append(server.sockets[0].getsockname()[1])
    print(*ports, flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(main(*sys.argv[1:]))
