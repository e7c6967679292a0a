"""A lane is one stream of mail that is throttled, paused and claimed as a whole.

Its name is ``mode/class/source/provider group``, for example ``live/transactional/default/google``. The source is the
mailbox or IP pool that sends; there is one, `default`, until pools exist.
"""

from __future__ import annotations

from functools import lru_cache

from penguinmails_core.kit.providers import provider_group

DEFAULT_SOURCE = "default"


@lru_cache(maxsize=65536)
def lane_of(mode: str, message_class: str, domain: str, source: str = DEFAULT_SOURCE) -> str:
    return f"{mode}/{message_class}/{source}/{provider_group(domain)}"


def priority(lane: str) -> int:
    """Lower goes first: transactional before campaign, live before test."""
    mode, message_class, *_ = lane.split("/")
    return (0 if message_class == "transactional" else 2) + (0 if mode == "live" else 1)
