"""Around the application: options are read before a route is looked for, answers are cut and tagged after."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import orjson
from fastapi.routing import APIRoute

from penguinmails_api.context import RequestContext
from penguinmails_api.conventions import etags, fieldsets
from penguinmails_api.conventions.declared import declared_by, reads_one
from penguinmails_api.conventions.options import take
from penguinmails_core.kit import dry_run

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

VERSIONED = ("/v1/", "/v2/")
DRY = (b"dry-run", b"true")


class Conventions:
    """Plain ASGI: what is not under a version passes untouched."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith(VERSIONED):
            await self._app(scope, receive, send)
            return
        context: RequestContext = scope["state"]["context"]
        context.options = take(scope)
        if scope["method"] == "GET":
            await self._app(scope, receive, _Answer(scope, context, send))
        elif context.options.dry_run:
            context.answer_headers.append(DRY)
            with dry_run.rehearsal():  # no ETag: the state that it would name is not kept
                await self._app(scope, receive, send)
        elif scope["method"] == "PATCH":
            await self._app(scope, receive, _Answer(scope, context, send))
        else:
            await self._app(scope, receive, send)


class _Answer:
    """Holds a JSON answer back when it is to be cut or tagged; all others pass."""

    def __init__(self, scope: Scope, context: RequestContext, send: Send) -> None:
        self._scope, self._context, self._send = scope, context, send
        self._start: Message | None = None
        self._parts: list[bytes] = []
        self._tagged = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start" and self._concerns(message):
            self._start = message
        elif message["type"] == "http.response.body" and self._start is not None:
            self._parts.append(message.get("body", b""))
            if not message.get("more_body"):
                await self._finish(self._start, b"".join(self._parts))
        else:
            await self._send(message)

    def _concerns(self, start: Message) -> bool:
        route = self._scope.get("route")
        if start["status"] != 200 or not isinstance(route, APIRoute) or not _is_json(start):
            return False
        declared = declared_by(route.openapi_extra)
        # What is expanded belongs to other resources: its changes must not fail an If-Match on this one.
        self._tagged = not self._context.options.expand and reads_one(declared, route.path, route.response_model)
        return self._tagged or self._context.options.fields is not None

    async def _finish(self, start: Message, body: bytes) -> None:
        options = self._context.options
        document = orjson.loads(body)
        headers = [pair for pair in start["headers"] if pair[0] != b"content-length"]
        if self._tagged:
            etag = etags.etag_of(document, etags.untagged_of(self._scope["route"].response_model))
            headers.append((b"etag", etag.encode()))
            known = options.if_none_match
            if self._scope["method"] == "GET" and known is not None and etags.is_known(known, etag):
                headers = [pair for pair in headers if pair[0] != b"content-type"]
                await self._send({"type": "http.response.start", "status": 304, "headers": headers})
                await self._send({"type": "http.response.body", "body": b""})
                return
        if options.fields is not None:
            body = orjson.dumps(fieldsets.pick(document, options.fields))
        headers.append((b"content-length", b"%d" % len(body)))
        await self._send({"type": "http.response.start", "status": 200, "headers": headers})
        await self._send({"type": "http.response.body", "body": body})


def _is_json(start: Message) -> bool:
    return any(name == b"content-type" and value.startswith(b"application/json") for name, value in start["headers"])
