"""uvicorn's HTTP protocol with one addition: an answer that is complete is written at once.

Hot: ASGI sends head and body apart, and uvicorn checks every header of ours with two patterns: a fifth of the cost of
an accepted message. The gateway's answers are bytes already, so the server offers an ASGI extension for them
(`penguinmails.raw` in ``scope["extensions"]``); without it, in tests and under other servers, plain ASGI does the same.
"""

from __future__ import annotations

from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from penguinmails_api.responses import RAW

_EXTENSIONS: dict[str, dict[str, Any]] = {RAW: {}}


class RawCycle(RequestResponseCycle):
    """Also takes ``{"type": "penguinmails.raw", "status": …, "headers": …, "body": …}``."""

    async def send(self, message: Any) -> None:
        if message["type"] != RAW or self.scope["method"] == "HEAD":
            await super().send(message)
            return
        if self.flow.write_paused and not self.disconnected:
            await self.flow.drain()
        if self.disconnected:
            return
        if self.response_started:
            raise RuntimeError("the response has started already")
        parts = [STATUS_LINE[message["status"]]]
        headers = [*self.default_headers, *message["headers"]]
        says_close = False
        for name, value in headers:
            parts += (name, b": ", value, b"\r\n")
            if name == b"connection" and value.lower() == b"close":
                self.keep_alive, says_close = False, True
        adds_close = not self.keep_alive and not says_close
        parts.append(b"connection: close\r\n\r\n" if adds_close else b"\r\n")
        head = b"".join(parts)
        # One line a header and no more, whatever is in them.
        if head.count(b"\n") != len(headers) + 2 + adds_close:
            raise RuntimeError("a header of the response holds a line break")
        self.response_started = self.response_complete = True
        self.waiting_for_100_continue = False
        self.transport.write(head + message["body"])
        self.message_event.set()
        if not self.keep_alive:
            self.transport.close()
        self.on_response()


class RawProtocol(HttpToolsProtocol):
    def on_headers_complete(self) -> None:
        self.scope["extensions"] = _EXTENSIONS  # type: ignore[typeddict-item]
        before = self.cycle
        super().on_headers_complete()
        # The request's task has been made and has not begun: the next turn of the loop starts it.
        if self.cycle is not None and self.cycle is not before:
            self.cycle.__class__ = RawCycle
