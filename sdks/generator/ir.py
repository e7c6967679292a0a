"""The intermediate representation: an OpenAPI 3.1 document as the SDKs of every language see it. See `loader.load`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any


class SpecError(Exception):
    """A part of the document that our SDKs cannot represent. `place` names it by its keys."""

    def __init__(self, place: str, message: str) -> None:
        super().__init__(f"{place}: {message}")
        self.place = place


@dataclass(frozen=True)
class Type:
    """A type of a value.

    `kind`: string, integer, number, boolean, datetime, date, bytes (base64 text), any, ref (`name`), list (`items`),
    map (`items`), const (`value`) or union (`variants`). `nullable` types also hold null.
    """

    kind: str
    nullable: bool = False
    name: str = ""
    items: Type | None = None
    variants: tuple[Type, ...] = ()
    value: str | int | bool | None = None

    def walk(self) -> Iterator[Type]:
        yield self
        for inner in (*self.variants, *([self.items] if self.items else [])):
            yield from inner.walk()


@dataclass(frozen=True)
class Field:
    """A property of an object, or a parameter (`where`: path, query, body). `name` is the name on the wire."""

    name: str
    type: Type
    required: bool
    doc: str = ""
    where: str = "body"


@dataclass(frozen=True)
class Schema:
    """A named schema: an object with `fields`, an enumeration of strings with `values`, or a `union` of objects.

    The last variant of a union is made by us: `Unknown<Name>` has the fields that all the others share, so that what a
    newer server sends can still be read.
    """

    name: str
    doc: str
    fields: tuple[Field, ...] = ()
    values: tuple[str, ...] = ()
    union: Type | None = None

    @property
    def is_enum(self) -> bool:
        return bool(self.values)


@dataclass(frozen=True)
class Reply:
    """A successful answer: `kind` json (of schema `name`), text, bytes or none."""

    status: int
    kind: str
    name: str = ""


@dataclass(frozen=True)
class Operation:
    resource: str
    verb: str
    method: str
    path: str
    summary: str
    doc: str
    parameters: tuple[Field, ...]
    body: str | None
    replies: tuple[Reply, ...]
    item: Type | None  # of a cursor list: the type of its elements
    idempotent: bool
    deprecated: bool
    scopes: tuple[str, ...]

    @property
    def id(self) -> str:
        return f"{self.resource}_{self.verb}"


@dataclass(frozen=True)
class Spec:
    version: str
    schemas: Mapping[str, Schema]
    resources: Mapping[str, tuple[Operation, ...]]
    raw: Mapping[str, Any] = field(repr=False, compare=False, default_factory=dict)

    @property
    def operations(self) -> list[Operation]:
        return [operation for resource in self.resources.values() for operation in resource]

    def reachable(self, names: Iterator[str] | list[str]) -> set[str]:
        """The schemas that the given ones are made of, themselves included."""
        found: set[str] = set()
        queue = list(names)
        while queue:
            name = queue.pop()
            if name in found:
                continue
            found.add(name)
            schema = self.schemas[name]
            types = [item.type for item in schema.fields] + ([schema.union] if schema.union else [])
            queue.extend(part.name for kind in types for part in kind.walk() if part.kind == "ref")
        return found

    def answers(self) -> set[str]:
        """Schemas that servers send: those of successful answers and of webhooks."""
        roots = [reply.name for operation in self.operations for reply in operation.replies if reply.kind == "json"]
        return self.reachable(roots + _webhook_roots(self.raw))

    def bodies(self) -> set[str]:
        """Schemas that clients send."""
        inputs = [operation.body for operation in self.operations if operation.body]
        for operation in self.operations:
            for parameter in operation.parameters:
                inputs.extend(part.name for part in parameter.type.walk() if part.kind == "ref")
        return self.reachable(inputs)


def _webhook_roots(document: Mapping[str, Any]) -> list[str]:
    """The bodies of the document's `webhooks` section."""
    prefix = "#/components/schemas/"
    names = []
    for item in document.get("webhooks", {}).values():
        for operation in item.values():
            body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
            if body.get("$ref", "").startswith(prefix):
                names.append(body["$ref"].removeprefix(prefix))
    return names
