"""The specification is complete, kept and friendly to generators."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from penguinmails_api.app import api
from penguinmails_api.identity.browser import cookie_name
from penguinmails_api.oauth2.metadata import server_metadata
from penguinmails_api.openapi import render
from penguinmails_api.routing import SCHEMES
from penguinmails_core import errors
from penguinmails_core.identity.origin import PublicUrl
from penguinmails_core.scopes import ALL_SCOPES, Scope

ROOT = Path(__file__).parent.parent.parent
DOCUMENT: dict[str, Any] = api().openapi()


def operations(under: str = "/") -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, entry in DOCUMENT["paths"].items():
        for method, operation in entry.items():
            if path.startswith(under):
                yield path, method, operation


def schemas_under(node: Any) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        yield node
        for value in node.values():
            yield from schemas_under(value)
    elif isinstance(node, list):
        for value in node:
            yield from schemas_under(value)


def test_the_checked_in_file_is_the_generated_one() -> None:
    kept = (ROOT / "openapi" / "v1.json").read_text(encoding="utf-8")
    assert kept == render(DOCUMENT), "run `python -m penguinmails_api.openapi` and read the difference"


def test_it_is_valid_openapi() -> None:
    OpenAPIV31SpecValidator(DOCUMENT).validate()


def test_every_reference_leads_somewhere() -> None:
    for reference in set(re.findall(r'"\$ref": "#/([^"]+)"', json.dumps(DOCUMENT))):
        node: Any = DOCUMENT
        for part in reference.split("/"):
            assert part in node, reference
            node = node[part]


def test_every_operation_is_named_described_and_tagged() -> None:
    names = []
    for path, _method, operation in operations():
        assert re.fullmatch("[a-z][a-z0-9_]+", operation["operationId"]), path
        assert operation["operationId"].startswith(operation["tags"][0] + "_"), path
        assert operation["summary"], path
        assert operation["description"], path
        names.append(operation["operationId"])
    assert len(names) == len(set(names))
    assert {tag for _, _, operation in operations() for tag in operation["tags"]} <= {
        tag["name"] for tag in DOCUMENT["tags"]
    }


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 422, 429, 500])
def test_every_operation_documents_its_errors(status: int) -> None:
    """W2: each as a problem, with its headers."""
    for path, method, operation in operations("/v1"):
        assert str(status) in operation["responses"], f"{method} {path}"
        reference = operation["responses"][str(status)]["$ref"].rpartition("/")[2]
        response = DOCUMENT["components"]["responses"][reference]
        assert list(response["content"]) == ["application/problem+json"]
        assert {"Request-Id", "RateLimit-Limit", "RateLimit-Policy"} <= set(response["headers"])
        assert ("Retry-After" in response["headers"]) == (status in (409, 429))


def test_successes_carry_the_common_headers() -> None:
    for path, method, operation in operations():
        success = next(response for status, response in operation["responses"].items() if status.startswith("2"))
        expected = {"Request-Id", "PenguinMails-Version"}
        if path.startswith("/v1"):
            expected |= {"RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset", "RateLimit-Policy", "RateLimit"}
        if operation.get("x-idempotent"):
            expected.add("Idempotency-Replayed")
        assert expected <= set(success["headers"]), f"{method} {path}"


def test_every_post_takes_an_idempotency_key() -> None:
    for path, method, operation in operations("/v1"):
        parameters = [parameter.get("$ref", "") for parameter in operation.get("parameters", [])]
        takes = "#/components/parameters/IdempotencyKey" in parameters
        assert takes == (method == "post") == bool(operation.get("x-idempotent")), f"{method} {path}"


def test_every_operation_names_its_scopes() -> None:
    without = {
        "me_get",
        "organizations_create",
        "organizations_leave",
        "invitations_accept",
    }
    without |= {"event_types_list", "event_types_get"}  # a catalogue
    for _path, _method, operation in operations("/v1"):
        scopes = operation["x-required-scopes"]
        ways = [{"apiKey": scopes}, {"oauth2": scopes}, {"session": scopes}]
        no_apps = operation["operationId"] in {
            *("api_keys_create", "api_keys_derive", "api_keys_rotate"),
            "webhook_portal_links_create",
        }
        assert operation["security"] == [way for way in ways if not (no_apps and "oauth2" in way)]
        assert set(scopes) <= set(Scope)
        assert bool(scopes) == (operation["operationId"] not in without), operation["operationId"]
    others = [entry for entry in operations() if not entry[0].startswith(("/v1", "/v2", "/graphql"))]
    assert all(operation["security"] == [] for _, _, operation in others)


def test_the_ways_in_are_described_as_they_are() -> None:
    schemes = DOCUMENT["components"]["securitySchemes"]
    assert set(schemes) == set(SCHEMES)
    assert schemes["session"]["name"] == cookie_name(PublicUrl.of("https://mail.example.com"))
    metadata = server_metadata("", registration=True)
    flows = schemes["oauth2"]["flows"]
    assert flows["authorizationCode"]["authorizationUrl"] == metadata["authorization_endpoint"]
    assert {flow["tokenUrl"] for flow in flows.values()} == {metadata["token_endpoint"]}
    assert set(flows["authorizationCode"]["scopes"]) == set(metadata["scopes_supported"])
    assert set(flows["clientCredentials"]["scopes"]) == set(ALL_SCOPES)


def test_requests_refuse_unknown_fields() -> None:
    for path, method, operation in operations():
        for kind, entry in operation.get("requestBody", {}).get("content", {}).items():
            if kind != "application/json" or path.startswith("/oauth2/"):
                continue  # RFC 6749 §3.1 and RFC 7591 §2 want unknown parameters ignored
            schema = entry["schema"]
            if "$ref" in schema:
                schema = DOCUMENT["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
            assert schema["additionalProperties"] is False, f"{method} {path}"


def test_patches_have_no_defaults() -> None:
    """A generated client would send them and undo what somebody else has set."""
    for path, method, operation in operations():
        if method == "patch":
            name = operation["requestBody"]["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
            found = list(schemas_under(DOCUMENT["components"]["schemas"][name]))
            assert not any("default" in schema and schema["default"] is not None for schema in found), path


def test_lists_look_alike() -> None:
    lists = [operation for _, _, operation in operations("/v1") if operation.get("x-sdk-paginate")]
    assert lists
    for operation in lists:
        assert operation["x-sdk-paginate"] == "cursor"
        names = {parameter.get("name"): parameter for parameter in operation["parameters"]}
        assert (names["limit"]["schema"]["minimum"], names["limit"]["schema"]["maximum"]) == (1, 100)
        assert "after" in names
        name = operation["responses"]["200"]["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
        assert name.endswith("List")
        assert DOCUMENT["components"]["schemas"][name]["required"] == ["data", "has_more", "next_cursor"]


def test_names_are_fit_for_types() -> None:
    for name in DOCUMENT["components"]["schemas"]:
        assert re.fullmatch("[A-Z][A-Za-z0-9]*", name), name
        assert name not in ("HTTPValidationError", "ValidationError")


def test_answers_have_no_optional_members() -> None:
    for path, method, operation in operations("/v1"):
        for status, response in operation["responses"].items():
            content = response.get("content", {}).get("application/json")
            if not status.startswith("2") or content is None:
                continue
            schema = DOCUMENT["components"]["schemas"][content["schema"]["$ref"].rpartition("/")[2]]
            if "properties" in schema:
                assert set(schema["required"]) == set(schema["properties"]), f"{method} {path}"


def test_enums_are_named() -> None:
    """An inline enum becomes a new type of its own at each place."""
    for name, schema in DOCUMENT["components"]["schemas"].items():
        for property_name, entry in schema.get("properties", {}).items():
            assert "enum" not in entry, f"{name}.{property_name}"
            assert "enum" not in entry.get("items", {}), f"{name}.{property_name}"


def test_webhooks_are_described() -> None:
    assert "email.delivered" in DOCUMENT["webhooks"]
    assert all(entry["post"]["operationId"] for entry in DOCUMENT["webhooks"].values())


def test_every_kind_of_problem_explains_itself() -> None:
    """Its page (GET /problems/{code}) is made of these; a class with a code of its own inherits neither."""
    kinds = errors.problems()
    assert len(kinds) >= 20
    for code, kind in kinds.items():
        own = vars(kind)
        assert {"code", "title", "cause", "fix"} <= set(own), f"{kind.__name__}: add `cause` and `fix`"
        assert all(own[name].strip().endswith(".") for name in ("cause", "fix")), code
        assert re.fullmatch("[a-z][a-z0-9_]*", code)
        assert 400 <= kind.status <= 599


def test_the_document_loads_nothing_foreign() -> None:
    assert api().docs_url is None
    assert api().redoc_url is None
