"""The two clients: `PenguinMails` blocks, `AsyncPenguinMails` is for asyncio. They have the same methods."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Self

import httpx

from penguinmails._errors import PenguinMailsError
from penguinmails._generated.client import AsyncResources, Resources
from penguinmails._request import Settings, check_base_url, check_key
from penguinmails._transport import ApiKey, AsyncApiKey, AsyncTransport, Transport
from penguinmails.webhooks import Webhooks

DEFAULT_BASE_URL = "http://127.0.0.1:8025"
DEFAULT_TIMEOUT = 30.0
DEFAULT_MAX_RETRIES = 2


class PenguinMails(Resources):
    """A blocking client; safe to share between threads.

    `api_key` (or PENGUINMAILS_API_KEY): a key, or a function that gives one for each request. `base_url` (or
    PENGUINMAILS_BASE_URL): your server, by default ``http://127.0.0.1:8025``. `timeout` in seconds for each try,
    `max_retries` after the first one. `http_client`: your own `httpx.Client`, for proxies or certificates; it stays
    yours to close. Raises `PenguinMailsError` when there is no key or the URL is none.
    """

    webhooks: Webhooks

    def __init__(
        self,
        api_key: ApiKey | None = None,
        *,
        base_url: str | None = None,
        timeout: float = DEFAULT_TIMEOUT,
        max_retries: int = DEFAULT_MAX_RETRIES,
        http_client: httpx.Client | None = None,
        default_headers: Mapping[str, str] | None = None,
        webhook_secret: str | None = None,
    ) -> None:
        key = _find_key(api_key)
        settings = _settings(base_url, timeout, max_retries, default_headers)
        self._owns_http = http_client is None
        self._start(Transport(settings, key, http_client or httpx.Client()))
        self.webhooks = Webhooks(webhook_secret)

    def with_options(
        self,
        *,
        api_key: ApiKey | None = None,
        base_url: str | None = None,
        timeout: float | None = None,
        max_retries: int | None = None,
        default_headers: Mapping[str, str] | None = None,
    ) -> Self:
        """A client with some settings changed; it shares this one's connections, and closes with it."""
        old = self._transport
        made = type(self).__new__(type(self))
        settings = _changed(old.settings, base_url, timeout, max_retries, default_headers)
        made._owns_http = False
        made._start(Transport(settings, old.api_key if api_key is None else _find_key(api_key), old.http))
        made.webhooks = self.webhooks
        return made

    def close(self) -> None:
        """Closes the connections. A client of your own (`http_client`) stays open."""
        if self._owns_http:
            self._transport.http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._transport.settings.base_url!r})"


class AsyncPenguinMails(AsyncResources):
    """A client for asyncio; arguments as for `PenguinMails`. `api_key` may be an asynchronous function."""

    webhooks: Webhooks

    def __init__(
        self,
        api_key: AsyncApiKey | None = None,
        *,
        base_url: str | None = None,
        timeout: float = DEFAULT_TIMEOUT,
        max_retries: int = DEFAULT_MAX_RETRIES,
        http_client: httpx.AsyncClient | None = None,
        default_headers: Mapping[str, str] | None = None,
        webhook_secret: str | None = None,
    ) -> None:
        key = _find_key(api_key)
        settings = _settings(base_url, timeout, max_retries, default_headers)
        self._owns_http = http_client is None
        self._start(AsyncTransport(settings, key, http_client or httpx.AsyncClient()))
        self.webhooks = Webhooks(webhook_secret)

    def with_options(
        self,
        *,
        api_key: AsyncApiKey | None = None,
        base_url: str | None = None,
        timeout: float | None = None,
        max_retries: int | None = None,
        default_headers: Mapping[str, str] | None = None,
    ) -> Self:
        """A client with some settings changed; it shares this one's connections, and closes with it."""
        old = self._transport
        made = type(self).__new__(type(self))
        settings = _changed(old.settings, base_url, timeout, max_retries, default_headers)
        made._owns_http = False
        made._start(AsyncTransport(settings, old.api_key if api_key is None else _find_key(api_key), old.http))
        made.webhooks = self.webhooks
        return made

    async def close(self) -> None:
        """Closes the connections. A client of your own (`http_client`) stays open."""
        if self._owns_http:
            await self._transport.http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._transport.settings.base_url!r})"


def _find_key(api_key: Any) -> Any:
    if api_key is None:
        found = os.environ.get("PENGUINMAILS_API_KEY", "")
        if not found.strip():
            raise PenguinMailsError(
                "no API key: give api_key= or set PENGUINMAILS_API_KEY (pm_live_... or pm_test_...)"
            )
        return check_key(found)
    return api_key if callable(api_key) else check_key(str(api_key))


def _settings(base_url: str | None, timeout: float, max_retries: int, headers: Mapping[str, str] | None) -> Settings:
    url = base_url or os.environ.get("PENGUINMAILS_BASE_URL") or DEFAULT_BASE_URL
    return Settings(check_base_url(url), *_limits(timeout, max_retries), dict(headers or {}))


def _changed(
    old: Settings,
    base_url: str | None,
    timeout: float | None,
    max_retries: int | None,
    headers: Mapping[str, str] | None,
) -> Settings:
    limits = _limits(
        old.timeout if timeout is None else timeout, old.max_retries if max_retries is None else max_retries
    )
    return Settings(check_base_url(base_url or old.base_url), *limits, {**old.headers, **(headers or {})})


def _limits(timeout: float, max_retries: int) -> tuple[float, int]:
    if not timeout > 0:
        raise PenguinMailsError(f"timeout is a number of seconds above 0, not {timeout!r}")
    if max_retries < 0:
        raise PenguinMailsError(f"max_retries is 0 or more, not {max_retries!r}")
    return timeout, max_retries
