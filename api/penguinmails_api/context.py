"""What one request carries with it from the gateway to whoever answers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from penguinmails_core.identity.sessions import Session
from penguinmails_core.principal import Principal

if TYPE_CHECKING:
    from penguinmails_api.services import Services

Headers = list[tuple[bytes, bytes]]


@dataclass(slots=True)
class RequestContext:
    """`principal` is None on routes that need no key. `session` is set when a browser's cookie made the principal, and
    never with a bearer. `limit_headers` are sent with the answer, whatever it is.
    `started` is of `time.perf_counter()`."""

    request_id: str
    services: Services
    started: float
    principal: Principal | None = None
    session: Session | None = None
    limit_headers: Headers = field(default_factory=list)

    @property
    def caller(self) -> Principal:
        """The principal, on routes under `/v1`, where the gateway lets nobody in without one."""
        assert self.principal is not None
        return self.principal
