"""The intermediate representation as Python: names, type hints, docstrings, and the document of the models."""

from __future__ import annotations

import json
import keyword
import re
import textwrap
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from ir import Field, Operation, Schema, Spec, SpecError, Type

SCALARS = {
    "string": "str",
    "integer": "int",
    "number": "float",
    "boolean": "bool",
    "datetime": "datetime.datetime",
    "date": "datetime.date",
    "bytes": "str",
    "any": "Any",
}
# What a caller may give instead of the exact type.
INPUTS = {**SCALARS, "datetime": "datetime.datetime | str", "date": "datetime.date | str", "bytes": "bytes | str"}
DECODERS = {"none": "nothing", "text": "text", "bytes": "content"}


def name(wire: str) -> str:
    """`class` -> `class_`: the name of a field or parameter in Python."""
    return f"{wire}_" if keyword.iskeyword(wire) or wire == "self" else wire


def class_name(resource: str) -> str:
    """`webhook_endpoints` -> `WebhookEndpoints`."""
    return "".join(part.capitalize() for part in resource.split("_"))


def input_type(spec: Spec, kind: Type, module: str = "inputs.") -> str:
    """The hint of a parameter: lists may be any sequence, enumerations may be written as text, objects as dicts."""
    hint = _input_type(spec, kind, module)
    return f"{hint} | None" if kind.nullable and "None" not in hint.split(" | ") else hint


def _input_type(spec: Spec, kind: Type, module: str) -> str:
    if kind.kind == "ref":
        return f"{module}{kind.name}Input"
    if kind.kind == "list":
        assert kind.items
        return f"Sequence[{input_type(spec, kind.items, module)}]"
    if kind.kind == "map":
        assert kind.items
        return f"Mapping[str, {input_type(spec, kind.items, module)}]"
    if kind.kind == "const":
        return f"Literal[{kind.value!r}]"
    if kind.kind == "union":
        return " | ".join(dict.fromkeys(input_type(spec, part, module) for part in kind.variants))
    return INPUTS[kind.kind]


def answer_type(kind: Type) -> str:
    """The hint of an item of a list."""
    if kind.kind == "ref":
        return kind.name
    if kind.kind in ("map", "list", "union", "const"):
        raise SpecError("x-sdk-paginate", "the items of a list are named objects")
    return SCALARS[kind.kind]


def result_type(operation: Operation) -> str:
    names = {"none": "None", "text": "str", "bytes": "bytes"}
    return " | ".join(dict.fromkeys(reply.name or names[reply.kind] for reply in operation.replies))


@dataclass(frozen=True)
class Overload:
    """What an operation gives when a parameter has a certain value."""

    parameter: str
    hint: str
    result: str


def overloads(operation: Operation) -> list[Overload]:
    """`partial=True` asks for 207 (each item's own result) instead of the usual answer: two types, known before."""
    by_status = {reply.status: reply.name for reply in operation.replies}
    flags = [item for item in operation.parameters if item.name == "partial" and item.type.kind == "boolean"]
    if len(by_status) != 2 or 207 not in by_status or not flags:
        return []
    partial = by_status.pop(207)
    (usual,) = by_status.values()
    return [
        Overload("partial", "Literal[False] | None = None", usual),
        Overload("partial", "Literal[True]", partial),
        Overload("partial", "bool | None", f"{usual} | {partial}"),
    ]


def decoder(spec: Spec, reply: Any) -> str:
    if reply.kind != "json":
        return DECODERS[reply.kind]
    return f"variant_of({reply.name})" if spec.schemas[reply.name].union else f"json_of({reply.name})"


def body_fields(spec: Spec, operation: Operation) -> tuple[Field, ...]:
    return spec.schemas[operation.body].fields if operation.body else ()


def answers(spec: Spec, operations: Iterable[Operation], union: bool) -> list[str]:
    """The models (or the unions) that a resource module needs."""
    names = {reply.name for operation in operations for reply in operation.replies if reply.name}
    names |= {operation.item.name for operation in operations if operation.item}
    return sorted(key for key in names if key and bool(spec.schemas[key].union) == union)


def required_first(fields: Iterable[Field]) -> list[Field]:
    return sorted(fields, key=lambda field: not field.required)


def input_objects(spec: Spec) -> list[Schema]:
    """Schemas that callers write as dictionaries, those that others need first. Whole bodies are keywords instead."""
    ordered: list[str] = []

    def visit(wanted: str) -> None:
        schema = spec.schemas[wanted]
        if wanted in ordered or schema.is_enum:
            return
        if schema.union:
            raise SpecError(f"components.schemas.{wanted}", "a named union in a request is not supported")
        for field in schema.fields:
            for part in field.type.walk():
                if part.kind == "ref":
                    visit(part.name)
        ordered.append(wanted)

    roots = {operation.body for operation in spec.operations if operation.body}
    for body in sorted(roots):
        for part in (part for field in spec.schemas[body].fields for part in field.type.walk()):
            if part.kind == "ref":
                visit(part.name)
    return [spec.schemas[wanted] for wanted in ordered]


def input_enums(spec: Spec) -> list[Schema]:
    return [spec.schemas[wanted] for wanted in sorted(spec.bodies()) if spec.schemas[wanted].is_enum]


def unions(spec: Spec) -> list[Schema]:
    return [schema for key, schema in spec.schemas.items() if schema.union and key in spec.answers()]


def doc(text: str, indent: int = 0, first: int = 0) -> str:
    """Text for a docstring, wrapped at 120 columns, safe between triple quotes."""
    # An unbalanced quote at the end would join the closing ones.
    safe = text.replace("\\", "\\\\").replace('"""', "'''").strip()
    safe = f"{safe} " if safe.endswith('"') else safe
    wrapped = []
    for number, paragraph in enumerate(re.split(r"\n\s*\n", safe)):
        lines = textwrap.wrap(
            " ".join(paragraph.split()),
            120 - indent,
            initial_indent=" " * first if number == 0 else "",
            break_long_words=False,
            break_on_hyphens=False,
        )
        wrapped.append("\n".join(lines)[first if number == 0 else 0 :])
    return textwrap.indent("\n\n".join(wrapped), " " * indent).lstrip()


def arguments_doc(spec: Spec, operation: Operation) -> str:
    """The `Args:` part of a method's docstring; empty when nothing is described."""
    lines = []
    path = [field for field in operation.parameters if field.where == "path"]
    query = [field for field in operation.parameters if field.where == "query"]
    for field in [*path, *required_first([*query, *body_fields(spec, operation)])]:
        if field.doc:
            text = f"{name(field.name)}: {' '.join(field.doc.split())}"
            lines += textwrap.wrap(
                doc(text).replace("\n", " "),
                108,
                subsequent_indent="    ",
                break_long_words=False,
                break_on_hyphens=False,
            )
    return "\n".join(["        Args:", *(f"            {line}" for line in lines)]) if lines else ""


def models_document(spec: Spec) -> dict[str, Any]:
    """A document with only what openapi-python-client writes: the objects that come back, and every enumeration."""
    wanted = spec.answers() | {key for key in spec.bodies() if spec.schemas[key].is_enum}
    schemas = {}
    for key in sorted(wanted):
        schema = spec.schemas[key]
        if schema.is_enum:
            schemas[key] = {"type": "string", "enum": list(schema.values), "description": schema.doc}
        elif not schema.union:
            schemas[key] = _object_document(spec, schema)
    info = {"title": "models", "version": spec.version or "0"}
    return {"openapi": "3.1.0", "info": info, "paths": {}, "components": {"schemas": schemas}}


def _object_document(spec: Spec, schema: Schema) -> dict[str, Any]:
    return {
        "type": "object",
        "description": schema.doc,
        "properties": {field.name: _document(spec, field.type, field.doc) for field in schema.fields},
        "required": [field.name for field in schema.fields if field.required],
    }


def _document(spec: Spec, kind: Type, text: str = "") -> dict[str, Any]:
    found = _bare_document(spec, kind)
    if kind.nullable and found:
        variants = found.get("anyOf", [found])
        found = {"anyOf": [*variants, {"type": "null"}]}
    return {**found, "description": text} if text and "$ref" not in found else found


def _bare_document(spec: Spec, kind: Type) -> dict[str, Any]:
    if kind.kind == "ref":
        union = spec.schemas[kind.name].union
        return _bare_document(spec, union) if union else {"$ref": f"#/components/schemas/{kind.name}"}
    if kind.kind == "list":
        assert kind.items
        return {"type": "array", "items": _document(spec, kind.items)}
    if kind.kind == "map":
        assert kind.items
        return {"type": "object", "additionalProperties": _document(spec, kind.items)}
    if kind.kind == "const":
        return {"const": kind.value}
    if kind.kind == "union":
        return {"anyOf": [_document(spec, part) for part in kind.variants]}
    formats = {"datetime": "date-time", "date": "date"}
    if kind.kind in formats:
        return {"type": "string", "format": formats[kind.kind]}
    return {"any": {}, "bytes": {"type": "string"}}.get(kind.kind, {"type": kind.kind})


def quoted(text: str) -> str:
    """Text as a Python literal in double quotes."""
    return json.dumps(text, ensure_ascii=False)


FILTERS = {
    "quoted": quoted,
    "name": name,
    "class_name": class_name,
    "answer_type": answer_type,
    "result_type": result_type,
    "required_first": required_first,
    "doc": doc,
}
TESTS = {"is_keyword": keyword.iskeyword}
GLOBALS = {
    "overloads": overloads,
    "answers": answers,
    "input_type": input_type,
    "decoder": decoder,
    "body_fields": body_fields,
    "input_objects": input_objects,
    "input_enums": input_enums,
    "unions": unions,
    "arguments_doc": arguments_doc,
}
