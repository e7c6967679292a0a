"""Nothing is served that is not documented, nothing is documented that is not served, and nothing is left unsaid."""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable
from typing import Any

import pytest
from fastapi import APIRouter, FastAPI
from starlette.routing import Mount, Route

from penguinmails_api.app import Api, api
from penguinmails_api.routing import operation
from penguinmails_api.v1 import hot_routes
from penguinmails_api.v1.emails import send_routes
from penguinmails_api.v2 import hot_routes as v2_routes
from penguinmails_core.config import ApiSettings
from tests.contract.completeness import Document, faults, gaps, operations, served, stand_ins
from tests.contract.lists import KEPT_OUT, PUBLIC
from tests.fixtures.client import ApiClient

HOT = set(hot_routes(ApiSettings())) | set(v2_routes(ApiSettings()))


def whole(app: Api) -> Document:
    """The paths of both versions; all else is of version 1."""
    return {**app.openapi(), "paths": app.openapi()["paths"] | app.openapi_v2()["paths"]}


def test_every_route_is_documented_and_every_operation_served() -> None:
    found = served(api().routes, HOT)
    document = whole(api())
    events = len(document["webhooks"])
    sys.stdout.write(f"{len(found)} routes, {sum(1 for _ in operations(document))} operations, {events} events\n")
    assert len(found) > 20
    assert gaps(found, document, KEPT_OUT) == []


def test_the_functions_that_document_hot_routes_are_never_called() -> None:
    """The gateway must have each of them, else their NotImplementedError is the answer."""
    assert stand_ins(api().routes, send_routes.__name__) <= HOT


def test_every_operation_says_everything() -> None:
    assert faults(api().openapi()) == []
    assert faults(api().openapi_v2()) == []


def test_only_the_listed_operations_are_public() -> None:
    without = {entry["operationId"] for _, _, entry in operations(whole(api())) if not entry["security"]}
    assert without == set(PUBLIC), "say in tests/contract/lists.py why anybody may call it"


async def test_everything_else_asks_for_credentials(client: ApiClient) -> None:
    """With none and with wrong ones; bodies do not matter, since nobody reads them."""
    tried = 0
    for method, path, entry in operations(whole(api())):
        if entry["security"]:
            for caller in (client.as_(None, address=f"192.0.2.{tried % 250}"),):
                response = await caller.request(method.upper(), path)
                assert response.status_code == 401, f"{method} {path}"
                assert response.headers["www-authenticate"], f"{method} {path}"
                tried += 1
    assert tried > 15


# ---- that each of these checks can fail


def test_a_route_without_specification_is_found() -> None:
    app = Api()
    document = whole(app)
    hidden = APIRouter()

    @hidden.get("/v1/forgotten", include_in_schema=False)
    async def get_forgotten() -> None: ...

    app.add(hidden)
    assert gaps(served(app.routes, HOT), document, KEPT_OUT) == ["GET /v1/forgotten is served and not documented"]


def test_a_hot_route_and_a_mounted_application_without_specification_are_found() -> None:
    document = whole(api())
    found = served(api().routes, HOT | {("POST", "/v1/fast")})
    assert gaps(found, document, KEPT_OUT) == ["POST /v1/fast is served and not documented"]

    async def answer(*_: Any) -> None: ...

    inner = FastAPI(routes=[Route("/things", answer, methods=["PUT"])], openapi_url=None)
    found = served([*api().routes, Mount("/inner", inner), Mount("/opaque", answer)], HOT)
    assert gaps(found, document, KEPT_OUT) == [
        "* /opaque is served and not documented",
        "PUT /inner/things is served and not documented",
    ]


def test_an_operation_that_nothing_answers_is_found() -> None:
    document = copy.deepcopy(whole(api()))
    document["paths"]["/v1/ghost"] = {"get": document["paths"]["/v1/me"]["get"]}
    assert gaps(served(api().routes, HOT), document, KEPT_OUT) == ["GET /v1/ghost is documented and not served"]
    found = gaps(served(api().routes, HOT), whole(api()), KEPT_OUT | {"/old": "was removed"})
    assert found == ["/old is kept out of the document and not served"]


def test_a_bare_route_is_refused() -> None:
    """What FastAPI writes by itself is not enough."""
    app = Api()
    router = APIRouter(prefix="/v1/bare", tags=["me"])

    @router.post("", **operation("bare_create"))
    async def create(body: dict[str, Any]) -> dict[str, int]:
        return {}

    app.add(router)
    found = "\n".join(faults(app.openapi()))
    for text in ("operationId bare_create does not start with its tag", "no description", "a POST without Idempotency"):
        assert text in found


def _drop(*path: str) -> Callable[[Document], None]:
    def change(operation: Document) -> None:
        node = operation
        for part in path[:-1]:
            node = node[part]
        del node[path[-1]]

    return change


def _set(name: str, value: object) -> Callable[[Document], None]:
    return lambda operation: operation.update({name: value})


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (_drop("responses", "409"), "does not declare 409"),
        (_drop("responses", "415"), "does not declare 415"),
        (_drop("responses", "201"), "declares no success"),
        (_drop("responses", "201", "headers", "RateLimit"), "201 has no header RateLimit"),
        (_drop("responses", "201", "headers", "Idempotency-Replayed"), "201 has no header Idempotency-Replayed"),
        (_drop("responses", "201", "content", "application/json", "example"), "201 has no example"),
        (_drop("requestBody", "content", "application/json", "example"), "request has no example"),
        (_drop("x-required-scopes"), "declares no scopes"),
        (_set("x-required-scopes", ["emails:read"]), "security and x-required-scopes differ"),
        (_set("x-cost", None), "x-cost is None"),
        (_drop("x-idempotent"), "does not say whether it takes an Idempotency-Key"),
        (_set("parameters", []), "the Idempotency-Key parameter differ"),
        (_set("summary", ""), "no summary"),
        (_set("description", " "), "no description"),
        (_set("operationId", "Create-It"), "operationId 'Create-It'"),
        (_set("operationId", "me_get"), "is used twice"),
    ],
)
def test_whatever_is_left_out_is_found(change: Callable[[Document], None], text: str) -> None:
    document = copy.deepcopy(api().openapi())
    change(document["paths"]["/v1/webhook_endpoints"]["post"])
    assert text in "\n".join(faults(document))


def test_a_wrong_example_is_found() -> None:
    document = copy.deepcopy(api().openapi())
    content = document["paths"]["/v1/webhook_endpoints"]["post"]["requestBody"]["content"]["application/json"]
    content["example"] = {"url": 5}
    assert "example: request: not as documented" in "\n".join(faults(document))
