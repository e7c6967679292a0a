"""Prometheus metrics of one API process, plus what the database knows of all of them.

Numbers that belong to the whole installation (queue depth, events, attempts) are read from PostgreSQL at the scrape, at
most every 10 seconds, so that it does not matter which process is asked.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import ClassVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector

from penguinmails_core.kit.db import Pool
from penguinmails_core.operations import repository

CONTENT_TYPE = CONTENT_TYPE_LATEST
_METHODS = frozenset(("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"))
_REFRESH = 10.0  # seconds
_MOST_LANES = 100  # series
_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class Totals(Collector):
    """Counters that are kept elsewhere: `values` is filled before each scrape."""

    DESCRIPTIONS: ClassVar[dict[str, str]] = {
        "events": "Events written since the statistics were reset, by all processes",
        "email_attempts": "Delivery attempts started since the statistics were reset, by all processes",
        "webhook_attempts": "Webhook requests sent since the statistics were reset, by all processes",
    }

    def __init__(self) -> None:
        self.values: dict[str, int] = {}

    def collect(self) -> Iterable[Metric]:
        for name, description in self.DESCRIPTIONS.items():
            yield CounterMetricFamily(f"penguinmails_{name}", description, value=self.values.get(name, 0))


class Metrics:
    """`observe` is on the hot path: label sets are looked up once and kept."""

    def __init__(self) -> None:
        registry = self.registry = CollectorRegistry()
        self._requests = Counter(
            "penguinmails_http_requests", "Requests answered", ["method", "route", "status"], registry=registry
        )
        self._seconds = Histogram(
            "penguinmails_http_request_seconds", "Time to the answer", ["route"], buckets=_BUCKETS, registry=registry
        )
        self.totals = Totals()
        registry.register(self.totals)
        self._depth = Gauge("penguinmails_queue_depth", "Recipients waiting", ["lane"], registry=registry)
        self._oldest = Gauge(
            "penguinmails_queue_oldest_seconds",
            "How long the most overdue recipient waits",
            ["lane"],
            registry=registry,
        )
        self._webhooks_due = Gauge("penguinmails_webhook_deliveries_due", "Deliveries waiting", registry=registry)
        self._endpoints = Gauge(
            "penguinmails_webhook_endpoints", "Webhook endpoints by status", ["status"], registry=registry
        )
        self._children: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}
        self._read_at = -_REFRESH

    def observe(self, method: str, route: str, status: int, seconds: float) -> None:
        """`route` is a template such as ``/v1/emails/{email_id}``: label values must not grow with traffic."""
        if method not in _METHODS:  # a client may make up as many as it likes
            method = "other"
        children = self._children.get((method, route, status))
        if children is None:
            children = (self._requests.labels(method, route, str(status)), self._seconds.labels(route))
            self._children[method, route, status] = children
        children[0].inc()
        children[1].observe(seconds)

    async def refresh(self, worker: Pool) -> None:
        """Read the numbers of the whole installation, unless that was done a moment ago."""
        if time.monotonic() - self._read_at < _REFRESH:
            return
        self._read_at = time.monotonic()
        self._depth.clear()
        self._oldest.clear()
        for lane, waiting, overdue in _bounded(await repository.queue_depth(worker)):
            self._depth.labels(lane).set(waiting)
            self._oldest.labels(lane).set(overdue)
        for status, count in (await repository.webhook_endpoints(worker)).items():
            self._endpoints.labels(status).set(count)
        self._webhooks_due.set(await repository.webhook_deliveries_due(worker))
        self.totals.values |= await repository.rows_inserted(worker)

    def render(self) -> bytes:
        return generate_latest(self.registry)


def _bounded(lanes: list[tuple[str, int, float]]) -> list[tuple[str, int, float]]:
    """The longest queues by name, all others as one: a lane for each mailbox would be a series for each mailbox."""
    lanes = sorted(lanes, key=lambda lane: lane[1], reverse=True)
    named, rest = lanes[:_MOST_LANES], lanes[_MOST_LANES:]
    if rest:
        named.append(("other", sum(lane[1] for lane in rest), max(lane[2] for lane in rest)))
    return named
