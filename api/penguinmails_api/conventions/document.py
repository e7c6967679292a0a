"""The conventions in the OpenAPI document: parameters, headers and statuses of each operation that has them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastapi.routing import APIRoute
from starlette.routing import BaseRoute

from penguinmails_api.conventions.declared import KEY, Declared, choices, declared_by
from penguinmails_api.conventions.options import DRY_RUN, EXPAND, FIELDS, MAX_TAGS_CHARACTERS

Document = dict[str, Any]

_MUTATING = ("post", "put", "patch", "delete")
_TAG = '^(\\*|(W/)?"[^"]*"( *, *(W/)?"[^"]*")*)$'

HEADERS: Document = {
    "ETag": {
        "description": "Names this state of the resource: for If-None-Match, and for If-Match on a change.",
        "schema": {"type": "string", "pattern": '^"[A-Za-z0-9_-]{24}"$', "examples": ['"Zx0v1bU9pXkq3uQ0o4m2Y7aS"']},
    },
    "Dry-Run": {
        "description": "`true` when this is what would have happened: nothing was kept.",
        "schema": {"type": "string", "enum": ["true"]},
    },
    "Deprecation": {
        "description": "Since when the operation is deprecated (RFC 9745).",
        "schema": {"type": "string", "pattern": "^@[0-9]{1,12}$", "examples": ["@1795510800"]},
    },
    "Sunset": {
        "description": "When it may stop to answer (RFC 8594).",
        "schema": {"type": "string", "examples": ["Wed, 24 Nov 2027 12:00:00 GMT"]},
    },
}
PARAMETERS: Document = {
    "DryRun": {
        "name": DRY_RUN,
        "in": "query",
        "required": False,
        "description": "Check everything and answer what would happen, and keep nothing: no change, no event, no "
        "Idempotency-Key. The answer has `Dry-Run: true`.",
        "schema": {"type": "boolean", "default": False},
    },
    "IfMatch": {
        "name": "If-Match",
        "in": "header",
        "required": False,
        "x-sdk-internal": True,
        "description": "Do it only when the resource still has this ETag; else 412.",
        "schema": {"type": "string", "maxLength": MAX_TAGS_CHARACTERS, "pattern": _TAG},
    },
    "IfNoneMatch": {
        "name": "If-None-Match",
        "in": "header",
        "required": False,
        "x-sdk-internal": True,
        "description": "Answer 304 without a body when the resource still has this ETag.",
        "schema": {"type": "string", "maxLength": MAX_TAGS_CHARACTERS},
    },
}


def declarations(routes: Sequence[BaseRoute]) -> dict[str, Declared]:
    """By operationId, what `routing.operation` was told."""
    return {
        route.operation_id: declared_by(route.openapi_extra)
        for route in routes
        if isinstance(route, APIRoute) and route.operation_id
    }


def describe(method: str, path: str, operation: Document, declared: Declared, schemas: Document) -> None:
    """Complete one operation."""
    operation.pop(KEY, None)
    if declared.deprecated is not None:
        operation["deprecated"] = True
        names = ["Deprecation", *(["Sunset"] if declared.sunset else [])]
        _add_headers(operation, names, ("2", "3", "4", "5"))
    if not operation["security"]:
        return
    parameters = operation.setdefault("parameters", [])
    if method in _MUTATING and declared.dry_run:
        parameters.append(_parameter("DryRun"))
        _add_headers(operation, ["Dry-Run"], ("2",))
    if declared.if_match:
        parameters.append(_parameter("IfMatch"))
        operation["x-errors"] = [*operation["x-errors"], 412]
    if method == "patch" and _has_etag(path, declared):
        _add_headers(operation, ["ETag"], ("2",))
    if method == "get":
        _describe_read(path, operation, declared, schemas)


def _describe_read(path: str, operation: Document, declared: Declared, schemas: Document) -> None:
    answer = operation["responses"].get("200", {}).get("content", {}).get("application/json")
    names = list(choices(answer["schema"], schemas)) if answer else []
    if not names:
        return
    text = "Only these members and `id`; the others are absent then, though the schema requires them."
    fields = _list(FIELDS, text, {"type": "string", "enum": names}, len(names))
    # A typed SDK promises every member, so it cannot offer to leave some out.
    operation["parameters"].append(fields | {"x-sdk-internal": True})
    if declared.expand:
        text = "Put these in place, which are null otherwise."
        name = "".join(word.capitalize() for word in operation["operationId"].split("_")) + "Expand"
        schemas[name] = {
            "type": "string",
            "enum": list(declared.expand),
            "title": name,
            "description": "What to expand.",
        }
        items = {"$ref": f"#/components/schemas/{name}"}
        operation["parameters"].append(_list(EXPAND, text, items, len(declared.expand)))
    if _has_etag(path, declared):
        operation["parameters"].append(_parameter("IfNoneMatch"))
        _add_headers(operation, ["ETag"], ("2",))
        operation["responses"]["304"] = {"description": "It is as you know it.", "headers": _references(["ETag"])}


def _has_etag(path: str, declared: Declared) -> bool:
    return declared.etag if declared.etag is not None else path.endswith("}")


def _list(name: str, description: str, items: Document, most: int) -> Document:
    """Separated by commas."""
    return {
        "name": name,
        "in": "query",
        "required": False,
        "description": description,
        "style": "form",
        "explode": False,
        "schema": {"type": "array", "items": items, "minItems": 1, "maxItems": most, "uniqueItems": True},
    }


def _parameter(name: str) -> Document:
    return {"$ref": f"#/components/parameters/{name}"}


def _references(names: list[str]) -> Document:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def _add_headers(operation: Document, names: list[str], statuses: tuple[str, ...]) -> None:
    for status, response in operation["responses"].items():
        if status.startswith(statuses):
            response.setdefault("headers", {}).update(_references(names))
