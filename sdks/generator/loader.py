"""Reads an OpenAPI document into the intermediate representation, and is its linter at the same time.

Whatever our SDKs cannot represent raises `SpecError`, which names the place as a path of keys
(`paths./v1/emails.post.requestBody`) and says what to do.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ir import Field, Operation, Reply, Schema, Spec, SpecError, Type

SCHEMA_NAME = re.compile(r"[A-Z][A-Za-z0-9]*\Z")
OPERATION_ID = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)+\Z")
ENUM_VALUE = re.compile(r"[a-z][a-z0-9_.:-]*\Z")
FIELD_NAME = re.compile(r"[a-z][a-z0-9_]*\Z")
METHODS = ("get", "put", "post", "patch", "delete")
# The runtimes own these headers; methods have no parameters for them.
RUNTIME_HEADERS = {"authorization", "idempotency-key", "request-id", "penguinmails-version", "user-agent"}
# Names of per-request options in every SDK; a parameter of the API with such a name would be unreachable.
OPTION_NAMES = {"timeout", "max_retries", "extra_headers", "idempotency_key"}
UNSUPPORTED = ("allOf", "not", "patternProperties", "if", "prefixItems", "dependentSchemas", "unevaluatedProperties")


def load(document: Mapping[str, Any]) -> Spec:
    """The representation of a parsed OpenAPI document. Raises `SpecError`."""
    version = document.get("openapi", "")
    if not str(version).startswith("3.1"):
        raise SpecError("openapi", f"OpenAPI 3.1 is wanted, this is {version!r}")
    raw = document.get("components", {}).get("schemas", {})
    for name in raw:
        if not SCHEMA_NAME.match(name):
            raise SpecError(
                f"components.schemas.{name}", "a schema name is [A-Z][A-Za-z0-9]*; name the model's class so"
            )
        if name in ("HTTPValidationError", "ValidationError"):
            raise SpecError(f"components.schemas.{name}", "FastAPI's own error body; answer with Problem instead")
    schemas = {name: _schema(raw, name, f"components.schemas.{name}") for name in raw}
    for name in [name for name, schema in schemas.items() if schema.union]:
        schemas |= _with_unknown(schemas, name)
    schemas = dict(sorted(schemas.items()))
    components = document.get("components", {})
    resources: dict[str, list[Operation]] = {}
    seen: dict[str, str] = {}
    for path, item in document.get("paths", {}).items():
        for method in METHODS:
            if method not in item or item[method].get("x-sdk-internal"):
                continue
            place = f"paths.{path}.{method}"
            data = _resolved(item[method], item.get("parameters", []), components, place)
            operation = _operation(data, method, path, place, schemas, raw)
            if operation.id in seen:
                raise SpecError(place, f"the operationId {operation.id} is taken by {seen[operation.id]}")
            seen[operation.id] = place
            resources.setdefault(operation.resource, []).append(operation)
    return Spec(
        version=str(document.get("info", {}).get("version", "")),
        schemas=schemas,
        resources={name: tuple(resources[name]) for name in sorted(resources)},
        raw=document,
    )


def _schema(raw: Mapping[str, Any], name: str, place: str) -> Schema:
    data = raw[name]
    doc = data.get("description", "")
    if "enum" in data:
        values = data["enum"]
        if data.get("type") != "string" or not all(isinstance(value, str) and value for value in values):
            raise SpecError(place, "only enumerations of strings are supported")
        for value in values:
            if not ENUM_VALUE.match(value):
                raise SpecError(place, f"the value {value!r} gives no name: lower case, digits and _ . : - only")
        return Schema(name, doc, values=tuple(values))
    if "oneOf" in data:
        return Schema(name, doc, union=_named_union(raw, data, place))
    if data.get("type") != "object":
        raise SpecError(place, "a named schema is an object or an enumeration of strings; write other types inline")
    _refuse(data, place)
    required = set(data.get("required", []))
    fields = []
    for key, value in data.get("properties", {}).items():
        here = f"{place}.properties.{key}"
        if not FIELD_NAME.match(key):
            raise SpecError(here, "field names are snake_case")
        fields.append(Field(key, _type(raw, value, here), key in required, value.get("description", "")))
    if not fields:
        raise SpecError(place, "a named object without properties; write a map inline")
    missing = required - {item.name for item in fields}
    if missing:
        raise SpecError(f"{place}.required", f"{sorted(missing)} are no properties")
    return Schema(name, doc, tuple(fields))


def _named_union(raw: Mapping[str, Any], data: Mapping[str, Any], place: str) -> Type:
    if not data.get("discriminator", {}).get("propertyName"):
        raise SpecError(place, "a union of objects needs a discriminator")
    union = _type(raw, {"oneOf": data["oneOf"]}, place)
    if union.kind != "union" or union.nullable or any(part.kind != "ref" for part in union.variants):
        raise SpecError(place, "a named union is made of at least two named objects")
    key = data["discriminator"]["propertyName"]
    for part in union.variants:
        found = raw[part.name].get("properties", {}).get(key, {})
        if "const" not in found or key not in raw[part.name].get("required", []):
            raise SpecError(
                f"components.schemas.{part.name}.properties.{key}", "a discriminator is a required constant"
            )
    return union


def _with_unknown(schemas: Mapping[str, Schema], name: str) -> dict[str, Schema]:
    """The union with one more variant, which holds what all variants share."""
    schema = schemas[name]
    assert schema.union
    variants = [{item.name: item for item in schemas[part.name].fields} for part in schema.union.variants]
    shared = []
    for key, item in variants[0].items():
        same = [fields[key] for fields in variants if key in fields]
        if len(same) == len(variants):
            types = {_loose(other.type) for other in same}
            kind = types.pop() if len(types) == 1 else Type("any")
            shared.append(Field(key, kind, all(other.required for other in same), item.doc))
    unknown = Schema(f"Unknown{name}", f"One of a kind that this version does not know; see {name}.", tuple(shared))
    union = Type("union", variants=(*schema.union.variants, Type("ref", name=unknown.name)))
    return {name: Schema(name, schema.doc, union=union), unknown.name: unknown}


def _loose(kind: Type) -> Type:
    if kind.kind != "const":
        return kind
    return Type({str: "string", int: "integer", bool: "boolean"}[type(kind.value)])


def _refuse(data: Mapping[str, Any], place: str) -> None:
    for word in UNSUPPORTED:
        if word in data:
            raise SpecError(place, f"{word} is not supported in SDKs")


def _type(raw: Mapping[str, Any], data: Mapping[str, Any], place: str) -> Type:
    _refuse(data, place)
    if "$ref" in data:
        return Type("ref", name=_ref(raw, data["$ref"], place))
    if "const" in data:
        return Type("const", value=data["const"])
    if "enum" in data:
        raise SpecError(place, "an inline enumeration; give it a name (a StrEnum class)")
    for word in ("anyOf", "oneOf"):
        if word in data:
            return _union(raw, data[word], f"{place}.{word}")
    kind = data.get("type")
    if isinstance(kind, list):
        rest = [part for part in kind if part != "null"]
        if len(rest) != 1:
            raise SpecError(place, "a list of several types; write anyOf")
        inner = _type(raw, {**data, "type": rest[0]}, place)
        return _nullable(inner)
    if kind == "array":
        return Type("list", items=_type(raw, data.get("items", {}), f"{place}.items"))
    if kind == "object":
        if data.get("properties"):
            raise SpecError(place, "an inline object; give it a name (a model class)")
        extra = data.get("additionalProperties", True)
        inner = Type("any") if isinstance(extra, bool) else _type(raw, extra, f"{place}.additionalProperties")
        return Type("map", items=inner)
    if kind == "string":
        if data.get("contentEncoding") == "base64":
            return Type("bytes")
        return Type({"date-time": "datetime", "date": "date"}.get(data.get("format", ""), "string"))
    if kind in ("integer", "number", "boolean"):
        return Type(kind)
    if kind is None:
        return Type("any")
    raise SpecError(place, f"the type {kind!r} is not supported")


def _union(raw: Mapping[str, Any], variants: list[Mapping[str, Any]], place: str) -> Type:
    rest = [(index, part) for index, part in enumerate(variants) if part.get("type") != "null"]
    types = [_type(raw, part, f"{place}.{index}") for index, part in rest]
    nullable = len(rest) < len(variants)
    if not types:
        raise SpecError(place, "a value that can only be null")
    inner = types[0] if len(types) == 1 else Type("union", variants=tuple(types))
    return _nullable(inner) if nullable else inner


def _nullable(inner: Type) -> Type:
    return Type(inner.kind, True, inner.name, inner.items, inner.variants, inner.value)


def _ref(raw: Mapping[str, Any], ref: str, place: str) -> str:
    prefix = "#/components/schemas/"
    name = ref.removeprefix(prefix)
    if not ref.startswith(prefix) or name not in raw:
        raise SpecError(place, f"{ref} leads nowhere")
    return name


def _resolved(
    data: Mapping[str, Any], shared: list[Mapping[str, Any]], components: Mapping[str, Any], place: str
) -> dict[str, Any]:
    """The operation with references to shared parameters and responses followed."""

    def follow(item: Mapping[str, Any], kind: str) -> Mapping[str, Any]:
        if "$ref" not in item:
            return item
        name = item["$ref"].removeprefix(f"#/components/{kind}/")
        if name not in components.get(kind, {}):
            raise SpecError(place, f"{item['$ref']} leads nowhere")
        found: Mapping[str, Any] = components[kind][name]
        return found

    return {
        **data,
        "parameters": [follow(item, "parameters") for item in [*shared, *data.get("parameters", [])]],
        "responses": {key: follow(item, "responses") for key, item in data.get("responses", {}).items()},
    }


def _operation(
    data: Mapping[str, Any],
    method: str,
    path: str,
    place: str,
    schemas: Mapping[str, Schema],
    raw: Mapping[str, Any],
) -> Operation:
    resource, verb = _names(data, place)
    parameters = _parameters(data["parameters"], path, place, raw)
    body = _body(data, method, place, schemas, raw)
    taken = {item.name for item in parameters}
    for item in schemas[body].fields if body else ():
        if item.name in taken:
            raise SpecError(f"{place}.requestBody", f"{item.name} is also a parameter")
    replies = _replies(data, place, raw)
    element = None
    if data.get("x-sdk-paginate"):
        element = _item(data, place, replies, parameters, schemas)
    return Operation(
        resource=resource,
        verb=verb,
        method=method.upper(),
        path=path,
        summary=data.get("summary", ""),
        doc=data.get("description", ""),
        parameters=parameters,
        body=body,
        replies=replies,
        item=element,
        idempotent=method == "post" or bool(data.get("x-idempotent")),
        deprecated=bool(data.get("deprecated")),
        scopes=tuple(
            sorted({scope for need in data.get("security", []) for scopes in need.values() for scope in scopes})
        ),
    )


def _names(data: Mapping[str, Any], place: str) -> tuple[str, str]:
    identifier = data.get("operationId")
    if not identifier:
        raise SpecError(place, "has no operationId; set operation_id='<resource>_<verb>'")
    if not OPERATION_ID.match(identifier):
        raise SpecError(place, f"the operationId {identifier!r} is not <resource>_<verb> in snake_case")
    tags = data.get("tags") or []
    if len(tags) != 1:
        raise SpecError(place, f"needs exactly one tag, the resource; it has {tags}")
    resource = re.sub(r"[^a-z0-9]+", "_", tags[0].lower()).strip("_")
    if not identifier.startswith(resource + "_"):
        raise SpecError(place, f"the operationId {identifier!r} does not begin with its tag, {resource}_")
    return resource, identifier.removeprefix(resource + "_")


def _parameters(items: list[Mapping[str, Any]], path: str, place: str, raw: Mapping[str, Any]) -> tuple[Field, ...]:
    found = []
    for data in items:
        here = f"{place}.parameters.{data.get('name')}"
        if data["in"] == "header" and data["name"].lower() in RUNTIME_HEADERS:
            continue
        if data.get("x-sdk-internal"):
            continue
        if data["in"] not in ("path", "query"):
            raise SpecError(here, f"parameters in {data['in']} are not supported")
        if data["name"] in OPTION_NAMES:
            raise SpecError(here, "the name belongs to a per-request option of the SDKs")
        kind = _type(raw, data.get("schema", {}), f"{here}.schema")
        if any(part.kind in ("map", "any") for part in kind.walk()):
            raise SpecError(here, "a parameter is a scalar or a list of scalars")
        found.append(Field(data["name"], kind, bool(data.get("required")), data.get("description", ""), data["in"]))
    names = re.findall(r"\{([^}]+)\}", path)
    ordered = [item for name in names for item in found if item.where == "path" and item.name == name]
    if len(ordered) != len(names):
        raise SpecError(place, f"the path names {names}, but the parameters do not describe each of them")
    return (*ordered, *(item for item in found if item.where == "query"))


def _body(
    data: Mapping[str, Any], method: str, place: str, schemas: Mapping[str, Schema], raw: Mapping[str, Any]
) -> str | None:
    if "requestBody" not in data:
        return None
    here = f"{place}.requestBody"
    content = data["requestBody"].get("content", {})
    if list(content) != ["application/json"]:
        raise SpecError(here, f"a body is application/json, this one is {sorted(content)}")
    schema = content["application/json"].get("schema", {})
    if "$ref" not in schema:
        raise SpecError(here, "the body has no named schema")
    name = _ref(raw, schema["$ref"], here)
    if schemas[name].is_enum:
        raise SpecError(here, "the body must be an object")
    _check_defaults(name, method, raw)
    for item in schemas[name].fields:
        if item.name in OPTION_NAMES:
            raise SpecError(f"components.schemas.{name}.properties.{item.name}", "the name belongs to an SDK option")
    return name


def _check_defaults(name: str, method: str, raw: Mapping[str, Any]) -> None:
    for key, data in raw[name].get("properties", {}).items():
        here = f"components.schemas.{name}.properties.{key}"
        if "default" not in data:
            continue
        if method == "patch":
            raise SpecError(here, "a default in a PATCH body would change what the caller never mentioned; drop it")
        options = data.get("anyOf", [])
        if data["default"] is not None and any(part.get("type") == "null" for part in options):
            raise SpecError(here, "optional, nullable and with a default other than null: null and absent would differ")


def _replies(data: Mapping[str, Any], place: str, raw: Mapping[str, Any]) -> tuple[Reply, ...]:
    replies = []
    for status, answer in data.get("responses", {}).items():
        here = f"{place}.responses.{status}"
        content = answer.get("content", {})
        if not str(status).isdigit():
            raise SpecError(here, "name each status; SDKs do not read `default` or ranges")
        if not str(status).startswith("2"):
            if content and "application/problem+json" not in content:
                raise SpecError(here, f"an error is application/problem+json, this one is {sorted(content)}")
            continue
        replies.append(_reply(int(status), content, here, raw))
    if not replies:
        raise SpecError(f"{place}.responses", "has no successful answer")
    return tuple(sorted(replies, key=lambda reply: reply.status))


def _reply(status: int, content: Mapping[str, Any], here: str, raw: Mapping[str, Any]) -> Reply:
    if not content:
        return Reply(status, "none")
    if len(content) > 1:
        raise SpecError(here, f"has several media types {sorted(content)}; set response_class to drop the unused one")
    media, body = next(iter(content.items()))
    if media == "application/json":
        schema = body.get("schema", {})
        if "$ref" not in schema:
            raise SpecError(here, "the answer has no named schema; set response_model")
        return Reply(status, "json", _ref(raw, schema["$ref"], here))
    return Reply(status, "text" if media.startswith("text/") else "bytes")


def _item(
    data: Mapping[str, Any],
    place: str,
    replies: tuple[Reply, ...],
    parameters: tuple[Field, ...],
    schemas: Mapping[str, Schema],
) -> Type:
    if data["x-sdk-paginate"] != "cursor":
        raise SpecError(f"{place}.x-sdk-paginate", "the only kind of pages is `cursor`")
    if len(replies) != 1 or replies[0].kind != "json":
        raise SpecError(place, "a list has one successful answer, of JSON")
    fields = {item.name: item for item in schemas[replies[0].name].fields}
    if not {"data", "has_more", "next_cursor"} <= set(fields):
        raise SpecError(f"components.schemas.{replies[0].name}", "a cursor list has data, has_more and next_cursor")
    items = fields["data"].type.items
    if items is None:
        raise SpecError(f"components.schemas.{replies[0].name}.properties.data", "is no list")
    if "after" not in {item.name for item in parameters}:
        raise SpecError(place, "a cursor list has the query parameter `after`")
    return items
