"""Traces and metrics as a collector gets them, and nothing at all when they are off."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import pytest

from penguinmails_api.app import create_gateway
from penguinmails_api.gateway import Gateway
from penguinmails_api.observability import logs
from penguinmails_api.observability.telemetry import Telemetry, TracedGateway
from penguinmails_api.services import Services
from penguinmails_core.config import TelemetrySettings
from penguinmails_core.kit import trace
from penguinmails_core.kit.db import Database
from tests.api.observability.otlp import Collector, attributes
from tests.fixtures.client import ApiClient
from tests.fixtures.factories import Tenant, make_domain

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
MESSAGE = {"from": "hello@acme.test", "to": "ada@example.com", "subject": "Hi", "text": "sesame"}


@pytest.fixture
async def collector() -> AsyncIterator[Collector]:
    async with Collector() as collector:
        yield collector


@pytest.fixture
async def traced(services: Services, tenant: Tenant, collector: Collector) -> AsyncIterator[ApiClient]:
    telemetry = Telemetry(TelemetrySettings(endpoint=collector.url, metrics_interval=timedelta(hours=1)), "api")
    telemetry.bridge(services.metrics.registry)
    gateway = create_gateway(replace(services, telemetry=telemetry))
    assert isinstance(gateway, TracedGateway)
    try:
        async with ApiClient(gateway, tenant.key) as client:
            yield client
    finally:
        await telemetry.stop()


async def finish(client: ApiClient) -> None:
    telemetry = client.gateway.services.telemetry
    assert telemetry is not None
    await telemetry.stop()


async def test_a_request_and_its_commit(
    traced: ApiClient, collector: Collector, database: Database, tenant: Tenant
) -> None:
    await make_domain(database, tenant, "acme.test")
    accepted = await traced.post("/v1/emails", json=MESSAGE, headers={"traceparent": PARENT})
    assert accepted.status_code == 202
    missing = await traced.get("/v1/emails/msg_x")
    await finish(traced)
    await collector.until(lambda: len(collector.spans) >= 3)
    spans = {span.name: span for span in collector.spans}
    request = spans["POST /v1/emails"]
    assert request.trace_id.hex() == PARENT.split("-")[1]
    assert request.parent_span_id.hex() == PARENT.split("-")[2]
    assert attributes(request) == {
        "http.request.method": "POST",
        "url.scheme": "http",
        "http.route": "/v1/emails",
        "http.response.status_code": 202,
        "penguinmails.request_id": accepted.headers["request-id"],
    }
    assert attributes(spans["accept batch"])["penguinmails.requests"] == 1
    other = attributes(spans["GET /v1/emails/{email_id}"])
    assert (other["http.response.status_code"], other["penguinmails.request_id"]) == (
        404,
        missing.headers["request-id"],
    )
    assert collector.resource["service.name"] == "penguinmails"
    for secret in (tenant.key, "ada@example.com", "sesame"):
        assert secret not in str(collector.spans)


async def test_metrics(traced: ApiClient, collector: Collector) -> None:
    for _ in range(3):
        await traced.get("/v1/me")
    await traced.request("BREW", "/v1/coffee")
    await finish(traced)
    await collector.until(lambda: "http.server.request.duration" in collector.metrics)
    points = collector.metrics["http.server.request.duration"].histogram.data_points
    counts = {(attributes(p)["http.request.method"], attributes(p)["http.route"]): p.count for p in points}
    assert counts["GET", "/v1/me"] == 3
    assert counts["_OTHER", "unmatched"] == 1
    requests = collector.metrics["penguinmails_http_requests"].sum.data_points
    assert 3 in [point.as_double for point in requests if attributes(point).get("route") == "/v1/me"]
    assert "penguinmails_rate_limit_local" in collector.metrics


async def test_log_lines_name_the_span(traced: ApiClient) -> None:
    with trace.span("test"):
        assert logs.trace_ids is not None
        assert len(logs.trace_ids()["trace_id"]) == 32
    assert logs.trace_ids() == {}


async def test_a_collector_that_is_away_costs_no_request(services: Services, tenant: Tenant) -> None:
    telemetry = Telemetry(TelemetrySettings(endpoint="http://127.0.0.1:9", metrics_interval=timedelta(hours=1)), "api")
    try:
        async with ApiClient(create_gateway(replace(services, telemetry=telemetry)), tenant.key) as client:
            assert (await client.get("/v1/me")).status_code == 200
    finally:
        await telemetry.stop()


async def test_off_is_off(services: Services) -> None:
    assert services.telemetry is None
    assert type(create_gateway(services)) is Gateway
    with trace.span("anything", number=1) as span:
        assert span is None


def test_nothing_of_ours_is_imported_when_it_is_off() -> None:
    """(FastAPI and redis look for OpenTelemetry by themselves, and do nothing with it until told to.)"""
    code = (
        "import sys, penguinmails_api.app, penguinmails_api.runtime.worker, penguinmails_api.cli.serve\n"
        "ours = ('penguinmails_api.observability.telemetry', 'opentelemetry.exporter')\n"
        "sys.exit(any(name.startswith(ours) for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
