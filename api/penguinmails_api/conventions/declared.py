"""What a route says of itself to the conventions, and what follows from its method, path and answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import model_json_schema

KEY = "x-conventions"  # in a route's `openapi_extra`; taken out of the document
READ, WRITE = frozenset(("GET", "HEAD")), frozenset(("POST", "PUT", "PATCH", "DELETE"))


@dataclass(frozen=True, slots=True)
class Declared:
    """`etag` None: as the path says. `sunset` is when a deprecated operation may stop to answer; `successor` is the
    path of what to use instead."""

    expand: tuple[str, ...] = ()
    dry_run: bool = True
    if_match: bool = False
    etag: bool | None = None
    deprecated: datetime | None = None
    sunset: datetime | None = None
    successor: str | None = None


PLAIN = Declared()


def declared_by(extra: Mapping[str, Any] | None) -> Declared:
    found: Declared = (extra or {}).get(KEY, PLAIN)
    return found


def reads_one(declared: Declared, path: str, model: Any) -> bool:
    """Whether GET (or PATCH) at this path answers one thing that has an ETag: its path ends in an id, or the route says
    so."""
    if not fields_of(model):
        return False
    return declared.etag if declared.etag is not None else path.endswith("}")


@cache
def fields_of(model: Any) -> tuple[str, ...]:
    """The members that may be chosen from an answer: of a page those of its items. Empty for what is no object."""
    if not (isinstance(model, type) and issubclass(model, BaseModel)):
        return ()
    schema = model_json_schema(model, by_alias=True, mode="serialization")
    return choices(schema, schema.get("$defs", {}))


def choices(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> tuple[str, ...]:
    """As `fields_of`, for a JSON Schema."""
    members = _members(schema, definitions)
    if {"data", "has_more", "next_cursor"} <= members.keys():
        members = _members(members["data"].get("items", {}), definitions)
    return tuple(members)


def is_page(document: Any) -> bool:
    return isinstance(document, dict) and {"data", "has_more", "next_cursor"} <= document.keys()


def _members(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> dict[str, Any]:
    """Properties of an object; of a union those of all its variants."""
    if "$ref" in schema:
        return _members(definitions[schema["$ref"].rpartition("/")[2]], definitions)
    found: dict[str, Any] = dict(schema.get("properties", {}))
    for variant in (*schema.get("oneOf", ()), *schema.get("anyOf", ()), *schema.get("allOf", ())):
        for name, member in _members(variant, definitions).items():
            found.setdefault(name, member)
    return found
