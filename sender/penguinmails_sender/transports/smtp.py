"""One SMTP server for everything: a smarthost, or the capture inbox."""

from __future__ import annotations

import ssl

from penguinmails_sender.smtp import (
    Envelope,
    PoolLimits,
    RecipientResult,
    SmtpOptions,
    SmtpPool,
    Timeouts,
    TlsPolicy,
)


class SmtpTransport:
    """Implements `Transport` over pooled connections to one server.

    `final` is True for the capture inbox, which is the recipient's system, and False for a smarthost. `tls` is a
    `TlsPolicy` value. Raises ValueError for options that make no sense.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        final: bool,
        username: str | None = None,
        password: str | None = None,
        xoauth2: bool = False,
        tls: str = TlsPolicy.OPPORTUNISTIC,
        hostname: str = "localhost",
        max_connections: int = 20,
        max_messages: int = 1000,
        idle_timeout: float = 20.0,
        ssl_context: ssl.SSLContext | None = None,
        tls_name: str | None = None,
        source_address: str | None = None,
        timeouts: Timeouts | None = None,
    ) -> None:
        self._final = final
        options = SmtpOptions(
            host,
            port,
            hostname=hostname,
            tls=TlsPolicy(tls),
            ssl_context=ssl_context,
            tls_name=tls_name,
            username=username,
            password=password,
            xoauth2=xoauth2,
            source_address=source_address,
            timeouts=timeouts or Timeouts(),
        )
        self._pool = SmtpPool(options, PoolLimits(max_connections, max_messages, idle_timeout))

    @property
    def final(self) -> bool:
        return self._final

    async def deliver(self, envelope: Envelope) -> list[RecipientResult]:
        """See `Transport.deliver`."""
        return await self._pool.deliver(envelope)

    async def aclose(self) -> None:
        """Say goodbye on idle connections; `deliver` must not be called any more."""
        await self._pool.aclose()
