"""The check for breaking changes: each kind of break is caught and named, and what is compatible passes."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from scripts.contract_diff import compare, freeze, main, pairs

from penguinmails_api.app import api
from tests.conftest import ROOT

Document = dict[str, Any]
Mutation = Callable[[Document], object]


def thing(**changes: Any) -> Document:
    fields = {
        "name": {"type": "string", "minLength": 2, "maxLength": 50},
        "kind": {"$ref": "#/components/schemas/Kind"},
        "note": {"anyOf": [{"type": "string", "maxLength": 9}, {"type": "null"}]},
        "tags": {"type": "array", "maxItems": 5, "items": {"type": "string"}},
        "count": {"type": "integer", "minimum": 1, "maximum": 9, "format": "int32"},
    }
    return {"type": "object", "required": ["name"], "properties": fields, "additionalProperties": False} | changes


def document() -> Document:
    body = {"application/json": {"schema": {"$ref": "#/components/schemas/ThingCreate"}}}
    answer = {"application/json": {"schema": {"$ref": "#/components/schemas/Thing"}}}
    names = ["name", "kind", "note", "tags", "count"]
    return {
        "openapi": "3.1.0",
        "paths": {
            "/v1/things/{id}": {
                "post": {
                    "operationId": "things_create",
                    "security": [{"apiKey": ["things:write"]}],
                    "x-idempotent": True,
                    "parameters": [
                        {"name": "id", "in": "path", "required": True, "schema": {"type": "string"}},
                        {"name": "fast", "in": "query", "schema": {"type": "boolean"}},
                    ],
                    "requestBody": {"content": body},
                    "responses": {
                        "200": {"description": "", "headers": {"Request-Id": {}}, "content": answer},
                        "404": {"description": ""},
                    },
                }
            }
        },
        "webhooks": {"thing.made": {"post": {"requestBody": {"content": dict(answer)}, "responses": {}}}},
        "components": {
            "schemas": {
                "ThingCreate": thing(),
                "Thing": thing(required=names),
                "Kind": {"type": "string", "enum": ["big", "small"]},
            }
        },
    }


def operation(document: Document) -> Document:
    found: Document = document["paths"]["/v1/things/{id}"]["post"]
    return found


def asked(document: Document) -> Document:
    found: Document = document["components"]["schemas"]["ThingCreate"]
    return found


def answered(document: Document) -> Document:
    found: Document = document["components"]["schemas"]["Thing"]
    return found


def in_request(name: str, **changes: Any) -> Mutation:
    return lambda document: asked(document)["properties"][name].update(changes)


def in_answer(name: str, **changes: Any) -> Mutation:
    return lambda document: answered(document)["properties"][name].update(changes)


BREAKING: list[tuple[str, Mutation]] = [
    ("operation-removed", lambda d: d["paths"].clear()),
    ("operation-removed", lambda d: d["paths"]["/v1/things/{id}"].pop("post")),
    ("operation-renamed", lambda d: operation(d).update(operationId="things_make")),
    ("security-removed", lambda d: operation(d).update(security=[{"oauth2": ["things:write"]}])),
    ("scope-added", lambda d: operation(d).update(security=[{"apiKey": ["things:write", "admin"]}])),
    ("parameter-removed", lambda d: operation(d)["parameters"].pop(1)),
    ("parameter-required", lambda d: operation(d)["parameters"][1].update(required=True)),
    (
        "parameter-required",
        lambda d: operation(d)["parameters"].append({"name": "why", "in": "query", "required": True, "schema": {}}),
    ),
    ("type-narrowed", lambda d: operation(d)["parameters"][1]["schema"].update(type="integer")),
    ("idempotency-removed", lambda d: operation(d).update({"x-idempotent": False})),
    ("body-required", lambda d: operation(d)["requestBody"].update(required=True)),
    ("body-removed", lambda d: operation(d).pop("requestBody")),
    ("media-type-removed", lambda d: operation(d)["requestBody"]["content"].clear()),
    ("media-type-removed", lambda d: operation(d)["responses"]["200"]["content"].clear()),
    ("response-removed", lambda d: operation(d)["responses"].pop("200")),
    ("response-added", lambda d: operation(d)["responses"].update({"202": {"description": ""}})),
    ("header-removed", lambda d: operation(d)["responses"]["200"]["headers"].clear()),
    ("field-required", lambda d: asked(d)["required"].append("tags")),
    (
        "field-required",
        lambda d: (asked(d)["properties"].update(new={"type": "string"}), asked(d)["required"].append("new")),
    ),
    ("field-removed", lambda d: asked(d)["properties"].pop("tags")),
    ("field-removed", lambda d: answered(d)["properties"].pop("tags")),
    ("field-optional", lambda d: answered(d)["required"].remove("tags")),
    ("type-narrowed", in_request("count", type="string")),
    ("type-narrowed", in_request("note", anyOf=[{"type": "string", "maxLength": 9}])),
    ("type-widened", in_answer("name", type=["string", "null"])),
    ("type-widened", in_answer("count", type="number")),
    ("limit-narrowed", in_request("name", maxLength=49)),
    ("limit-narrowed", in_request("name", minLength=3)),
    ("limit-narrowed", in_request("name", pattern="^a")),
    ("limit-narrowed", in_request("name", format="email")),
    ("limit-narrowed", in_request("tags", maxItems=4)),
    ("limit-narrowed", in_request("count", maximum=8)),
    ("limit-narrowed", in_request("note", anyOf=[{"type": "string", "maxLength": 8}, {"type": "null"}])),
    ("limit-narrowed", lambda d: asked(d)["properties"]["tags"]["items"].update(maxLength=3)),
    ("enum-narrowed", lambda d: d["components"]["schemas"]["Kind"]["enum"].remove("big")),
    ("enum-narrowed", in_request("name", enum=["only"])),
    ("event-removed", lambda d: d["webhooks"].clear()),
    ("field-removed", lambda d: answered(d)["properties"].pop("note")),
]
COMPATIBLE: list[tuple[str, Mutation]] = [
    ("nothing", lambda d: None),
    ("a new operation", lambda d: d["paths"].update({"/v1/more": d["paths"]["/v1/things/{id}"]})),
    ("another name of a path parameter", lambda d: d["paths"].update({"/v1/things/{n}": d["paths"].popitem()[1]})),
    ("a new optional parameter", lambda d: operation(d)["parameters"].append({"name": "x", "in": "query"})),
    ("a new optional field", lambda d: asked(d)["properties"].update(new={"type": "string"})),
    ("a new field in an answer", lambda d: answered(d)["properties"].update(new={"type": "string"})),
    ("a field that is not required any more", lambda d: asked(d)["required"].clear()),
    ("a wider limit", in_request("name", maxLength=51, minLength=1)),
    ("no limit", lambda d: asked(d)["properties"]["name"].pop("maxLength")),
    ("null is taken too", in_request("name", type=["string", "null"])),
    ("wider numbers", in_request("count", format="int64")),
    ("narrower answers", in_answer("note", anyOf=[{"type": "string"}])),
    ("another description", in_answer("name", description="new")),
    ("a scope less", lambda d: operation(d).update(security=[{"apiKey": []}])),
    ("another way in", lambda d: operation(d)["security"].append({"oauth2": ["things:write"]})),
    ("a new header", lambda d: operation(d)["responses"]["200"]["headers"].update(New={})),
    ("a new error", lambda d: operation(d)["responses"].update({"418": {"description": ""}})),
    ("not modified", lambda d: operation(d)["responses"].update({"304": {"description": ""}})),
    ("a new event", lambda d: d["webhooks"].update({"thing.gone": {}})),
]


@pytest.mark.parametrize(("rule", "change"), BREAKING, ids=[f"{i}-{rule}" for i, (rule, _) in enumerate(BREAKING)])
def test_each_kind_of_break_is_caught(rule: str, change: Mutation) -> None:
    new = copy.deepcopy(document())
    change(new)
    found = compare(document(), new)
    assert rule in {each.rule for each in found if each.breaking}, [str(each) for each in found]


@pytest.mark.parametrize(("name", "change"), COMPATIBLE, ids=[name for name, _ in COMPATIBLE])
def test_what_is_compatible_passes(name: str, change: Mutation) -> None:
    new = copy.deepcopy(document())
    change(new)
    assert [str(each) for each in compare(document(), new) if each.breaking] == []


def test_more_values_in_an_answer_are_a_warning() -> None:
    new = document()
    new["components"]["schemas"]["Kind"]["enum"].append("huge")
    found = compare(document(), new)
    assert {(each.rule, each.breaking) for each in found} == {("enum-widened", False)}
    assert any("may be huge now" in str(each) for each in found)


def test_an_object_that_may_be_null_has_not_lost_its_fields() -> None:
    old, new = document(), document()
    content = operation(new)["responses"]["200"]["content"]["application/json"]
    content["schema"] = {"anyOf": [content["schema"], {"type": "null"}]}
    assert {each.rule for each in compare(old, new)} == {"type-widened"}
    answered(new)["properties"].pop("tags")
    assert "field-removed" in {each.rule for each in compare(old, new)}


def test_an_answer_that_asked_for_nothing_and_now_asks() -> None:
    old = document()
    operation(old)["security"] = []
    assert "security-added" in {each.rule for each in compare(old, document())}


def test_the_command_names_the_place_and_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    new = document()
    answered(new)["properties"].pop("tags")
    for name, content in (("old", document()), ("new", new)):
        (tmp_path / name).write_text(json.dumps(content))
    assert main([str(tmp_path / "old"), str(tmp_path / "old")]) == 0
    assert main([str(tmp_path / "old"), str(tmp_path / "new")]) == 1
    assert "POST /v1/things/{id} -> 200.tags: the field is gone" in capsys.readouterr().out


def test_every_break_of_the_real_document_is_caught() -> None:
    """Each operation and each field of some schemas, taken away one at a time. One path is compared at a time: all of
    them for each would take minutes."""
    document, tried = api().openapi(), 0
    for path, entry in document["paths"].items():
        old = document | {"paths": {path: entry}}
        for method in entry:
            new = document | {"paths": {path: {name: value for name, value in entry.items() if name != method}}}
            assert any(each.breaking for each in compare(old, new)), f"{method} {path}"
            tried += 1
    assert tried > 100
    some = {path: document["paths"][path] for path in ("/v1/emails", "/v1/webhook_endpoints")}
    old = document | {"paths": some}
    for name in ("Email", "WebhookEndpoint", "EmailCreate", "Problem"):
        schema = document["components"]["schemas"][name]
        for field in schema["properties"]:
            left = schema | {"properties": {key: value for key, value in schema["properties"].items() if key != field}}
            components = document["components"] | {"schemas": document["components"]["schemas"] | {name: left}}
            new = old | {"components": components}
            assert any(each.rule == "field-removed" for each in compare(old, new)), f"{name}.{field}"
            tried += 1
    assert tried > 150


def test_a_promise_is_kept_once_and_never_rewritten(tmp_path: Path) -> None:
    (tmp_path / "openapi").mkdir()
    (tmp_path / "openapi" / "v1.json").write_text("{}")
    (tmp_path / "pyproject.toml").write_text('[project]\nversion = "3.4.0"\n')
    (tmp_path / "CHANGELOG.md").write_text("# Changelog\n\n## Unreleased\n\n## 3.3.0\n")
    assert [path.name for path in freeze(tmp_path)] == ["v1-3.4.json"]
    (tmp_path / "CHANGELOG.md").write_text("# Changelog\n\n## 3.4.0\n")
    with pytest.raises(ValueError, match="is released"):
        freeze(tmp_path)


def test_nothing_released_is_broken(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0, capsys.readouterr().out
    assert pairs(ROOT / "openapi")
    for released, current in pairs(ROOT / "openapi"):
        assert current.exists(), released
