"""What one API process tells of its parts, besides its requests."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penguinmails_api.observability.readings import Reading

if TYPE_CHECKING:
    from penguinmails_api.services import Services


def api_readings(services: Services) -> list[Reading]:
    accepted, log = services.acceptor.counters, services.request_log
    return [
        Reading("messages_accepted", "Messages accepted by this process", "counter", lambda: accepted.messages),
        Reading("accept_batches", "Group commits of accepted mail", "counter", lambda: accepted.batches),
        Reading("accept_bisected", "Group commits that one bad row split", "counter", lambda: accepted.bisected),
        Reading(
            "rate_limit_local",
            "1 while limits are counted in this process because Redis is away",
            "gauge",
            lambda: float(services.limiter.fallen_back),
        ),
        Reading(
            "request_log_entries",
            "Requests that were written to the request log, or dropped before",
            "counter",
            lambda: {"written": log.written, "dropped": log.dropped},
            "result",
        ),
        Reading("event_streams", "Event streams that are open", "gauge", lambda: services.event_streams.open),
        Reading("request_log_waiting", "Requests that wait to be logged", "gauge", lambda: log.waiting),
    ]
