"""The inbox as an ASGI application: a JSON API under /api/ and the page that uses it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import asdict, dataclass
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import quote

import orjson
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from penguinmails_core.errors import Forbidden, NotFound, Problem
from penguinmails_core.kit.clock import rfc3339
from penguinmails_sender.inbox.guard import HostGuard, SecurityHeaders, is_own_page
from penguinmails_sender.inbox.html_view import HTML_POLICY, frame_html
from penguinmails_sender.inbox.links import find_links
from penguinmails_sender.inbox.magic import MAGIC_RECIPIENTS
from penguinmails_sender.inbox.message_view import Attachment, MessageView, view_message
from penguinmails_sender.inbox.problems import render
from penguinmails_sender.inbox.queries import is_id, list_query, no_query
from penguinmails_sender.inbox.store import CapturedMessage, CaptureStore
from penguinmails_sender.inbox.verdict import SignatureVerdict, TxtLookup, overall, verify

_ASSETS = Path(__file__).parent / "assets"
_TYPES = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml", ".html": "text/html"}
_HEARTBEAT_SECONDS = 15.0
_LARGE = 256 * 1024  # parse larger messages in a thread
_SHOWN_IMAGES = ("image/png", "image/jpeg", "image/gif", "image/webp")


@dataclass(frozen=True, slots=True)
class InboxHints:
    """What the page tells a newcomer: where to send mail. `api_url` adds the example through the HTTP API."""

    smtp_host: str = "127.0.0.1"
    smtp_port: int = 0
    api_url: str = ""


def create_app(
    store: CaptureStore,
    *,
    txt_lookup: TxtLookup,
    title: str = "PenguinMails inbox",
    hints: InboxHints | None = None,
    allowed_hosts: Sequence[str] = (),
) -> Starlette:
    """`txt_lookup` finds DKIM keys. `allowed_hosts`: host names to serve besides loopback ones."""
    inbox = _Inbox(store, txt_lookup, title, hints or InboxHints())
    message = "/api/messages/{id}"
    routes = [
        Route("/", inbox.page),
        Route("/assets/{name}", inbox.asset),
        Route("/favicon.ico", inbox.favicon),
        Route("/api/info", inbox.info),
        Route("/api/stream", inbox.stream),
        Route("/api/messages", inbox.list_messages, methods=["GET"]),
        Route("/api/messages", inbox.clear, methods=["DELETE"]),
        Route(message, inbox.get_message, methods=["GET"]),
        Route(message, inbox.delete_message, methods=["DELETE"]),
        Route(message + "/raw", inbox.raw),
        Route(message + "/html", inbox.html),
        Route(message + "/text", inbox.text),
        Route(message + "/attachments/{index}", inbox.attachment),
    ]
    return Starlette(
        routes=routes,
        middleware=[Middleware(SecurityHeaders), Middleware(HostGuard, allowed=allowed_hosts)],
        exception_handlers={Problem: render, HTTPException: render, Exception: render},
    )


def _json(body: Any) -> Response:
    return Response(orjson.dumps(body), media_type="application/json")


class _Inbox:
    """The endpoints over one store."""

    def __init__(self, store: CaptureStore, txt_lookup: TxtLookup, title: str, hints: InboxHints) -> None:
        self._store = store
        self._txt_lookup = txt_lookup
        self._title = title
        self._hints = hints
        self._assets = {file.name: file.read_bytes() for file in _ASSETS.iterdir() if file.suffix in _TYPES}

    # The page

    async def page(self, request: Request) -> Response:
        html = self._assets["index.html"].replace(b"{{title}}", escape(self._title).encode())
        return Response(html, media_type="text/html")

    async def asset(self, request: Request) -> Response:
        name = request.path_params["name"]
        if name not in self._assets or name == "index.html":
            raise NotFound(f"There is no asset {name}.")
        return Response(self._assets[name], media_type=_TYPES[Path(name).suffix])

    async def favicon(self, request: Request) -> Response:
        return Response(self._assets["penguin.svg"], media_type="image/svg+xml")

    async def info(self, request: Request) -> Response:
        no_query(request)
        magic = [
            {"local_parts": entry.local_parts, "reply": entry.reply, "meaning": entry.meaning}
            for entry in MAGIC_RECIPIENTS
        ]
        return _json(
            {
                "title": self._title,
                "smtp_host": self._hints.smtp_host,
                "smtp_port": self._hints.smtp_port,
                "api_url": self._hints.api_url,
                "max_messages": self._store.max_messages,
                "max_bytes": self._store.max_bytes,
                "magic_recipients": magic,
            }
        )

    # The list

    async def list_messages(self, request: Request) -> Response:
        query = list_query(request)
        page: list[CapturedMessage] = []
        for message in self._store.newest_first(before=query.after):
            if query.matches(message):
                page.append(message)
                if len(page) > query.limit:
                    break
        has_more = len(page) > query.limit
        page = page[: query.limit]
        data = [await self._item(message) for message in page]
        return _json({"data": data, "has_more": has_more, "next_cursor": page[-1].id if has_more else None})

    async def clear(self, request: Request) -> Response:
        self._check_origin(request)
        no_query(request)
        return _json({"deleted": self._store.clear()})

    async def stream(self, request: Request) -> Response:
        """Server-sent events: ``message`` (an item of the list), ``deleted``, ``cleared``, ``reload``."""
        no_query(request)
        last = request.headers.get("last-event-id", "")
        return StreamingResponse(
            self._events(last if is_id(last) else None),
            media_type="text/event-stream",
            headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
        )

    async def _events(self, last: str | None) -> AsyncIterator[bytes]:
        with self._store.subscribe() as changes:
            yield b"retry: 1000\n: connected\n\n"
            for message in self._store.since(last) if last else ():
                yield await self._message_event(message)
            while True:
                try:
                    change = await asyncio.wait_for(changes.next(), _HEARTBEAT_SECONDS)
                except TimeoutError:
                    yield b": still here\n\n"
                    continue
                if change is None:
                    return
                if changes.lagged:
                    changes.lagged = False
                    yield b"event: reload\ndata: {}\n\n"
                if change.kind == "added" and change.message is not None:
                    yield await self._message_event(change.message)
                elif change.message is not None:
                    yield b"event: deleted\ndata: " + orjson.dumps({"id": change.message.id}) + b"\n\n"
                else:
                    yield b"event: cleared\ndata: {}\n\n"

    async def _message_event(self, message: CapturedMessage) -> bytes:
        data = orjson.dumps(await self._item(message))
        return b"id: " + message.id.encode() + b"\nevent: message\ndata: " + data + b"\n\n"

    # One message

    async def get_message(self, request: Request) -> Response:
        message, view = await self._view(request)
        received = message.received
        item = await self._item(message)
        results = await self._dkim(message)
        item |= {
            "dkim": [asdict(result) for result in results],
            "dkim_verdict": overall(results),
            "headers": [{"name": name, "value": value} for name, value in view.headers],
            "text": view.text,
            "html": view.html,
            "attachments": [_attachment_item(part) for part in view.attachments],
            "links": [asdict(link) for link in find_links(view.html, view.text)],
            "remote": received.remote,
            "helo": received.helo,
            "tls": received.tls,
        }
        return _json(item)

    async def delete_message(self, request: Request) -> Response:
        self._check_origin(request)
        no_query(request)
        message = self._find(request)
        self._store.delete(message.id)
        return Response(status_code=204)

    async def raw(self, request: Request) -> Response:
        no_query(request)
        message = self._find(request)
        headers = {"Content-Disposition": f'inline; filename="{message.id}.eml"'}
        return Response(message.raw, media_type="message/rfc822", headers=headers)

    async def html(self, request: Request) -> Response:
        message, view = await self._view(request)
        if view.html is None:
            raise NotFound("The message has no HTML body.")
        content = frame_html(view.html, view.attachments, f"/api/messages/{message.id}")
        headers = {"Content-Security-Policy": HTML_POLICY, "X-Frame-Options": "SAMEORIGIN"}
        return Response(content.encode("utf-8", "replace"), media_type="text/html", headers=headers)

    async def text(self, request: Request) -> Response:
        _, view = await self._view(request)
        if view.text is None:
            raise NotFound("The message has no plain text body.")
        return Response(view.text.encode("utf-8", "replace"), media_type="text/plain")

    async def attachment(self, request: Request) -> Response:
        message, view = await self._view(request)
        index = request.path_params["index"]
        part = next((part for part in view.attachments if str(part.index) == index), None)
        if part is None:
            count = len(view.attachments)
            raise NotFound(f"There is no attachment {index}; the message has {count}, counted from 0.")
        is_image = part.content_type in _SHOWN_IMAGES
        headers = {
            "Content-Disposition": _disposition(part.filename or f"{message.id}-{part.index}"),
            "Content-Security-Policy": "sandbox; default-src 'none'",
            # The frame with the HTML body has an opaque origin, so its images count as cross-origin.
            "Cross-Origin-Resource-Policy": "cross-origin" if is_image and part.content_id else "same-origin",
        }
        return Response(
            part.content, media_type=part.content_type if is_image else "application/octet-stream", headers=headers
        )

    # Helpers

    def _check_origin(self, request: Request) -> None:
        if not is_own_page(request.headers):
            raise Forbidden("Only the inbox's own page, or a program, may delete messages; not another web site.")

    def _find(self, request: Request) -> CapturedMessage:
        message = self._store.get(request.path_params["id"])
        if message is None:
            raise NotFound("There is no such message; it may have been deleted, or made room for newer ones.")
        return message

    async def _view(self, request: Request) -> tuple[CapturedMessage, MessageView]:
        no_query(request)
        message = self._find(request)
        if message.size > _LARGE:
            return message, await asyncio.to_thread(view_message, message.raw)
        return message, view_message(message.raw)

    async def _dkim(self, message: CapturedMessage) -> list[SignatureVerdict]:
        if message.dkim is not None:
            return message.dkim
        results = await verify(message.raw, self._txt_lookup)
        if all(result.verdict != "temperror" for result in results):  # else ask again next time
            message.dkim = results
        return results

    async def _item(self, message: CapturedMessage) -> dict[str, Any]:
        results = await self._dkim(message)
        summary = message.summary
        return {
            "id": message.id,
            "from": summary.sender,
            "to": summary.to,
            "subject": summary.subject,
            "received_at": rfc3339(message.received.received_at),
            "size": message.size,
            "envelope_sender": message.received.envelope_sender,
            "recipients": message.received.recipients,
            "dkim": {"verdict": overall(results), "reason": _reason(results)},
        }


def _attachment_item(part: Attachment) -> dict[str, Any]:
    return {
        "index": part.index,
        "filename": part.filename,
        "content_type": part.content_type,
        "size": len(part.content),
        "content_id": part.content_id,
    }


def _reason(results: list[SignatureVerdict]) -> str:
    """Why the overall verdict is what it is, in one line."""
    if not results:
        return "the message has no DKIM-Signature"
    return next((result for result in results if result.verdict == "pass"), results[0]).reason


def _disposition(filename: str) -> str:
    """``attachment`` with a name that is safe in every browser (RFC 6266, RFC 8187)."""
    base = filename.replace("\\", "/").rpartition("/")[2]
    name = "".join(c for c in base if c.isprintable()).strip(" .") or "attachment"
    plain = "".join(c if c.isascii() and (c.isalnum() or c in " ._-()") else "_" for c in name)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"
