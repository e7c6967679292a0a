"""The HTTP server on the running event loop."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import socket
from collections.abc import Iterator

import uvicorn

from penguinmails_api.gateway import Gateway
from penguinmails_api.runtime.http_protocol import RawProtocol
from penguinmails_core.config import ConfigError

_BACKLOG = 2048
_GRACE_SECONDS = 10


@contextlib.contextmanager
def listening(option: str, setting: str, host: str, port: int) -> Iterator[None]:
    """Turns the OSError of a port that cannot be had into a `ConfigError` that says which option picks another."""
    try:
        yield
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        also = f" or {setting}" if setting else ""
        raise ConfigError(f"cannot listen on {host}:{port}: {reason}; pick another with {option}{also}") from None


class _Uvicorn(uvicorn.Server):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield  # signals belong to the command that runs us


def calm_collector() -> None:
    """For a process that serves: what is there now stays for ever, so the garbage collector need not look at it again;
    and what requests make is gone with them, so it need not look often."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)


class ApiServer:
    """Serves `app` on `host:port` (0: a free one); `url` is known after `start`."""

    def __init__(self, app: Gateway, host: str, port: int) -> None:
        self._app = app
        self._host = host
        self._port = port
        self._socket: socket.socket | None = None
        self._server: _Uvicorn | None = None
        self._serving: asyncio.Task[None] | None = None

    @property
    def url(self) -> str:
        host = "127.0.0.1" if self._host in ("0.0.0.0", "::") else self._host  # noqa: S104 - read, never bound here
        return f"http://{host}:{self._port}"

    def bind(self) -> None:
        """Take the port. Raises `ConfigError` when it is in use."""
        family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
        with listening("--port", "PENGUINMAILS_API_PORT", self._host, self._port):
            self._socket = socket.create_server((self._host, self._port), family=family, backlog=_BACKLOG)
        self._port = self._socket.getsockname()[1]

    async def start(self) -> None:
        if self._socket is None:
            self.bind()
        assert self._socket is not None
        config = uvicorn.Config(
            self._app,
            http=RawProtocol,
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,  # the gateway believes trusted proxies only
            lifespan="off",
            timeout_graceful_shutdown=_GRACE_SECONDS,
        )
        self._server = _Uvicorn(config)
        self._serving = asyncio.create_task(self._server.serve(sockets=[self._socket]), name="api")
        await self._server.ready.wait()

    async def stop(self) -> None:
        """Finish the requests in flight, then close. Event streams would never finish, so they are told to."""
        self._app.services.event_streams.close()
        if self._server is not None and self._serving is not None:
            self._server.should_exit = True
            await self._serving
        if self._socket is not None:
            self._socket.close()
