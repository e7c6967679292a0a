"""Every operation of both versions, called by somebody of every role: the matrix says whether it is refused.

The people are signed in for real; the ids in paths are of nothing, except where the refusal depends on the thing.
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any

import pytest

from penguinmails_api.app import api
from penguinmails_api.services import Services
from penguinmails_core.kit import ids
from penguinmails_core.kit.db import Database
from penguinmails_core.roles import FOR_ALL_WORKSPACES, OWNERS_ONLY, OrganizationRole, WorkspaceRole, may
from tests.fixtures.client import ApiClient
from tests.fixtures.factories import Tenant, make_workspace
from tests.fixtures.people import make_member, make_role, sign_in

REFUSALS = ("missing_scope", "owners_only", "forbidden")  # other 403s are about the request, not about who asks
BODIES: dict[str, Any] = {
    "invitations_create": {"email": "grace@example.com"},
    "organizations_update": {"timezone": "UTC"},
}
HIDDEN = {"roles_get", "roles_update", "roles_delete"}  # custom roles do not exist for limited members: 404
LAST = "organizations_leave"


def _operations() -> list[tuple[str, str, dict[str, Any]]]:
    documents = ((api().openapi(), "/v1/"), (api().openapi_v2(), "/v2/"))
    found = [
        (method.upper(), path, operation)
        for document, under in documents
        for path, entry in document["paths"].items()
        for method, operation in entry.items()
        if path.startswith(under)
    ]
    return sorted(found, key=lambda item: item[2]["operationId"] == LAST)


OPERATIONS = _operations()


def _body(operation: dict[str, Any]) -> Any:
    content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
    return BODIES.get(operation["operationId"], content.get("example"))


def _path(path: str, operation: dict[str, Any], known: dict[str, str]) -> str:
    found = dict(known)
    for parameter in operation.get("parameters", []):
        if parameter.get("in") == "path" and parameter["name"] not in found:
            prefix = re.match(r"\^([a-z]+)_", parameter["schema"].get("pattern", ""))
            found[parameter["name"]] = ids.encode(prefix[1] if prefix else "msg", ids.new_uuid())
    return path.format(**found)


@pytest.mark.parametrize("role", [*OrganizationRole, *WorkspaceRole], ids=lambda role: f"{type(role).__name__}-{role}")
async def test_what_a_role_may_do(
    services: Services, client: ApiClient, database: Database, tenant: Tenant, role: OrganizationRole | WorkspaceRole
) -> None:
    workspace = await make_workspace(database, tenant.id, "one")
    await make_member(database, tenant.id, "owner")
    if isinstance(role, WorkspaceRole):
        person = await make_member(database, tenant.id, workspaces={workspace: role})
    else:
        person = await make_member(database, tenant.id, role)
    browser = await sign_in(services, client, person.user_id, tenant.id)
    known = {
        "workspace_id": ids.encode("ws", workspace),
        "role_id": ids.encode("rol", await make_role(database, tenant.id, "Reader", ["emails:read"])),
    }
    wrong = []
    for method, path, operation in OPERATIONS:
        name = operation["operationId"]
        expected = may(role, name, operation["x-required-scopes"])
        sent = _path(path, operation, known) + ("" if method == "GET" or name == LAST else _rehearsal(operation))
        response = await browser.request(method, sent, json=_body(operation))
        refused = response.status_code == 403 and response.json()["code"] in REFUSALS
        if isinstance(role, WorkspaceRole) and name in HIDDEN and response.status_code == 404:
            refused = True
        assert response.status_code != 401, name
        if refused is expected:
            wrong.append(
                f"{name}: {'allowed' if expected else 'refused'} by the matrix, answered {response.text[:200]}"
            )
    assert wrong == []


def _rehearsal(operation: dict[str, Any]) -> str:
    """Nothing that is allowed changes what later calls find."""
    parameters = [p.get("name") or p.get("$ref", "").rpartition("/")[2] for p in operation.get("parameters", [])]
    return "?dry_run=true" if any(name.lower().replace("_", "") == "dryrun" for name in parameters) else ""


def test_the_rules_beyond_scopes_name_real_operations() -> None:
    names = {operation["operationId"] for _, _, operation in OPERATIONS}
    assert names >= OWNERS_ONLY | FOR_ALL_WORKSPACES
    assert len(OPERATIONS) > 60


def test_roles_are_ordered_from_most_to_least() -> None:
    """What an admin may, an owner may, and so on down; the one for billing stands beside."""
    for version in ([*OrganizationRole][:-1], [*WorkspaceRole]):
        for more, less in pairwise(version):
            for _, _, operation in OPERATIONS:
                scopes = operation["x-required-scopes"]
                if may(less, operation["operationId"], scopes):
                    assert may(more, operation["operationId"], scopes), (more, less, operation["operationId"])
