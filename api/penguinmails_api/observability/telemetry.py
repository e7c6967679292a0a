"""OpenTelemetry: traces and metrics over OTLP/HTTP, off unless PENGUINMAILS_OTEL_ENABLED says otherwise.

This module is imported only when it is on, and the SDK (`pip install 'penguinmails-server[otel]'`) with it. Where to
send, headers, timeouts: the standard OTEL_EXPORTER_OTLP_* variables, or PENGUINMAILS_OTEL_ENDPOINT.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric

from penguinmails_api.gateway import Gateway, Message, Receive, Scope, Send
from penguinmails_api.observability import logs
from penguinmails_api.version import VERSION
from penguinmails_core.config import ConfigError, TelemetrySettings
from penguinmails_core.kit import trace as seam

try:
    from opentelemetry import trace
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.metrics import CallbackOptions, Observation
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor
    from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
    from opentelemetry.trace import Span, SpanKind, StatusCode
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
except ImportError:
    raise ConfigError(
        "PENGUINMAILS_OTEL_ENABLED needs OpenTelemetry: pip install 'penguinmails-server[otel]'"
    ) from None

log = logging.getLogger(__name__)

_KINDS = {"smtp attempt": SpanKind.CLIENT, "webhook attempt": SpanKind.CLIENT}
_STOP_SECONDS = 5.0


class Telemetry:
    """Starts at once; `await stop()` sends what is left. `service`: ``api`` or ``worker``."""

    def __init__(self, settings: TelemetrySettings, service: str) -> None:
        resource = Resource.create(
            {"service.name": settings.service_name, "service.namespace": service, "service.version": VERSION}
        )
        # A caller's own decision to sample must not switch on our tracing for everybody who says so.
        sampler = TraceIdRatioBased(settings.sample)
        self._traces = TracerProvider(
            resource=resource,
            sampler=ParentBased(sampler, remote_parent_sampled=sampler, remote_parent_not_sampled=sampler),
            shutdown_on_exit=False,
        )
        base = settings.endpoint.rstrip("/") if settings.endpoint else None
        spans = OTLPSpanExporter(endpoint=f"{base}/v1/traces" if base else None)
        self._traces.add_span_processor(BatchSpanProcessor(spans))
        self._tracer = self._traces.get_tracer("penguinmails", VERSION)
        numbers = OTLPMetricExporter(endpoint=f"{base}/v1/metrics" if base else None)
        reader = PeriodicExportingMetricReader(numbers, settings.metrics_interval.total_seconds() * 1000)
        self._meters = MeterProvider([reader], resource, shutdown_on_exit=False)
        self._meter = self._meters.get_meter("penguinmails", VERSION)
        self._durations = self._meter.create_histogram(
            "http.server.request.duration", "s", "Duration of HTTP server requests"
        )
        self._propagator = TraceContextTextMapPropagator()
        seam.install(self._span)
        logs.trace_ids = _trace_ids

    def bridge(self, registry: CollectorRegistry) -> None:
        """The counters and gauges that Prometheus would see, under the same names."""
        for family in registry.collect():
            if family.type in ("counter", "gauge"):
                create = (
                    self._meter.create_observable_counter
                    if family.type == "counter"
                    else self._meter.create_observable_gauge
                )
                create(family.name, [_reader(registry, family.name)], description=family.documentation)

    async def stop(self) -> None:
        seam.install(None)
        logs.trace_ids = None
        for provider in (self._traces, self._meters):
            try:
                await asyncio.wait_for(asyncio.to_thread(provider.shutdown), _STOP_SECONDS)
            except TimeoutError:
                log.warning("telemetry: the collector is away; what was left is lost")

    def _span(self, name: str, attributes: dict[str, Any]) -> AbstractContextManager[Span]:
        return self._tracer.start_as_current_span(
            name,
            kind=_KINDS.get(name, SpanKind.INTERNAL),
            attributes=attributes,
            record_exception=False,  # its text may hold an address
            set_status_on_exception=False,
        )

    @contextmanager
    def request(self, scope: Scope) -> Iterator[Span]:
        """The span of a request, a child of the caller's `traceparent` (W3C Trace Context)."""
        headers = {
            name.decode("latin-1"): value.decode("latin-1")
            for name, value in scope["headers"]
            if name in (b"traceparent", b"tracestate")
        }
        with self._tracer.start_as_current_span(
            scope["method"],
            context=self._propagator.extract(headers),
            kind=SpanKind.SERVER,
            attributes={"http.request.method": scope["method"], "url.scheme": scope.get("scheme", "http")},
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            yield span

    def answered(self, span: Span, method: str, route: str, status: int, seconds: float, request_id: str) -> None:
        span.update_name(f"{method} {route}")
        span.set_attribute("http.route", route)
        span.set_attribute("http.response.status_code", status)
        span.set_attribute("penguinmails.request_id", request_id)
        if status >= 500:
            span.set_status(StatusCode.ERROR)
        self._durations.record(
            seconds,
            {"http.request.method": method, "http.route": route, "http.response.status_code": status},
        )


class TracedGateway(Gateway):
    """A gateway with a span around each request. A class of its own, so that without tracing nobody pays."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        telemetry = self.services.telemetry
        if scope["type"] != "http" or telemetry is None:
            await super().__call__(scope, receive, send)
            return
        loop = asyncio.get_running_loop()
        started, status, request_id = loop.time(), 500, ""

        async def watched(message: Message) -> None:
            nonlocal status, request_id
            if "status" in message:
                status = message["status"]
                request_id = next((v.decode() for n, v in message["headers"] if n == b"request-id"), "")
            await send(message)

        with telemetry.request(scope) as span:
            try:
                await super().__call__(scope, receive, watched)
            finally:
                context = scope.get("state", {}).get("context")
                seconds = context.streaming_after if context is not None else None
                if seconds is None:
                    seconds = loop.time() - started
                telemetry.answered(span, known_method(scope), self.route_of(scope), status, seconds, request_id)


def known_method(scope: Scope) -> str:
    """Methods that clients make up are `_OTHER` (OpenTelemetry semantic conventions for HTTP)."""
    method: str = scope["method"]
    return method if method in ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS") else "_OTHER"


def _trace_ids() -> dict[str, str]:
    context = trace.get_current_span().get_span_context()
    if not context.is_valid:
        return {}
    return {"trace_id": f"{context.trace_id:032x}", "span_id": f"{context.span_id:016x}"}


def _reader(registry: CollectorRegistry, name: str) -> Any:
    def read(_: CallbackOptions) -> Iterable[Observation]:
        family: Metric
        for family in registry.collect():
            if family.name == name:
                for sample in family.samples:
                    if not sample.name.endswith("_created"):
                        yield Observation(sample.value, sample.labels)

    return read
