"""How far an outgoing request has come, and how long each part of it took."""

from __future__ import annotations

import time
from dataclasses import dataclass


@dataclass(slots=True)
class Timings:
    """Milliseconds. The parts follow each other; None for what did not happen, as DNS on a kept connection.

    `first_byte_ms`: from the last byte of the request to the first of the answer. `total_ms`: everything, with the
    wait for a free connection and with the body.
    """

    dns_ms: float | None
    connect_ms: float | None
    tls_ms: float | None
    first_byte_ms: float | None
    total_ms: float


class Progress:
    """Filled in while one exchange goes on; instants are of `time.perf_counter`, in seconds."""

    __slots__ = (
        "connect",
        "dns",
        "first_byte",
        "remote_address",
        "reused",
        "sent",
        "stage",
        "started",
        "tls",
    )

    def __init__(self) -> None:
        self.started = time.perf_counter()
        self.stage = "waiting for a connection"
        self.dns: float | None = None  # these three in milliseconds
        self.connect: float | None = None
        self.tls: float | None = None
        self.sent = 0.0
        self.first_byte = 0.0
        self.reused = False
        self.remote_address: str | None = None

    def timings(self) -> Timings:
        """What is known now; `total_ms` is the time until now."""
        waited = (self.first_byte - self.sent) * 1000 if self.first_byte else None
        return Timings(self.dns, self.connect, self.tls, waited, (time.perf_counter() - self.started) * 1000)


def since(instant: float) -> float:
    """Milliseconds since an instant of `time.perf_counter`."""
    return (time.perf_counter() - instant) * 1000
