"""What a worker process tells Prometheus, and the small HTTP server for it (off unless a port is set)."""

from __future__ import annotations

from aiohttp import web
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from penguinmails_api.observability.readings import Reading, Readings
from penguinmails_core.config import ConfigError, WorkerSettings
from penguinmails_sender.engine.engine import SenderEngine
from penguinmails_webhooks.engine import WebhookEngine


def worker_readings(sender: SenderEngine, webhooks: WebhookEngine) -> list[Reading]:
    sent, pushed = sender.counters, webhooks.counters
    return [
        Reading("sender_attempts", "Delivery attempts that ended", "counter", lambda: dict(sent.outcomes), "outcome"),
        Reading("sender_claimed", "Recipients claimed", "counter", lambda: sent.claimed),
        Reading("sender_taken_over", "Attempts of workers that are gone", "counter", lambda: sent.taken_over),
        Reading("sender_in_hand", "Recipients in hand", "gauge", lambda: sender.in_hand),
        Reading("sender_results_waiting", "Results that wait for the database", "gauge", lambda: sender.backlog),
        Reading(
            "webhook_requests",
            "Webhook requests that ended",
            "counter",
            lambda: {"delivered": pushed.delivered, "retried": pushed.retried, "exhausted": pushed.exhausted},
            "outcome",
        ),
        Reading("webhook_deliveries_owed", "Deliveries made from events", "counter", lambda: pushed.owed),
        Reading("webhook_endpoints_disabled", "Endpoints that were disabled", "counter", lambda: pushed.disabled),
        Reading("webhook_endpoints_enabled", "Endpoints that were enabled again", "counter", lambda: pushed.enabled),
        Reading("webhook_requests_in_flight", "Webhook requests under way", "gauge", lambda: webhooks.in_flight),
    ]


def worker_registry(sender: SenderEngine, webhooks: WebhookEngine) -> CollectorRegistry:
    registry = CollectorRegistry()
    registry.register(Readings(worker_readings(sender, webhooks)))
    return registry


class MetricsServer:
    """`GET /metrics` and `GET /healthz` on `metrics_host`:`metrics_port`; `port` is known after `start`."""

    def __init__(self, registry: CollectorRegistry, settings: WorkerSettings) -> None:
        self._registry = registry
        self._settings = settings
        self._runner: web.AppRunner | None = None

    @property
    def port(self) -> int:
        assert self._runner is not None
        port: int = self._runner.addresses[0][1]
        return port

    async def start(self) -> None:
        """Raises `ConfigError` when the port cannot be had."""
        app = web.Application()
        app.router.add_get("/metrics", self._metrics)
        app.router.add_get("/healthz", self._health)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        host, port = self._settings.metrics_host, self._settings.metrics_port or 0
        try:
            await web.TCPSite(self._runner, host, port).start()
        except OSError as error:
            await self.stop()
            raise ConfigError(
                f"cannot listen on {host}:{port} ({error.strerror}); pick another with PENGUINMAILS_WORKER_METRICS_PORT"
            ) from None

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _metrics(self, _: web.Request) -> web.Response:
        return web.Response(body=generate_latest(self._registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def _health(self, _: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})
