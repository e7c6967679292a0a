"""The application: which routes there are, and the gateway around them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import Any

from fastapi import FastAPI
from fastapi.middleware.asyncexitstack import AsyncExitStackMiddleware
from fastapi.routing import APIRoute, APIRouter
from fastapi.telemetry import TelemetryConfig
from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute, Match
from starlette.types import ASGIApp, Receive, Scope, Send

from penguinmails_api import health, openapi
from penguinmails_api.conventions.middleware import Conventions
from penguinmails_api.gateway import AccessLog, Gateway, HotRoute
from penguinmails_api.graphql.endpoint import hot_routes as graphql_routes
from penguinmails_api.graphql.routes import router as graphql
from penguinmails_api.identity.routes import ROUTERS as SIGN_IN
from penguinmails_api.inbound.endpoints import router as inbound
from penguinmails_api.mail_pages.routes import ROUTERS as MAIL_PAGES
from penguinmails_api.oauth2.routes import ROUTERS as OAUTH
from penguinmails_api.observability.logs import access_log as write_access_log
from penguinmails_api.portal.routes import ROUTERS as PORTAL
from penguinmails_api.reference.routes import ROUTERS as PAGES
from penguinmails_api.scim.app import mount as scim
from penguinmails_api.services import Services
from penguinmails_api.v1 import ROUTERS, hot_routes
from penguinmails_api.v2 import ROUTERS as V2
from penguinmails_api.v2 import hot_routes as v2_routes

# FastAPI's own would send exception texts, which may hold addresses; ours is in `observability/telemetry.py`.
_NO_TELEMETRY: TelemetryConfig = {
    "tracing": False,
    "metrics": False,
    "logs": False,
    "operation_spans": False,
    "auto_configure": False,
}


class Api(FastAPI):
    """FastAPI without its middleware: errors are rendered by the gateway, and bodies are bounded there."""

    def __init__(self) -> None:
        self._v2: dict[str, Any] | None = None
        self._methods: dict[str, set[str]] = {}
        self._special: list[tuple[re.Pattern[str], str]] | None = None  # made when it is asked for
        super().__init__(
            docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False, telemetry=_NO_TELEMETRY
        )
        for router in (*ROUTERS, *V2, graphql, health.router, inbound, *OAUTH, *PAGES, *SIGN_IN, *PORTAL, *MAIL_PAGES):
            self.add(router)
        self.router.routes.append(scim)

    def add(self, router: APIRouter) -> None:
        """Routers bring their full prefix, so routes stay one flat list that can be read and counted."""
        self.router.routes.extend(router.routes)
        for route in router.routes:
            if isinstance(route, APIRoute):
                self._methods.setdefault(route.path, set()).update(route.methods or ())
        self._special = None

    def _hides_another(self, path: str) -> bool:
        """Whether a route with an id matches this path too: /v1/emails/{id} and /v1/emails/batch."""
        mine = path.split("/")
        return any(
            other != path
            and len(theirs := other.split("/")) == len(mine)
            and all(a == b or b.startswith("{") for a, b in zip(mine, theirs, strict=True))
            and sum(part.startswith("{") for part in theirs) > sum(part.startswith("{") for part in mine)
            for other in self._methods
        )

    def _special_methods(self, path: str) -> set[str] | None:
        if path in self._methods:
            return self._methods[path]
        if self._special is None:
            self._special = [(route_regex(path), path) for path in self._methods if self._hides_another(path)]
        return next((self._methods[template] for regex, template in self._special if regex.match(path)), None)

    def build_middleware_stack(self) -> ASGIApp:
        return AsyncExitStackMiddleware(Conventions(self._route))

    async def _route(self, scope: Scope, receive: Receive, send: Send) -> None:
        """A fixed path is a resource of its own: DELETE /v1/emails/batch is 405, and no email is called batch."""
        methods = self._special_methods(scope["path"])
        if methods is not None and scope["method"] not in methods:
            raise HTTPException(405)
        await self.router(scope, receive, send)

    def openapi(self) -> dict[str, Any]:
        if not self.openapi_schema:
            self.openapi_schema = openapi.build([route for route in self.routes if not _is_v2(route)])
        return self.openapi_schema

    def openapi_v2(self) -> dict[str, Any]:
        """Of what version 2 does differently; all else is in version 1."""
        if self._v2 is None:
            self._v2 = openapi.build([route for route in self.routes if _is_v2(route)], events=False)
        return self._v2

    def methods_of(self, path: str) -> str:
        """What a 405 says in Allow: the methods of all routes at this path."""
        if special := self._special_methods(path):
            return ", ".join(sorted(special))
        probe = {"type": "http", "path": path, "method": "", "root_path": ""}
        methods: set[str] = set()
        for route in self.routes:
            if isinstance(route, APIRoute) and route.matches(probe)[0] is not Match.NONE:
                methods |= route.methods or set()
        return ", ".join(sorted(methods))


def _is_v2(route: BaseRoute) -> bool:
    return str(getattr(route, "path", "")).startswith("/v2/")


def route_regex(path: str) -> re.Pattern[str]:
    return re.compile("^" + re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(path)) + "$")


@cache
def api() -> Api:
    """The routes and their specification; they are the same for every server in a process."""
    return Api()


def create_gateway(
    services: Services,
    *,
    hot: Mapping[tuple[str, str], HotRoute] | None = None,
    access_log: AccessLog | None = None,
) -> Gateway:
    """The ASGI application over open services. The caller closes them after the server has stopped."""
    if hot is None:
        hot = hot_routes(services.settings.api) | v2_routes(services.settings.api) | graphql_routes()
    if access_log is None and services.settings.stack.access_log:
        access_log = write_access_log
    if services.telemetry is not None:
        from penguinmails_api.observability.telemetry import TracedGateway

        return TracedGateway(api(), services, hot, access_log=access_log)
    return Gateway(api(), services, hot, access_log=access_log)
