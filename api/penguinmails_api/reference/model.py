"""The specification as the reference shows it: one object per operation, with schemas flattened into rows."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from penguinmails_api.reference.samples import curl, python

Document = dict[str, Any]
_DEEPEST = 4


@dataclass(frozen=True, slots=True)
class Row:
    """One parameter or field. `name` is dotted when it is inside another; `limits` in words."""

    name: str
    kind: str
    required: bool
    text: str
    limits: str = ""
    place: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    status: str
    text: str
    code: str | None  # of the problem, when it is one
    rows: list[Row]
    example: str


@dataclass(frozen=True, slots=True)
class Operation:
    id: str
    tag: str
    method: str
    path: str
    summary: str
    text: str
    scopes: list[str]
    public: bool
    cost: int | None
    notes: list[str]
    parameters: list[Row]
    body: list[Row]
    example: str
    answers: list[Answer]
    errors: list[Answer]
    curl: str
    python: str


@dataclass(frozen=True, slots=True)
class Tag:
    name: str
    text: str
    operations: list[Operation]

    @property
    def title(self) -> str:
        return self.name.replace("_", " ").capitalize()


@dataclass(frozen=True, slots=True)
class Event:
    name: str
    text: str
    rows: list[Row]
    example: str


def tags(document: Document, *, sdk: bool = True) -> list[Tag]:
    """In the order of the document; tags without operations are left out. `sdk`: do the SDKs speak this version?"""
    found: dict[str, list[Operation]] = {}
    for path, entry in document["paths"].items():
        for method, operation in entry.items():
            one = _operation(document, method, path, operation, sdk)
            found.setdefault(one.tag, []).append(one)
    told = {tag["name"]: tag.get("description", "") for tag in document.get("tags", [])}
    order = [*told, *(name for name in found if name not in told)]
    return [Tag(name, told.get(name, ""), found[name]) for name in order if name in found]


def events(document: Document) -> list[Event]:
    found = []
    for name, entry in document["webhooks"].items():
        content = entry["post"]["requestBody"]["content"]["application/json"]
        data = resolve(document, content["schema"])["properties"]["data"]
        rows = list(_rows(document, data, "data.", 1))
        found.append(Event(name, entry["post"]["description"], rows, pretty(content["example"])))
    return found


def _operation(document: Document, method: str, path: str, operation: Document, sdk: bool) -> Operation:
    parameters = [resolve(document, entry) for entry in operation.get("parameters", [])]
    content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
    example = content.get("example")
    answers = [_answer(document, status, entry) for status, entry in operation["responses"].items()]
    name = operation["operationId"]
    tag = operation["tags"][0]
    return Operation(
        id=name,
        tag=tag,
        method=method.upper(),
        path=path,
        summary=operation["summary"],
        text=operation["description"],
        scopes=operation.get("x-required-scopes", []),
        public=not operation.get("security"),
        cost=operation.get("x-cost"),
        notes=_notes(operation),
        parameters=[_parameter(document, entry) for entry in parameters],
        body=list(_rows(document, content["schema"], "", 0)) if content else [],
        example=pretty(example) if content else "",
        answers=[answer for answer in answers if answer.status < "4"],
        errors=[answer for answer in answers if answer.status >= "4"],
        curl=curl(method, path, parameters, example if content else None, public=not operation.get("security")),
        python=python(tag, name, path, operation, example if content else None) if sdk else "",
    )


def _notes(operation: Document) -> list[str]:
    notes = []
    if operation.get("x-idempotent"):
        notes.append("Takes an `Idempotency-Key`: the same key with the same request is done once.")
    if operation.get("x-sdk-paginate"):
        notes.append("A list: `next_cursor` of one page is `after` of the next.")
    if operation.get("x-sudo"):
        notes.append("People in a browser are asked to sign in afresh first; keys and tokens are not.")
    if operation.get("deprecated"):
        notes.append("Deprecated: there is a better way, and this one will go.")
    return notes


def _answer(document: Document, status: str, entry: Document) -> Answer:
    response = resolve(document, entry)
    problem = response.get("content", {}).get("application/problem+json")
    content = problem or response.get("content", {}).get("application/json", {})
    example = content.get("example")
    return Answer(
        status=status,
        text=response.get("description", ""),
        code=example.get("code") if problem and isinstance(example, dict) else None,
        rows=[] if problem or not content else list(_rows(document, content.get("schema", {}), "", 0)),
        example=pretty(example) if example is not None else "",
    )


def _parameter(document: Document, parameter: Document) -> Row:
    schema = parameter.get("schema", {})
    return Row(
        name=parameter["name"],
        kind=kind(document, schema),
        required=parameter.get("required", False),
        text=parameter.get("description", ""),
        limits=limits(document, schema),
        place=parameter["in"],
    )


def _rows(document: Document, schema: Document, prefix: str, depth: int) -> Iterator[Row]:
    schema = _inner(document, schema)
    if schema.get("type") == "array":
        schema, prefix = _inner(document, schema.get("items", {})), prefix + "[]." if depth == 0 else prefix
    for name, field in schema.get("properties", {}).items():
        resolved = _inner(document, field)
        text = field.get("description") or resolved.get("description", "")
        required = name in schema.get("required", [])
        yield Row(prefix + name, kind(document, field), required, text, limits(document, field))
        if depth < _DEEPEST:
            inner = _inner(document, resolved.get("items", {})) if resolved.get("type") == "array" else resolved
            if inner.get("properties"):
                step = "[]." if resolved.get("type") == "array" else "."
                yield from _rows(document, inner, prefix + name + step, depth + 1)


def _inner(document: Document, schema: Document) -> Document:
    """Past references and `or null`."""
    schema = resolve(document, schema)
    choices = [choice for choice in schema.get("anyOf", []) if choice.get("type") != "null"]
    return _inner(document, choices[0]) if len(choices) == 1 else schema


def kind(document: Document, schema: Document) -> str:
    """The type in words: ``string (date-time)``, ``array of Email``, ``integer or null``."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        resolved = resolve(document, schema)
        return "string" if "enum" in resolved else str(name)
    if choices := schema.get("anyOf") or schema.get("oneOf"):
        return " or ".join(dict.fromkeys(kind(document, choice) for choice in choices))
    if "const" in schema:
        return f"always {json.dumps(schema['const'])}"
    own = schema.get("type", "any")
    if own == "array":
        return f"array of {kind(document, schema.get('items', {}))}"
    if own == "object" and isinstance(schema.get("additionalProperties"), dict):
        return f"map of {kind(document, schema['additionalProperties'])}"
    return f"{own} ({schema['format']})" if schema.get("format") else str(own)


def limits(document: Document, schema: Document) -> str:
    """Enumerations, sizes and defaults in words."""
    inner = _inner(document, schema)
    items = _inner(document, inner.get("items", {})) if inner.get("type") == "array" else {}
    values = inner.get("enum") or items.get("enum")
    said = [f"one of {', '.join(f'`{value}`' for value in values)}"] if values else []
    for low, high, unit in (
        ("minLength", "maxLength", " characters"),
        ("minItems", "maxItems", " items"),
        ("minProperties", "maxProperties", " entries"),
        ("minimum", "maximum", ""),
    ):
        least, most = inner.get(low), inner.get(high)
        if "pattern" in inner and low == "minLength":
            continue
        if least is not None and most is not None:
            said.append(f"{least:g} to {most:,}{unit}")
        elif most is not None:
            said.append(f"at most {most:,}{unit}")
        elif least:
            said.append(f"at least {least:g}{unit}")
    if schema.get("default") not in (None, [], {}):
        said.append(f"default `{json.dumps(schema['default'])}`")
    return "; ".join(said)


def resolve(document: Document, schema: Document) -> Document:
    while "$ref" in schema:
        node: Any = document
        for part in schema["$ref"].removeprefix("#/").split("/"):
            node = node[part]
        schema = node
    return schema


def pretty(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)
