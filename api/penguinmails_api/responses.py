"""Answers as plain bytes, and problems (RFC 9457) rendered the same way for every route."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import orjson
from fastapi import Response

from penguinmails_api.context import Headers
from penguinmails_core.errors import Problem

JSON = b"application/json"
PROBLEM_JSON = b"application/problem+json"
# ASGI extension and message type: head and body of a complete answer in one message (`runtime/http_protocol.py`).
RAW = "penguinmails.raw"


@dataclass(slots=True)
class RawResponse:
    """An answer that is ready to send. The gateway adds the headers that every answer has, and Content-Length."""

    status: int
    body: bytes
    headers: Headers = field(default_factory=list)
    content_type: bytes = JSON


def as_response(raw: RawResponse) -> Response:
    """For routes of the framework that share their work with those that are answered without it."""
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in raw.headers}
    return Response(raw.body, raw.status, headers, raw.content_type.decode("latin-1"))


def json_response(status: int, value: Any) -> RawResponse:
    return RawResponse(status, orjson.dumps(value))


def problem_document(problem: Problem, request_id: str) -> dict[str, Any]:
    """`type` is relative (RFC 9457 §3.1.1): it leads to `/problems/{code}` of the very server that answered."""
    document: dict[str, Any] = {
        "type": "/problems/" + problem.code,
        "title": problem.title,
        "status": problem.status,
        "detail": problem.detail,
        "code": problem.code,
        "request_id": request_id,
        "errors": [{"pointer": error.pointer, "code": error.code, "detail": error.detail} for error in problem.errors],
    }
    for name, value in problem.extra.items():
        document.setdefault(name, value)
    return document


def problem_response(problem: Problem, request_id: str) -> RawResponse:
    headers = [(name.lower().encode(), value.encode("latin-1", "replace")) for name, value in problem.headers.items()]
    body = orjson.dumps(problem_document(problem, request_id), default=str)
    return RawResponse(problem.status, body, headers, PROBLEM_JSON)
