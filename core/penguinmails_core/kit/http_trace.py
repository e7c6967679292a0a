"""How far an outgoing request has come and how long each step took, by aiohttp's trace call-backs."""

from __future__ import annotations

import time
from types import SimpleNamespace

import aiohttp


class Progress:
    """How far one exchange has come; aiohttp hands it to the call-backs below."""

    __slots__ = ("connect", "connect_started", "dns", "dns_started", "reused", "stage")

    def __init__(self) -> None:
        self.stage = "waiting for a connection"
        self.reused = False
        self.dns_started = self.connect_started = 0.0
        self.dns: float | None = None
        self.connect: float | None = None


async def _on_connect_start(_: aiohttp.ClientSession, context: SimpleNamespace, __: object) -> None:
    progress: Progress = context.trace_request_ctx
    progress.stage, progress.connect_started = "connecting", time.perf_counter()


async def _on_connect_end(_: aiohttp.ClientSession, context: SimpleNamespace, __: object) -> None:
    progress: Progress = context.trace_request_ctx
    progress.stage = "waiting for the answer"
    progress.connect = (time.perf_counter() - progress.connect_started) * 1000 - (progress.dns or 0.0)


async def _on_reuse(_: aiohttp.ClientSession, context: SimpleNamespace, __: object) -> None:
    progress: Progress = context.trace_request_ctx
    progress.stage, progress.reused = "waiting for the answer", True


async def _on_dns_start(_: aiohttp.ClientSession, context: SimpleNamespace, __: object) -> None:
    progress: Progress = context.trace_request_ctx
    progress.stage, progress.dns_started = "resolving the host", time.perf_counter()


async def _on_dns_end(_: aiohttp.ClientSession, context: SimpleNamespace, __: object) -> None:
    progress: Progress = context.trace_request_ctx
    progress.stage = "connecting"
    progress.dns = (time.perf_counter() - progress.dns_started) * 1000


def _tracing() -> aiohttp.TraceConfig:
    config = aiohttp.TraceConfig()
    config.on_connection_create_start.append(_on_connect_start)
    config.on_connection_create_end.append(_on_connect_end)
    config.on_connection_reuseconn.append(_on_reuse)
    config.on_dns_resolvehost_start.append(_on_dns_start)
    config.on_dns_resolvehost_end.append(_on_dns_end)
    return config


TRACING = _tracing()
