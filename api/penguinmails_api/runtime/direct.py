"""The direct transport, made of settings."""

from __future__ import annotations

from penguinmails_core.config import ConfigError, SenderSettings
from penguinmails_core.kit.dns import ValidatingResolver
from penguinmails_core.kit.http import OutgoingHttp
from penguinmails_sender.lanes.policy import ConnectionPolicy
from penguinmails_sender.mx.mta_sts import MtaSts
from penguinmails_sender.mx.pools import SMTP_PORT, Pools
from penguinmails_sender.mx.routes import Routes
from penguinmails_sender.mx.security import Security
from penguinmails_sender.transports import DirectMxTransport


class OwningDirectMx(DirectMxTransport):
    """Closes the client that it fetches MTA-STS policies with."""

    http: OutgoingHttp | None = None

    async def aclose(self) -> None:
        await super().aclose()
        if self.http is not None:
            await self.http.close()


def open_direct(settings: SenderSettings, resolver: ValidatingResolver) -> DirectMxTransport:
    """Delivery to the recipients' own servers. Raises `ConfigError` for settings that receivers would refuse."""
    hostname = settings.hostname.rstrip(".")
    if "." not in hostname:
        raise ConfigError(
            "set PENGUINMAILS_SENDER_HOSTNAME to the public name of this machine, such as mail.example.com: receivers "
            "refuse mail from a server that greets without one"
        )
    if settings.tls == "implicit":
        raise ConfigError("PENGUINMAILS_SENDER_TLS=implicit is for a relay; with `direct` use required")
    port = settings.port or SMTP_PORT
    policy = ConnectionPolicy(
        settings.source_address, settings.tls, settings.messages_per_connection, settings.connections_per_host
    )
    http = OutgoingHttp(allow_private=settings.allow_private, timeout=60.0) if settings.mta_sts else None
    transport = OwningDirectMx(
        Routes(resolver, own_names=(hostname,), allow_private=settings.allow_private),
        Pools(hostname, port=port, allow_private=settings.allow_private),
        policy,
        Security(MtaSts(resolver, http) if http else None, resolver if settings.dane else None, port=port),
    )
    transport.http = http
    return transport
