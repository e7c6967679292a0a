"""What a worker tells Prometheus, over HTTP, after real work."""

from __future__ import annotations

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families

from penguinmails_api.observability.worker_metrics import MetricsServer, worker_registry
from penguinmails_core.config import ConfigError, SenderSettings, WebhookSettings, WorkerSettings
from penguinmails_core.content.service import ContentService
from penguinmails_core.kit.crypto import SecretBox
from penguinmails_core.kit.db import Database
from penguinmails_core.kit.doorbell import Doorbell
from penguinmails_sender.engine.engine import SenderEngine
from penguinmails_sender.transports import SimulatedTransport
from penguinmails_webhooks.engine import WebhookEngine
from tests.fixtures.factories import Recipient, make_content, make_email, make_tenant


async def test_counters_after_work(database: Database) -> None:
    tenant = await make_tenant(database)
    people = [Recipient("delivered@sandbox.test"), Recipient("bounced@sandbox.test")]
    email_id = await make_email(database, tenant, people, mode="test")
    await make_content(database, tenant, email_id)
    box, doorbell = SecretBox([b"k" * 32]), Doorbell(None)
    from penguinmails_core.config import ContentSettings

    content = await ContentService.open(database, ContentSettings())
    sender = SenderEngine(database, content, {"test": SimulatedTransport()}, box, doorbell, SenderSettings(), "worker")
    webhooks = WebhookEngine(database, box, doorbell, WebhookSettings())
    server = MetricsServer(worker_registry(sender, webhooks), WorkerSettings(metrics_port=0))
    await server.start()
    try:
        await sender.run_once()
        await webhooks.run_once()
        async with aiohttp.ClientSession() as http, http.get(f"http://127.0.0.1:{server.port}/metrics") as answer:
            text = await answer.text()
    finally:
        await server.stop()
        await webhooks.stop()
        await content.close()
    samples = {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    assert samples["penguinmails_sender_claimed_total",] == 2
    assert samples["penguinmails_sender_attempts_total", "delivered"] == 1
    assert samples["penguinmails_sender_attempts_total", "bounced"] == 1
    assert samples["penguinmails_sender_in_hand",] == 0
    assert samples["penguinmails_webhook_requests_total", "delivered"] == 0


async def test_a_port_that_is_taken_is_named(database: Database) -> None:
    from prometheus_client import CollectorRegistry

    first = MetricsServer(CollectorRegistry(), WorkerSettings(metrics_port=0))
    await first.start()
    try:
        second = MetricsServer(CollectorRegistry(), WorkerSettings(metrics_port=first.port))
        with pytest.raises(ConfigError, match="PENGUINMAILS_WORKER_METRICS_PORT"):
            await second.start()
    finally:
        await first.stop()
