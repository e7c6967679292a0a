"""The place where spans begin. Without a tracer, the usual case, it costs one comparison and imports nothing.

    with trace.span("smtp attempt", recipients=2) as span:
        ...
        if span is not None:
            span.set_attribute("penguinmails.outcome", "delivered")

Attributes never hold addresses, subjects, keys or URLs with a path.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Protocol


class Span(Protocol):
    def set_attribute(self, key: str, value: Any, /) -> None: ...


Tracer = Callable[[str, dict[str, Any]], AbstractContextManager[Span]]
"""(name, attributes) -> a context in which the span is the current one."""

_OFF: AbstractContextManager[None] = nullcontext()
_tracer: Tracer | None = None


def install(tracer: Tracer | None) -> None:
    """Whom `span` asks from now on; None turns tracing off."""
    global _tracer
    _tracer = tracer


def span(name: str, /, **attributes: Any) -> AbstractContextManager[Span | None]:
    """Attribute names get the prefix ``penguinmails.``."""
    if _tracer is None:
        return _OFF
    return _tracer(name, {f"penguinmails.{key}": value for key, value in attributes.items()})
