"""What the document lacks, as sentences. Pure functions, so that a test can show that each of them finds something."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from fastapi.routing import APIRoute
from starlette.routing import BaseRoute, Mount

from tests.fixtures.contract import Contract

Document = dict[str, Any]
Served = set[tuple[str, str]]

GUARDED = ("/v1/", "/v2/")
STATUSES = ("400", "401", "403", "404", "409", "422", "429", "500", "503")
WITH_BODY = ("413", "415")
HEADERS = {"Request-Id", "PenguinMails-Version"}
LIMITS = {"RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset", "RateLimit-Policy", "RateLimit"}


def operations(document: Document) -> Iterator[tuple[str, str, Document]]:
    """(method in lower case, path, operation)"""
    for path, entry in document["paths"].items():
        for method, operation in entry.items():
            yield method, path, operation


def served(routes: Iterable[BaseRoute], hot: Iterable[tuple[str, str]], prefix: str = "") -> Served:
    """(method, path) of everything that answers: framework routes, routes without a framework, and mounted
    applications, whose methods nobody knows ("*")."""
    found = {(method, path) for method, path in hot}
    for route in routes:
        if isinstance(route, Mount):
            inner = served(route.routes, (), prefix + route.path)
            found |= inner or {("*", prefix + route.path)}
        else:
            path = prefix + str(getattr(route, "path", route))
            found |= {(method, path) for method in getattr(route, "methods", None) or ("*",)}
    paths = {path for method, path in found if method != "OPTIONS"}
    # Starlette adds HEAD to every plain GET route by itself. OPTIONS beside other methods is asked by browsers before
    # they let a page of another origin call us (CORS), never by a client.
    return {
        (method, path)
        for method, path in found
        if not (method == "HEAD" and ("GET", path) in found) and not (method == "OPTIONS" and path in paths)
    }


def gaps(served: Served, document: Document, kept_out: Mapping[str, str]) -> list[str]:
    """Routes that the document does not know, and operations that nothing answers. `kept_out`: path -> reason."""
    documented = {(method.upper(), path) for method, path, _ in operations(document)}
    missing = {pair for pair in served - documented if not any(_under(pair[1], place) for place in kept_out)}
    return [
        *(f"{method} {path} is served and not documented" for method, path in sorted(missing)),
        *(f"{method} {path} is documented and not served" for method, path in sorted(documented - served)),
        *(
            f"{place} is kept out of the document and not served"
            for place in kept_out
            if not any(_under(path, place) for _, path in served)
        ),
    ]


def _under(path: str, place: str) -> bool:
    return path == place or (place.endswith("*") and path.startswith(place[:-1]))


def stand_ins(routes: Iterable[BaseRoute], module: str) -> Served:
    """Documented functions of `module` that are never called, because the gateway has their paths."""
    return {
        (method, route.path)
        for route in routes
        if isinstance(route, APIRoute) and route.endpoint.__module__ == module
        for method in route.methods or ()
    }


def faults(document: Document) -> list[str]:
    """Everything an operation should say and does not."""
    contract = Contract(document)
    found: list[str] = []
    names: set[str] = set()
    for method, path, operation in operations(document):
        name = operation.get("operationId", "")
        where = f"{method.upper()} {path}"
        say = [
            *_naming(operation, names),
            *(_guarded(method, operation, document) if path.startswith(GUARDED) else ()),
            *_headers(path, operation, document),
            *_examples(operation, contract),
            *_parameters(path, operation, document),
        ]
        found += [f"{where}: {text}" for text in say]
        names.add(name)
    return found


def _naming(operation: Document, names: set[str]) -> Iterator[str]:
    name = operation.get("operationId", "")
    if not re.fullmatch("[a-z][a-z0-9_]+", name):
        yield f"operationId {name!r}"
    if name in names:
        yield f"operationId {name} is used twice"
    tags = operation.get("tags") or [""]
    if not name.startswith(tags[0] + "_"):
        yield f"operationId {name} does not start with its tag {tags[0]!r}"
    for field in ("summary", "description"):
        if not operation.get(field, "").strip():
            yield f"no {field}"


def _guarded(method: str, operation: Document, document: Document) -> Iterator[str]:
    expected = (*STATUSES, *(WITH_BODY if method in ("post", "put", "patch") else ()))
    for status in expected:
        if status not in operation["responses"]:
            yield f"does not declare {status}"
        elif list(resolve(document, operation["responses"][status]).get("content", {})) != ["application/problem+json"]:
            yield f"{status} is not a problem"
    scopes = operation.get("x-required-scopes")
    if scopes is None or not operation.get("security"):
        yield "declares no scopes (x-required-scopes, security)"
    elif any(set(granted) != set(scopes) for entry in operation["security"] for granted in entry.values()):
        yield "security and x-required-scopes differ"
    cost = operation.get("x-cost")
    if not isinstance(cost, int) or isinstance(cost, bool) or cost < 0:
        yield f"x-cost is {cost!r}"
    if not isinstance(operation.get("x-idempotent"), bool):
        yield "does not say whether it takes an Idempotency-Key (x-idempotent)"
    takes = any("IdempotencyKey" in parameter.get("$ref", "") for parameter in operation.get("parameters", []))
    if takes != bool(operation.get("x-idempotent")):
        yield "x-idempotent and the Idempotency-Key parameter differ"
    if method == "post" and not takes:
        yield "a POST without Idempotency-Key"


def _headers(path: str, operation: Document, document: Document) -> Iterator[str]:
    guarded = path.startswith(GUARDED)
    successes = [status for status in operation["responses"] if status[0] in "23"]
    if not successes:
        yield "declares no success"
    for status, entry in operation["responses"].items():
        headers = resolve(document, entry).get("headers", {})
        expected = HEADERS | (LIMITS if guarded else set())
        expected |= {"Retry-After"} if status == "429" else set()
        expected |= {"WWW-Authenticate"} if guarded and status == "401" else set()
        expected |= {"Idempotency-Replayed"} if status[0] == "2" and operation.get("x-idempotent") else set()
        for name in sorted(expected - set(headers)):
            yield f"{status} has no header {name}"
        for name, header in headers.items():
            if not resolve(document, header).get("description"):
                yield f"{status}: header {name} has no description"


def _examples(operation: Document, contract: Contract) -> Iterator[str]:
    places = {"request": operation.get("requestBody", {})} | operation["responses"]
    for place, entry in places.items():
        for media_type, content in resolve(contract.document, entry).get("content", {}).items():
            if not media_type.endswith("json"):
                continue
            examples = [content["example"]] if "example" in content else []
            examples += [named["value"] for named in content.get("examples", {}).values()]
            if not examples:
                yield f"{place} has no example"
            for example in examples:
                try:
                    contract.validate(place, content["schema"], example)
                except AssertionError as error:
                    yield f"example: {error}"


def _parameters(path: str, operation: Document, document: Document) -> Iterator[str]:
    declared = [resolve(document, parameter) for parameter in operation.get("parameters", [])]
    in_path = {parameter["name"] for parameter in declared if parameter["in"] == "path"}
    if in_path != set(re.findall(r"\{(\w+)\}", path)):
        yield f"path parameters {sorted(in_path)}"
    for parameter in declared:
        if not parameter.get("description"):
            yield f"parameter {parameter['name']} has no description"


def resolve(document: Document, entry: Document) -> Document:
    while "$ref" in entry:
        node: Any = document
        for part in entry["$ref"][2:].split("/"):
            node = node[part]
        entry = node
    return entry
