"""Examples of requests and answers, put together from the examples of their fields.

So an example cannot drift from its schema: a field that is added shows up, one that is removed is gone. An operation
that wants to tell a story of its own sets `examples` on its model, which goes first.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

TYPE_ID = re.compile(r"^\^([a-z]+)_\[0-7\]")
_EXAMPLE_ID = re.compile("[a-z]+_[0-7][0-9a-hjkmnp-tv-z]{25}")
_BY_FORMAT = {
    "date-time": "2026-11-24T12:00:00.000Z",
    "date": "2026-11-24",
    "email": "ada@example.com",
    "idn-email": "ada@example.com",
    "uri": "https://example.com/",
    "uri-reference": "/",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "uuid": "0199e5f1-7c11-7a31-9d4b-3c8a2f6b1e44",
    "binary": "",
}
_BY_NAME = {
    "name": "Order service",
    "description": "Sends what the shop has to say",
    "email": "ada@example.com",
    "address": "ada@example.com",
    "from": "Penguin <hello@acme.test>",
    "subject": "Welcome aboard",
    "text": "Hello Ada!",
    "html": "<p>Hello Ada!</p>",
    "url": "https://hooks.example.com/penguinmails",
    "ip": "192.0.2.1",
    "domain": "acme.test",
    "timezone": "Europe/Vienna",
    "token": "kq3v9m2c7x",
}
_IN_THE_FUTURE = ("expires_at", "ends_at", "until")
_LATER = "2030-01-31T12:00:00.000Z"
_DEEP = 20


class NoExample(ValueError):
    """A schema that nothing can be made of; the message names the place."""


def complete(schema: Mapping[str, Any], schemas: Mapping[str, Any], *, request: bool = False) -> Any:
    """One value for `schema`. `schemas` are the document's, for references. Raises `NoExample`.

    Of a `request`, optional ids are left out: those of an example are nobody's, and the sample would be refused.
    """
    value = _value(schema, schemas, "", 0)
    if request and isinstance(value, dict) and not _told(schema, schemas):
        required = _resolved(schema, schemas).get("required", [])
        return {name: each for name, each in value.items() if name in required or not _is_id(each)}
    return value


def _resolved(schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> Mapping[str, Any]:
    while "$ref" in schema:
        schema = schemas[schema["$ref"].rpartition("/")[2]]
    return schema


def _told(schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> bool:
    """Whether the example is the model's own."""
    return bool(_resolved(schema, schemas).get("examples"))


def _is_id(value: Any) -> bool:
    return isinstance(value, str) and bool(_EXAMPLE_ID.fullmatch(value))


def _value(schema: Mapping[str, Any], schemas: Mapping[str, Any], name: str, depth: int) -> Any:
    if depth > _DEEP:
        raise NoExample(f"{name}: refers to itself without end")
    if name in _IN_THE_FUTURE and schema.get("format") == "date-time":
        return _LATER  # whatever the type's own example says: one that is over would be refused
    if "example" in schema:
        return schema["example"]
    if schema.get("examples"):
        return schema["examples"][0]
    if "const" in schema:
        return schema["const"]
    if schema.get("enum"):
        return schema["enum"][0]
    if schema.get("default") is not None:
        return schema["default"]
    if "$ref" in schema:
        return _value(schemas[schema["$ref"].rpartition("/")[2]], schemas, name, depth + 1)
    if "allOf" in schema:
        return _merged(schema["allOf"], schemas, name, depth)
    for key in ("anyOf", "oneOf"):
        if key in schema:
            choices = [choice for choice in schema[key] if choice.get("type") != "null"]
            return _value(choices[0], schemas, name, depth + 1) if choices else None
    return _typed(schema, schemas, name, depth)


def _merged(parts: list[Mapping[str, Any]], schemas: Mapping[str, Any], name: str, depth: int) -> Any:
    values = [_value(part, schemas, name, depth + 1) for part in parts]
    if all(isinstance(value, dict) for value in values):
        return {key: item for value in values for key, item in value.items()}
    return values[0]


def _typed(schema: Mapping[str, Any], schemas: Mapping[str, Any], name: str, depth: int) -> Any:
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = next((each for each in kind if each != "null"), "null")
    match kind:
        case "object":
            return {key: _value(entry, schemas, key, depth + 1) for key, entry in schema.get("properties", {}).items()}
        case "array":
            items = schema.get("items")
            return [_value(items, schemas, name, depth + 1)] * max(1, schema.get("minItems", 1)) if items else []
        case "string":
            return _text(schema, name)
        case "integer":
            return max(1, schema.get("minimum", 1), schema.get("exclusiveMinimum", 0) + 1)
        case "number":
            return float(max(0, schema.get("minimum", 0)))
        case "boolean":
            return False
        case "null":
            return None
    return {}  # anything goes


def _text(schema: Mapping[str, Any], name: str) -> str:
    pattern = schema.get("pattern")
    if pattern is not None:
        if found := TYPE_ID.match(pattern):
            return f"{found[1]}_01kaz6yzwhe1xrqm3c8s4q3m8r"
        if schema.get("format") not in _BY_FORMAT:
            raise NoExample(f"{name}: a pattern needs an example")
    if schema.get("format") in _BY_FORMAT:
        return _BY_FORMAT[schema["format"]]
    known = _BY_NAME.get(name, name.replace("_", " ") or "text")
    return known[: schema.get("maxLength", len(known))].ljust(schema.get("minLength", 0), "-")
