"""The OpenAPI 3.1 document. FastAPI's draft is completed here: problems, headers, security, and webhooks."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from fastapi.openapi.utils import get_openapi
from starlette.routing import BaseRoute

from penguinmails_api.conventions import document as conventions
from penguinmails_api.openapi.finish import finish
from penguinmails_api.openapi.headers import ALWAYS, HEADERS, IDEMPOTENCY_KEY, LIMITS
from penguinmails_api.openapi.problems import ERRORS, FIELD_ERROR, PROBLEM, problem_responses
from penguinmails_api.openapi.prune import prune
from penguinmails_api.openapi.security import security_schemes
from penguinmails_api.openapi.text import DESCRIPTION, TAGS
from penguinmails_api.version import VERSION
from penguinmails_webhooks.events import openapi_webhooks

Document = dict[str, Any]


def build(routes: Sequence[BaseRoute], *, events: bool = True) -> Document:
    """The document for these routes. `events`: with all webhooks, which no version of the paths changes."""
    document = get_openapi(
        title="PenguinMails",
        version=VERSION,
        openapi_version="3.1.0",
        summary="Self-hosted API platform for outbound email",
        description=DESCRIPTION,
        routes=routes,
        tags=[{"name": name, "description": text} for name, text in TAGS],
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
        servers=[{"url": "/", "description": "The server that this document came from"}],
    )
    components = document.setdefault("components", {})
    components["securitySchemes"] = security_schemes()
    components["headers"] = HEADERS | conventions.HEADERS
    components["responses"] = problem_responses()
    components["parameters"] = {"IdempotencyKey": IDEMPOTENCY_KEY} | conventions.PARAMETERS
    schemas = components.setdefault("schemas", {})
    declared = conventions.declarations(routes)
    for path, entry in document["paths"].items():
        for method, operation in entry.items():
            if method in ("post", "put", "patch") and operation["security"]:
                operation["x-errors"] += [413, 415]  # the gateway bounds every body and takes nothing but JSON
            conventions.describe(method, path, operation, declared[operation["operationId"]], schemas)
            _complete(operation)
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    schemas |= {"Problem": PROBLEM, "FieldError": FIELD_ERROR}
    if events:
        document["webhooks"], event_schemas = openapi_webhooks()
        for name, schema in event_schemas.items():
            schemas.setdefault(name, schema)
    used = {tag for path in document["paths"].values() for operation in path.values() for tag in operation["tags"]}
    used |= {"webhooks"} if events else set()
    document["tags"] = [tag for tag in document["tags"] if tag["name"] in used]
    prune(document)
    finish(document)
    return document


def _complete(operation: Document) -> None:
    """Headers of every answer, and the problems that `routing.operation` named."""
    under_key = bool(operation["security"])
    headers = (*ALWAYS, *(LIMITS if under_key else ()))
    responses = operation["responses"]
    if "content" in responses.get("422", {}) and "HTTPValidationError" in json.dumps(responses["422"]):
        del responses["422"]
    if operation.get("x-idempotent"):
        operation.setdefault("parameters", []).append({"$ref": "#/components/parameters/IdempotencyKey"})
        headers = (*headers, "Idempotency-Replayed")
    for response in responses.values():
        for media_type, entry in response.get("content", {}).items():
            if media_type == "application/octet-stream":  # both spellings of "bytes", for old and new generators
                entry["schema"] = {"type": "string", "format": "binary"}
        response.setdefault("headers", {}).update({name: {"$ref": f"#/components/headers/{name}"} for name in headers})
    suffix = "" if under_key else "Public"
    for status in operation.pop("x-errors"):
        responses.setdefault(str(status), {"$ref": f"#/components/responses/{ERRORS[status][0]}{suffix}"})
    operation["responses"] = dict(sorted(responses.items()))


def render(document: Document) -> str:
    """Sorted and indented, so that a change of the API is a small difference of the file."""
    return json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
