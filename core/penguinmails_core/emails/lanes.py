"""The name of a queue of the sender, written on each recipient: ``mode/class/source/provider group``, for example
``live/transactional/default/google``.

The last two parts are the lane, which is throttled and paused as a whole: a provider sees where mail comes from, not
why it was sent. Mode and class say whose turn it is. The source is the mailbox or IP pool that sends: `default`, until
another is chosen.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from penguinmails_core.kit.providers import provider_group

DEFAULT_SOURCE = "default"
_CLASSES = {"transactional": 0, "reply": 1, "campaign": 2}


class LaneKey(NamedTuple):
    """A lane: one source towards one provider group."""

    source: str
    group: str


def lane_of(mode: str, message_class: str, domain: str, source: str = DEFAULT_SOURCE) -> str:
    return f"{mode}/{message_class}/{source}/{provider_group(domain)}"


@lru_cache(maxsize=65536)
def key_of(name: str) -> LaneKey:
    """The lane of a queue."""
    _mode, _message_class, source, group = name.split("/")
    return LaneKey(source, group)


def is_live(name: str) -> bool:
    return name.startswith("live/")


def priority(name: str) -> int:
    """Lower goes first: transactional, then replies, then campaigns; within each, live before test."""
    mode, message_class, *_ = name.split("/")
    return 2 * _CLASSES.get(message_class, 2) + (0 if mode == "live" else 1)
