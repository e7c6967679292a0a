"""Every operation of the document keeps the conventions, or stands in a short list with its reason."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from penguinmails_api.app import api

DOCUMENT: dict[str, Any] = api().openapi()
MUTATING = ("post", "put", "patch", "delete")

NO_DRY_RUN: dict[str, str] = {}
NO_ETAG: dict[str, str] = {}
NO_IF_MATCH: dict[str, str] = {}
"""operationId -> why."""


def operations(*methods: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, entry in DOCUMENT["paths"].items():
        for method, operation in entry.items():
            if method in methods and path.startswith(("/v1/", "/v2/")):
                yield path, operation


def parameters(operation: dict[str, Any]) -> set[str]:
    return {item.get("name") or item["$ref"].rpartition("/")[2] for item in operation.get("parameters", [])}


def answers_json(operation: dict[str, Any]) -> bool:
    return "application/json" in operation["responses"].get("200", {}).get("content", {})


def test_everything_that_changes_something_can_be_rehearsed() -> None:
    found = {op["operationId"] for _, op in operations(*MUTATING) if "DryRun" not in parameters(op)}
    assert found == set(NO_DRY_RUN)
    for _, operation in operations(*MUTATING):
        if operation["operationId"] not in NO_DRY_RUN:
            success = next(answer for status, answer in operation["responses"].items() if status[0] == "2")
            assert "Dry-Run" in success["headers"], operation["operationId"]


def test_every_get_of_json_takes_fields() -> None:
    lacking = {op["operationId"] for _, op in operations("get") if answers_json(op) and "fields" not in parameters(op)}
    assert lacking == set()


def test_every_get_of_one_thing_has_an_etag() -> None:
    lacking = set()
    for path, operation in operations("get"):
        if path.endswith("}") and answers_json(operation):
            tagged = "ETag" in operation["responses"]["200"]["headers"] and "304" in operation["responses"]
            if not tagged or "IfNoneMatch" not in parameters(operation):
                lacking.add(operation["operationId"])
    assert lacking == set(NO_ETAG)


def test_every_change_of_one_thing_takes_if_match() -> None:
    lacking = set()
    for path, operation in operations("patch", "put", "delete"):
        readable = path in DOCUMENT["paths"] and "get" in DOCUMENT["paths"][path]
        if path.endswith("}") and readable and "IfMatch" not in parameters(operation):
            lacking.add(operation["operationId"])
        assert ("IfMatch" in parameters(operation)) == ("412" in operation["responses"]), operation["operationId"]
    assert lacking == set(NO_IF_MATCH)


@pytest.mark.parametrize("operation_id", ["emails_get", "webhook_endpoints_delivery"])
def test_what_can_be_expanded_is_named(operation_id: str) -> None:
    operation = next(op for _, op in operations("get") if op["operationId"] == operation_id)
    expand = next(item for item in operation["parameters"] if item.get("name") == "expand")
    name = expand["schema"]["items"]["$ref"].rpartition("/")[2]
    model = operation["responses"]["200"]["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
    schemas = DOCUMENT["components"]["schemas"]
    assert set(schemas[name]["enum"]) <= set(schemas[model]["properties"])
