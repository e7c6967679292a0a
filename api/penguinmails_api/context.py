"""What one request carries with it from the gateway to whoever answers."""

from __future__ import annotations

from collections.abc import MutableMapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from penguinmails_api.conventions.options import NONE, Options
from penguinmails_core.identity.sessions import Session
from penguinmails_core.principal import Principal

if TYPE_CHECKING:
    from penguinmails_api.rate_limits.policies import Bound
    from penguinmails_api.services import Services
    from penguinmails_core.templates.sending import TemplateFiller

Headers = list[tuple[bytes, bytes]]


@dataclass(slots=True)
class RequestContext:
    """`principal` is None on routes that need no key. `session` is set when a browser's cookie made the principal, and
    never with a bearer. `limit_headers` and `answer_headers` are sent with the answer, whatever it is. `options` are
    those that every operation knows (`conventions/options.py`). `started` is of `time.perf_counter()`, `scope` is
    ASGI's. `bound` are the caller's limits, `cost` and `sends` what was charged to them, `refused` that they were used
    up. `error_code` is of the problem that is answered. `streaming_after`: seconds until the
    head of an answer that goes on for as long as the client listens; that is how long the request took. `filler` knows
    the templates that messages of this request named."""

    request_id: str
    services: Services
    started: float
    scope: MutableMapping[str, Any]
    principal: Principal | None = None
    session: Session | None = None
    limit_headers: Headers = field(default_factory=list)
    answer_headers: Headers = field(default_factory=list)
    error_code: str | None = None
    options: Options = NONE
    operation: str = "unmatched"
    bound: Bound | None = None
    cost: int = 0
    sends: int = 0
    refused: bool = False
    streaming_after: float | None = None
    filler: TemplateFiller | None = None

    @property
    def caller(self) -> Principal:
        """The principal, on routes under `/v1`, where the gateway lets nobody in without one."""
        assert self.principal is not None
        return self.principal

    @property
    def client_address(self) -> str:
        """An IP address, or empty when the server does not know."""
        return self.services.addresses.of(self.scope)

    @property
    def user_agent(self) -> str | None:
        for name, value in self.scope["headers"]:
            if name == b"user-agent":
                agent: str = value.decode("latin-1")
                return agent
        return None
