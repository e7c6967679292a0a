"""Errors as GraphQL shows them: the problem of REST in `extensions`, and nothing internal ever."""

from __future__ import annotations

import logging
from typing import Any

from graphql import GraphQLError

from penguinmails_core.errors import Internal, Problem

log = logging.getLogger(__name__)


def formatted(error: GraphQLError, request_id: str) -> dict[str, Any]:
    """One entry of `errors` (GraphQL specification, October 2021, §7.1.2)."""
    original = error.original_error
    if original is None or error.path is None:  # the request itself; resolvers have a path
        problem_extensions: dict[str, Any] = dict(error.extensions or {}) or {"code": "invalid_query", "status": 400}
        message = error.message
    else:
        problem = original if isinstance(original, Problem) else _unexpected(error, request_id)
        message = problem.detail
        problem_extensions = extensions_of(problem)
    entry: dict[str, Any] = {"message": message}
    if error.locations:
        entry["locations"] = [{"line": place.line, "column": place.column} for place in error.locations]
    if error.path is not None:
        entry["path"] = error.path
    entry["extensions"] = problem_extensions | {"request_id": request_id}
    return entry


def extensions_of(problem: Problem) -> dict[str, Any]:
    """As the members of a problem document (RFC 9457)."""
    found: dict[str, Any] = {
        "code": problem.code,
        "status": problem.status,
        "title": problem.title,
        "type": "/problems/" + problem.code,
        "errors": [{"pointer": item.pointer, "code": item.code, "detail": item.detail} for item in problem.errors],
    }
    for name, value in problem.extra.items():
        found.setdefault(name, value)
    return found


def _unexpected(error: GraphQLError, request_id: str) -> Problem:
    where = ".".join(str(part) for part in error.path or ())
    log.error("graphql %s failed (%s)", where, request_id, exc_info=error.original_error)
    return Internal("Something went wrong on our side. It is logged under this request_id.")
