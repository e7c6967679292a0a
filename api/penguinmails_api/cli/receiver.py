"""A webhook receiver on loopback, as a customer would write one."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Any, Self

from aiohttp import web


class WebhookReceiver:
    """``async with WebhookReceiver() as receiver``: `url` takes POSTs; `wait_for` verifies and returns an event."""

    def __init__(self) -> None:
        self.url = ""
        self._calls: asyncio.Queue[tuple[bytes, dict[str, str]]] = asyncio.Queue()
        app = web.Application()
        app.router.add_post("/webhooks", self._receive)
        self._runner = web.AppRunner(app, access_log=None)

    async def _receive(self, request: web.Request) -> web.Response:
        self._calls.put_nowait((await request.read(), dict(request.headers)))
        return web.Response(status=204)

    async def __aenter__(self) -> Self:
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{port}/webhooks"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._runner.cleanup()

    async def wait_for(self, event_type: str, secret: str, client: Any, seconds: float) -> Any:
        """The first event of that type; every call on the way must carry a valid signature.

        Raises TimeoutError, or the SDK's error for a bad signature.
        """
        async with asyncio.timeout(seconds):
            while True:
                body, headers = await self._calls.get()
                event = client.webhooks.unwrap(body, headers, secret=secret)
                if event.type == event_type:
                    return event
