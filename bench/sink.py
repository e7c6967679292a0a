"""An SMTP server that takes everything and keeps nothing, in a process of its own; prints its port."""

from __future__ import annotations

import asyncio

import uvloop

from penguinmails_sender.smtpd.server import SmtpServer


async def main() -> None:
    server = SmtpServer()
    await server.start()
    print(server.port, flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(main())
