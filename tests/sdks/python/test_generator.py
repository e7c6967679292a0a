"""The generator: what it writes for a tiny document, what it refuses, and that the checked-in SDK is up to date."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[3]
GENERATOR = ROOT / "sdks" / "generator"
GOLDEN = GENERATOR / "golden"
TINY = json.loads((GOLDEN / "spec.json").read_text())


def _generate(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(GENERATOR / "python.py"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_sdk_is_what_the_document_says() -> None:
    done = _generate("--check")
    assert done.returncode == 0, done.stdout + done.stderr


def test_tiny_document_gives_the_reviewed_code() -> None:
    done = _generate("--check", "--document", GOLDEN / "spec.json", "--output", GOLDEN / "python")
    assert done.returncode == 0, done.stdout + done.stderr


def test_check_names_each_kind_of_difference_and_writes_nothing(tmp_path: Path) -> None:
    made = tmp_path / "made"
    assert _generate("--document", GOLDEN / "spec.json", "--output", made).returncode == 0
    assert _generate("--check", "--document", GOLDEN / "spec.json", "--output", made).returncode == 0
    (made / "models" / "wing.py").unlink()
    (made / "models" / "stale.py").write_text("x = 1\n")
    unions = made / "unions.py"
    unions.write_text(unions.read_text() + "# edited by hand\n")
    done = _generate("--check", "--document", GOLDEN / "spec.json", "--output", made)
    assert done.returncode == 1
    assert "missing: models/wing.py" in done.stdout
    assert "stale, to be deleted: models/stale.py" in done.stdout
    assert "differs: unions.py" in done.stdout
    assert "-# edited by hand" in done.stdout
    assert not (made / "models" / "wing.py").exists()


def test_every_file_says_that_it_is_generated() -> None:
    folder = ROOT / "sdks" / "python" / "src" / "penguinmails" / "_generated"
    files = list(folder.rglob("*.py"))
    assert len(files) > 20
    assert all("@generated" in path.read_text().splitlines()[0] for path in files)


def _path(document: dict[str, Any], *keys: str) -> dict[str, Any]:
    found = document
    for key in keys:
        found = found[key]
    return found


SCHEMAS = ("components", "schemas")
POST = ("paths", "/v1/birds", "post")
LIST = ("paths", "/v1/birds", "get")
PATCH = ("paths", "/v1/birds/{bird_id}", "patch")
REFUSED: dict[str, tuple[tuple[str, ...], dict[str, Any], str]] = {
    "a schema name with an underscore": (SCHEMAS, {"Page_Bird": {"type": "object"}}, "components.schemas.Page_Bird"),
    "the error body of the framework": (SCHEMAS, {"HTTPValidationError": {"type": "object"}}, "HTTPValidationError"),
    "no operationId": (POST, {"operationId": None}, "has no operationId"),
    "an operationId of another resource": (POST, {"operationId": "fish_create"}, "does not begin with its tag"),
    "an operationId twice": (POST, {"operationId": "birds_list"}, "the operationId birds_list is taken"),
    "camel case operationId": (POST, {"operationId": "birdsCreate"}, "is not <resource>_<verb>"),
    "two tags": (POST, {"tags": ["birds", "eggs"]}, "exactly one tag"),
    "a default in a PATCH body": (
        (*SCHEMAS, "BirdUpdate", "properties"),
        {"tame": {"type": "boolean", "default": True}},
        "components.schemas.BirdUpdate.properties.tame: a default in a PATCH body",
    ),
    "null and absent would differ": (
        (*SCHEMAS, "BirdCreate", "properties"),
        {"n": {"anyOf": [{"type": "integer"}, {"type": "null"}], "default": 3}},
        "components.schemas.BirdCreate.properties.n",
    ),
    "an inline enumeration": (
        (*SCHEMAS, "Bird", "properties"),
        {"size": {"type": "string", "enum": ["s", "l"]}},
        "components.schemas.Bird.properties.size: an inline enumeration",
    ),
    "an inline object": (
        (*SCHEMAS, "Bird", "properties"),
        {"nest": {"type": "object", "properties": {"a": {}}}},
        "components.schemas.Bird.properties.nest: an inline object",
    ),
    "a reference to nothing": (
        (*SCHEMAS, "Bird", "properties"),
        {"egg": {"$ref": "#/components/schemas/Egg"}},
        "leads nowhere",
    ),
    "allOf": ((*SCHEMAS, "Bird", "properties"), {"x": {"allOf": []}}, "allOf is not supported"),
    "an enumeration of numbers": (SCHEMAS, {"Level": {"type": "integer", "enum": [1, 2]}}, "enumerations of strings"),
    "a union without a discriminator": ((*SCHEMAS, "Happening"), {"discriminator": {}}, "needs a discriminator"),
    "an optional discriminator": ((*SCHEMAS, "Landed"), {"required": ["id"]}, "a discriminator is a required constant"),
    "a cookie": (POST, {"parameters": [{"name": "a", "in": "cookie", "schema": {}}]}, "parameters in cookie"),
    "a header of its own": (POST, {"parameters": [{"name": "X-A", "in": "header", "schema": {}}]}, "in header"),
    "a parameter named as an option": (
        LIST,
        {"parameters": [{"name": "timeout", "in": "query", "schema": {"type": "integer"}}]},
        "belongs to a per-request option",
    ),
    "a path that is not described": (PATCH, {"parameters": []}, "the path names ['bird_id']"),
    "an unnamed body": (
        POST,
        {"requestBody": {"content": {"application/json": {"schema": {"type": "object"}}}}},
        "the body has no named schema",
    ),
    "a form": (POST, {"requestBody": {"content": {"multipart/form-data": {}}}}, "a body is application/json"),
    "an unnamed answer": (
        POST,
        {"responses": {"200": {"content": {"application/json": {"schema": {"type": "object"}}}}}},
        "paths./v1/birds.post.responses.200: the answer has no named schema",
    ),
    "no answer": (POST, {"responses": {}}, "has no successful answer"),
    "an error that is no problem document": (
        POST,
        {"responses": {"201": {}, "422": {"content": {"application/json": {}}}}},
        "an error is application/problem+json",
    ),
    "pages without a cursor": (LIST, {"parameters": []}, "has the query parameter `after`"),
    "pages of another kind": (LIST, {"x-sdk-paginate": "offset"}, "x-sdk-paginate"),
    "OpenAPI 3.0": ((), {"openapi": "3.0.3"}, "OpenAPI 3.1 is wanted"),
}


@pytest.mark.parametrize("reason", REFUSED)
def test_what_sdks_cannot_represent_is_refused_by_name(reason: str, tmp_path: Path) -> None:
    keys, change, message = REFUSED[reason]
    document = copy.deepcopy(TINY)
    _path(document, *keys).update(change)
    (tmp_path / "spec.json").write_text(json.dumps(document))
    done = _generate("--document", tmp_path / "spec.json", "--output", tmp_path / "made")
    assert done.returncode == 1
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "made").exists()
