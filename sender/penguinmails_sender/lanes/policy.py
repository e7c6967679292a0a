"""What a lane asks of a connection: the engine puts it on the envelope, transports that choose a route obey it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ConnectionPolicy:
    """Connections with equal policies to one host may be shared, others may not.

    `source_address`: the local IP address to bind to, None for whichever the system takes. `tls`: `off`,
    `opportunistic`, `encrypted` or `required`, as `smtp.TlsPolicy` names them; DANE and MTA-STS may ask for more, never
    for less. `messages_per_connection`: close it after so many. `max_connections`: at once, to the whole provider group
    and from this process: other processes have their own share.
    """

    source_address: str | None = None
    tls: str = "opportunistic"
    messages_per_connection: int = 100
    max_connections: int = 10
