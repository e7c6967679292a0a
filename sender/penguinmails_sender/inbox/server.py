"""The whole capture inbox in one object: SMTP server, store, page and API, on the running event loop."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Self

import uvicorn

from penguinmails_sender.inbox.app import InboxHints, create_app
from penguinmails_sender.inbox.magic import magic_reply
from penguinmails_sender.inbox.store import CaptureStore
from penguinmails_sender.inbox.verdict import TxtLookup
from penguinmails_sender.smtpd.server import SmtpServer

_STOP_SECONDS = 3


async def no_keys(name: str) -> list[bytes]:
    """A key lookup that knows nothing; signatures then end as "no key for ..."."""
    return []


class _Uvicorn(uvicorn.Server):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield  # signals belong to the program that runs us


class CaptureInbox:
    """``async with CaptureInbox(...) as inbox`` listens on `smtp_port` and `http_port` (0: any free one).

    Afterwards `smtp_port`, `http_port` and `url` are the real ones. Raises OSError when a port is taken.
    """

    def __init__(
        self,
        store: CaptureStore | None = None,
        *,
        txt_lookup: TxtLookup = no_keys,
        host: str = "127.0.0.1",
        smtp_port: int = 0,
        http_port: int = 0,
        title: str = "PenguinMails inbox",
        api_url: str = "",
        allowed_hosts: Sequence[str] = (),
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.store = CaptureStore() if store is None else store
        self.smtp = SmtpServer(self.store.receive, host=host, port=smtp_port, tls=tls, recipient_reply=magic_reply)
        self.host = host
        self.http_port = http_port
        self._txt_lookup = txt_lookup
        self._title = title
        self._api_url = api_url
        self._allowed_hosts = tuple(allowed_hosts)
        self._server: _Uvicorn | None = None
        self._serving: asyncio.Task[None] | None = None
        self._socket: socket.socket | None = None

    @property
    def smtp_port(self) -> int:
        return self.smtp.port

    @property
    def url(self) -> str:
        """``http://127.0.0.1:8025``, without a slash at the end."""
        return f"http://{self.host}:{self.http_port}"

    async def start(self) -> None:
        self._socket = socket.create_server((self.host, self.http_port), backlog=128)
        self.http_port = self._socket.getsockname()[1]
        try:
            await self.smtp.start()
        except OSError:
            self._socket.close()
            raise
        hints = InboxHints(self.host, self.smtp.port, self._api_url)
        app = create_app(
            self.store,
            txt_lookup=self._txt_lookup,
            title=self._title,
            hints=hints,
            allowed_hosts=self._allowed_hosts,
        )
        config = uvicorn.Config(
            app,
            log_config=None,
            log_level="warning",
            access_log=False,
            server_header=False,
            lifespan="off",
            timeout_graceful_shutdown=_STOP_SECONDS,
        )
        self._server = _Uvicorn(config)
        self._serving = asyncio.create_task(self._server.serve(sockets=[self._socket]))
        await self._server.ready.wait()

    async def stop(self) -> None:
        """Stop both servers, end live streams, close all connections. Messages stay in `store`."""
        self.store.close()
        await self.smtp.stop()
        if self._server is not None and self._serving is not None:
            self._server.should_exit = True
            await self._serving
        if self._socket is not None:
            self._socket.close()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()
