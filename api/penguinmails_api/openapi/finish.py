"""What is the same for every operation, so that no route has to think of it: examples, cost, formats of numbers."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from penguinmails_api.openapi.examples import TYPE_ID, NoExample, complete
from penguinmails_webhooks.events import CATALOGUE, example_event

Document = dict[str, Any]

GUARDED = ("/v1/", "/v2/")
_INT32 = 2**31 - 1


def finish(document: Document) -> None:
    """Changes the document in place. What nothing can be made of stays away; tests/contract names it."""
    schemas = document["components"]["schemas"]
    for event, data in CATALOGUE.items():
        if (schema := schemas.get(f"{data.__name__}Event")) is not None:
            schema["examples"] = [example_event(event)]
    for path, operation in operations(document):
        if path.startswith(GUARDED):
            operation.setdefault("x-cost", 1)
            operation.setdefault("x-idempotent", False)
        _describe_parameters(operation)
        _add_examples(operation, schemas)
    _say_sizes(document)


def operations(document: Document) -> Iterator[tuple[str, Document]]:
    for path, entry in document["paths"].items():
        for operation in entry.values():
            yield path, operation


def _describe_parameters(operation: Document) -> None:
    """``email_id`` in a path needs no words of its own."""
    for parameter in operation.get("parameters", []):
        name = parameter.get("name", "")
        if parameter.get("in") == "path" and name.endswith("_id"):
            parameter.setdefault("description", f"Id of the {name.removesuffix('_id').replace('_', ' ')}.")


def _add_examples(operation: Document, schemas: Document) -> None:
    body = operation.get("requestBody", {})
    for place in (body, *operation["responses"].values()):
        for media_type, entry in place.get("content", {}).items():
            if media_type.endswith("json") and "example" not in entry and "examples" not in entry:
                with contextlib.suppress(NoExample):
                    entry["example"] = complete(entry.get("schema", {}), schemas, request=place is body)


def _say_sizes(node: Any) -> None:
    """Integers are 32 bits wide when their limits say so, else 64; ids have the length that their pattern says.
    Examples are left alone."""
    if isinstance(node, list):
        for item in node:
            _say_sizes(item)
    elif isinstance(node, dict):
        if node.get("type") == "integer":
            small = isinstance(node.get("maximum"), int) and node["maximum"] <= _INT32 and "minimum" in node
            node.setdefault("format", "int32" if small else "int64")
        if node.get("type") == "string" and (found := TYPE_ID.match(str(node.get("pattern", "")))):
            node["minLength"] = node["maxLength"] = len(found[1]) + 27
        for key, value in node.items():
            if key not in ("example", "examples", "default", "enum", "const"):
                _say_sizes(value)
