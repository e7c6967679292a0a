"""The ASGI application at /scim. Answers and errors are RFC 7644's, not those of /v1."""

from __future__ import annotations

from collections.abc import MutableMapping
from functools import cache
from hashlib import sha256
from typing import Any
from uuid import UUID

from scim2_models import AuthenticationScheme, SCIMException, ScimPolicy, ScimProvider, UnauthorizedException
from scim2_server.applications.asgi import ASGIApplication
from scim2_server.requests import ScimRequest
from scim2_server.responses import ScimResponse
from scim2_server.utils import (
    load_default_resource_types,
    load_default_schemas,
    load_default_service_provider_config,
)
from starlette.routing import Mount

from penguinmails_api.context import RequestContext
from penguinmails_api.exceptions import as_problem
from penguinmails_api.scim.storage import CLIENT, DirectoryStorage
from penguinmails_core.errors import Problem
from penguinmails_core.kit.doorbell import EVENTS, KEYS, TOKENS
from penguinmails_core.scim import repository
from penguinmails_core.scim.directory import ScimClient
from penguinmails_core.sso.service import TOKEN_PREFIX

PATH = "/scim"
MAX_RESULTS = 500
# What Entra ID and Okta send beyond the letter of the RFC: attributes nobody declared, `remove` with a value, a filter
# in a path that matches nothing yet.
_TOLERANT = ScimPolicy(
    unknown=ScimPolicy.Unknown.ignore,
    remove_value_as_filter="apply",
    unmatched_path_filter="create",
)


@cache
def provider() -> ScimProvider:
    """Users and groups of RFC 7643. No bulk, no passwords."""
    config = load_default_service_provider_config()
    assert config.bulk is not None
    assert config.change_password is not None
    assert config.filter is not None
    config.bulk.supported = False
    config.change_password.supported = False
    config.filter.max_results = MAX_RESULTS
    config.authentication_schemes = [
        AuthenticationScheme(
            type=AuthenticationScheme.Type.oauthbearertoken,
            name="Bearer token",
            description="A SCIM token of the connection (POST /v1/sso_connections/{id}/scim_tokens).",
            spec_uri="https://www.rfc-editor.org/info/rfc6750",
            primary=True,
        )
    ]
    return ScimProvider.from_discovery(
        load_default_schemas().values(), load_default_resource_types().values(), config=config, policy=_TOLERANT
    )


class Refused(SCIMException):
    """A problem of ours, told as SCIM tells them."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(detail=problem.detail)
        self.status = problem.status


class ScimApp(ASGIApplication):
    """Of one request: it knows the services and the visitor's address."""

    def __init__(self, context: RequestContext) -> None:
        self._context = context
        services = context.services
        super().__init__(DirectoryStorage(services.database, provider(), self._ended, self._felt), provider())

    async def read_request(self, scope: MutableMapping[str, Any], receive: Any) -> ScimRequest:
        """URLs in answers are of the configured address, never of the Host that was sent."""
        request = await super().read_request(dict(scope), receive)
        request.base_url = f"{self._context.services.public.base}{PATH}/v2"
        return request

    async def dispatch_request(self, request: ScimRequest) -> ScimResponse:
        token = None
        if self.needs_auth(request):
            token = CLIENT.set(await self._client(request))
        try:
            return await self.handler.handle(request)
        finally:
            if token is not None:
                CLIENT.reset(token)

    def handle_exception(self, request: ScimRequest, exception: Exception) -> ScimResponse:
        if isinstance(exception, SCIMException):
            return self.service.error_response(exception)
        context = self._context
        problem = as_problem(exception, context, context.scope, PATH)  # logs what is our fault
        response = self.service.error_response(Refused(problem))
        response.headers.update(problem.headers)
        return response

    async def _client(self, request: ScimRequest) -> ScimClient:
        """Raises `UnauthorizedException`, and `RateLimited` after many wrong tokens from one address."""
        services, address = self._context.services, self._context.client_address
        scheme, _, secret = (request.header("Authorization") or "").partition(" ")
        secret = secret.strip()
        row = None
        if scheme.lower() == "bearer" and secret.startswith(TOKEN_PREFIX):
            row = await repository.connection_of_token(services.database.worker, sha256(secret.encode()).digest())
        if row is None:
            services.failures.check(address)
            services.failures.count(address)
            raise UnauthorizedException(detail="Send a SCIM token of an active connection as a bearer token.")
        await repository.touch_token(services.database.worker, row["organization_id"], row["token_id"])
        return ScimClient(
            row["organization_id"], row["connection_id"], row["name"], row["default_role"], row["group_roles"]
        )

    def _felt(self) -> None:
        """Keys and tokens may have been cut."""
        self._context.services.doorbell.ring(KEYS, TOKENS, EVENTS)

    async def _ended(self, client: ScimClient, user_id: UUID) -> None:
        """The membership is gone and with it every right; browsers forget the organization, or the person."""
        services = self._context.services
        self._felt()
        sessions = services.identity.sessions
        if await repository.other_memberships(services.database.worker, user_id):
            await sessions.leave_organization(user_id, client.organization_id)
        else:
            await sessions.end_all(user_id)


async def serve(scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
    await ScimApp(scope["state"]["context"])(dict(scope), receive, send)


mount = Mount(PATH, app=serve)
