"""Rehearsals: everything is done as usual and nothing is kept.

While one is on, `Database.tenant` rolls its transactions back, the doorbell is silent and no mail is accepted, so a
service needs no code of its own for it. What writes past `Database.tenant` (the plain pools) has to ask `active()`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_active: ContextVar[bool] = ContextVar("dry_run", default=False)


def active() -> bool:
    return _active.get()


@contextmanager
def rehearsal(on: bool = True) -> Iterator[None]:
    """Whatever is called inside, in this task and those it starts, leaves nothing behind."""
    token = _active.set(on)
    try:
        yield
    finally:
        _active.reset(token)
