"""Short ways to send one message to a scripted server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from penguinmails_sender.smtp import Envelope, PoolLimits, RecipientResult, SmtpOptions, SmtpPool, Timeouts, TlsPolicy
from tests.sender.smtp.scripted_server import ScriptedServer, running

CONTENT = b"From: a@example.com\r\nSubject: x\r\n\r\nHello\r\n"
# Only tests where the server falls silent ever wait for one of these.
QUICK = Timeouts(connect=5, tls=5, greeting=0.3, command=0.3, data=0.3, block=0.3, final=0.3, quit=1)


def envelope(*recipients: str, content: bytes = CONTENT, sender: str = "s@example.com", utf8: bool = False) -> Envelope:
    return Envelope(sender, recipients or ("r@example.com",), content, utf8)


@asynccontextmanager
async def pool(
    server: ScriptedServer, limits: PoolLimits | None = None, *, implicit_tls: bool = False, **options: Any
) -> AsyncIterator[SmtpPool]:
    """A pool on the running server; both end with the block."""
    async with running(server, implicit_tls=implicit_tls):
        defaults: dict[str, Any] = {"hostname": "client.test", "tls": TlsPolicy.OFF, "timeouts": Timeouts(quit=1)}
        the_pool = SmtpPool(SmtpOptions("127.0.0.1", server.port, **{**defaults, **options}), limits)
        try:
            yield the_pool
        finally:
            await the_pool.aclose()


async def send(server: ScriptedServer, message: Envelope | None = None, **options: Any) -> list[RecipientResult]:
    async with pool(server, **options) as the_pool:
        return await the_pool.deliver(message or envelope())


def outcomes(results: list[RecipientResult]) -> list[tuple[str, int | None, str | None]]:
    return [(result.outcome.value, result.code, result.enhanced_code) for result in results]
