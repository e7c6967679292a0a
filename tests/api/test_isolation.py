"""Every operation of both versions that takes an id, called by everyone who must not know of it. A new operation is
tried by itself."""

from __future__ import annotations

import re
from typing import Any

import pytest

from penguinmails_core.api_keys.service import create_key
from penguinmails_core.kit import ids
from penguinmails_core.kit.db import Database
from tests.api.things import PATHS, body_of
from tests.fixtures.client import ApiClient, problem
from tests.fixtures.factories import Tenant, make_workspace

_APPROVAL = "tests/oauth/test_registration.py: the app is nobody's, and keys are told at once that owners alone approve"
ELSEWHERE = {
    "logs_get": "tests/api/v1/test_logs.py: what it shows is written in the background",
    "event_types_get": "tests/api/v1/test_event_types.py: one catalogue for everybody",
    "oauth_apps_approve": _APPROVAL,
    "oauth_apps_unapprove": _APPROVAL,
}
# Live and test data share these; keys of the other mode see them, keys of other organizations and workspaces do not.
IN_BOTH_MODES = {"domain_id", "workspace_id", "member_id", "role_id"}
# How people sign in, and what they can leave in all workspaces at once, concerns the whole organization: its own keys,
# bound ones too, know that it exists. (Topics of test mode: tests/api/v1/test_topics.py.)
ORGANIZATION_WIDE = {"connection_id", "topic_id"}
OPERATIONS = [
    (method.upper(), path, operation["operationId"])
    for path, entry in PATHS.items()
    for method, operation in entry.items()
    if path.startswith(("/v1/", "/v2/")) and "{" in path and operation["operationId"] not in ELSEWHERE
]


async def _state(client: ApiClient, path: str, things: dict[str, str]) -> Any:
    """What the owner sees of the thing that `path` is about, when there is a way to look at it."""
    place = path[: path.rindex("}") + 1]
    if "get" not in PATHS.get(place, {}):
        return None
    response = await client.get(place.format(**things))
    return response.json() if "json" in response.headers.get("content-type", "") else response.content


@pytest.mark.parametrize(
    ("method", "path", "name"), OPERATIONS, ids=[f"{path[1:3]}-{name}" for _, path, name in OPERATIONS]
)
async def test_nobody_else_sees_it(
    client: ApiClient,
    database: Database,
    tenant: Tenant,
    stranger: Tenant,
    things: dict[str, str],
    method: str,
    path: str,
    name: str,
) -> None:
    parameters = re.findall(r"\{(\w+)\}", path)
    assert set(parameters) <= set(things), f"make one in `things`: {set(parameters) - set(things)}"
    workspace = await make_workspace(database, tenant.id, "other")
    _, bound = await create_key(database, tenant.id, mode="live", name="bound", workspace_id=workspace)
    others = [stranger.key, bound]
    if ORGANIZATION_WIDE & set(parameters):
        others = [stranger.key]
    elif not IN_BOTH_MODES & set(parameters):
        others += [stranger.test, tenant.test]
    elif method == "GET":  # test keys may change none of these, and are told so before anybody looks for it
        others.append(stranger.test)
    real, body = path.format(**things), body_of(method, path, name)
    before = await _state(client, path, things)
    for key in others:
        problem(await client.as_(key).request(method, real, json=body), 404, "not_found")
    assert await _state(client, path, things) == before, "somebody who was told 404 has changed it all the same"
    # In each place, an id that is well-formed but was never given out.
    for parameter in parameters:
        prefix = things[parameter].partition("_")[0]
        unknown = path.format(**(things | {parameter: ids.encode(prefix, ids.new_uuid())}))
        problem(await client.request(method, unknown, json=body), 404, "not_found")
    # And the owner does see it: the others did not fail for some other reason.
    response = await client.request(method, real, json=body)
    if name == "domains_apply_dns_records":  # it is found, and then the name server that is inside is not called
        assert problem(response, 422, "validation_failed")["errors"][0]["pointer"] == "/rfc2136/server"
        return
    assert response.status_code in (200, 201, 202, 204, 409), response.text
