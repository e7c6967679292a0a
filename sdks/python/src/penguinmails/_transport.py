"""Carries calls over HTTP: the loops of tries, blocking and asynchronous. All decisions are in `_request`."""

from __future__ import annotations

import asyncio
import functools
import inspect
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, ParamSpec, TypeVar, cast

import httpx

from penguinmails._pages import AsyncPage, AsyncPaginator, CursorList, Page
from penguinmails._request import Call, Operation, RawResponse, Settings

T = TypeVar("T")
R = TypeVar("R")
P = ParamSpec("P")

ApiKey = str | Callable[[], str]
AsyncApiKey = str | Callable[[], str | Awaitable[str]]


class Transport:
    """Blocking calls."""

    def __init__(self, settings: Settings, api_key: ApiKey, http: httpx.Client) -> None:
        self.settings = settings
        self.api_key = api_key
        self.http = http

    def call(
        self,
        operation: Operation[T],
        *,
        path: Mapping[str, str] = {},
        query: Mapping[str, Any] = {},
        body: Mapping[str, Any] | None = None,
        options: Mapping[str, Any],
    ) -> T:
        """Carries out one operation and gives its answer as an object (a `RawResponse` of it when asked for)."""
        call = Call(self.settings, operation, path=path, query=query, body=body, options=options)
        response = self._send(call)
        parsed = call.read(response)
        return cast(Any, RawResponse(response, parsed)) if call.raw else parsed

    def page(
        self,
        operation: Operation[CursorList[T]],
        *,
        path: Mapping[str, str] = {},
        query: Mapping[str, Any],
        options: Mapping[str, Any],
    ) -> Page[T]:
        """Like `call`, for a list."""

        def fetch(cursor: str | None) -> tuple[CursorList[T], str | None]:
            answer = self.call(operation, path=path, query=following(query, cursor), options=without_raw(options))
            return answer, cursor

        call = Call(self.settings, operation, path=path, query=query, body=None, options=options)
        response = self._send(call)
        page = Page(call.read(response), None, fetch)
        return cast(Any, RawResponse(response, page)) if call.raw else page

    def _send(self, call: Call[Any]) -> httpx.Response:
        while True:
            key = self.api_key if isinstance(self.api_key, str) else self.api_key()
            headers = call.headers(key)
            try:
                response = self.http.request(
                    call.method,
                    call.url,
                    params=call.params,
                    content=call.content,
                    headers=headers,
                    timeout=call.timeout,
                    follow_redirects=False,  # a redirect must not carry the key elsewhere
                )
            except httpx.RequestError as error:
                time.sleep(call.after_failure(error))
                continue
            delay = call.after_answer(response)
            if delay is None:
                return response
            time.sleep(delay)


class AsyncTransport:
    """Calls for asyncio."""

    def __init__(self, settings: Settings, api_key: AsyncApiKey, http: httpx.AsyncClient) -> None:
        self.settings = settings
        self.api_key = api_key
        self.http = http

    async def call(
        self,
        operation: Operation[T],
        *,
        path: Mapping[str, str] = {},
        query: Mapping[str, Any] = {},
        body: Mapping[str, Any] | None = None,
        options: Mapping[str, Any],
    ) -> T:
        """Carries out one operation and gives its answer as an object (a `RawResponse` of it when asked for)."""
        call = Call(self.settings, operation, path=path, query=query, body=body, options=options)
        response = await self._send(call)
        parsed = call.read(response)
        return cast(Any, RawResponse(response, parsed)) if call.raw else parsed

    def page(
        self,
        operation: Operation[CursorList[T]],
        *,
        path: Mapping[str, str] = {},
        query: Mapping[str, Any],
        options: Mapping[str, Any],
    ) -> AsyncPaginator[T]:
        """Like `call`, for a list; nothing is sent before the result is awaited or iterated."""

        async def fetch(cursor: str | None) -> tuple[CursorList[T], str | None]:
            answer = await self.call(operation, path=path, query=following(query, cursor), options=without_raw(options))
            return answer, cursor

        # Made here, so that a wrong argument is reported by the line that gave it.
        call = Call(self.settings, operation, path=path, query=query, body=None, options=options)

        async def first() -> AsyncPage[T]:
            call.attempt = 0
            response = await self._send(call)
            page = AsyncPage(call.read(response), None, fetch)
            return cast(Any, RawResponse(response, page)) if call.raw else page

        return AsyncPaginator(first)

    async def _send(self, call: Call[Any]) -> httpx.Response:
        while True:
            key = self.api_key if isinstance(self.api_key, str) else self.api_key()
            headers = call.headers(await key if inspect.isawaitable(key) else key)
            try:
                response = await self.http.request(
                    call.method,
                    call.url,
                    params=call.params,
                    content=call.content,
                    headers=headers,
                    timeout=call.timeout,
                    follow_redirects=False,  # a redirect must not carry the key elsewhere
                )
            except httpx.RequestError as error:
                await asyncio.sleep(call.after_failure(error))
                continue
            delay = call.after_answer(response)
            if delay is None:
                return response
            await asyncio.sleep(delay)


def following(query: Mapping[str, Any], cursor: str | None) -> dict[str, Any]:
    """The query of the next page: in the direction of the first."""
    return {**query, "before" if query.get("before") is not None else "after": cursor}


def without_raw(options: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if name != "_raw"}


def raw(method: Callable[P, R]) -> Callable[P, RawResponse[R]]:
    """The method, answering with the whole HTTP response."""

    @functools.wraps(method)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> RawResponse[R]:
        return cast(RawResponse[R], cast(Any, method)(*args, **kwargs, _raw=True))

    return wrapped


def async_raw(method: Callable[P, Awaitable[R]]) -> Callable[P, Awaitable[RawResponse[R]]]:
    """The method, answering with the whole HTTP response."""

    @functools.wraps(method)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> Awaitable[RawResponse[R]]:
        return cast(Awaitable[RawResponse[R]], cast(Any, method)(*args, **kwargs, _raw=True))

    return wrapped
