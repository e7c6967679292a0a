"""From method and path to the operation, before the framework routes: its name, its cost, its own limits."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from fastapi.routing import APIRoute
from starlette.routing import BaseRoute

from penguinmails_api.rate_limits.special import Declared, declared_on

_ANY, _REST, _HERE = "{}", "{path}", ""


@dataclass(frozen=True, slots=True)
class RouteFacts:
    """`template` is the path with the names of its parameters."""

    operation: str
    template: str
    cost: int = 1
    limits: tuple[Declared, ...] = ()


UNMATCHED = RouteFacts("unmatched", "unmatched")


class RouteIndex:
    """A tree of path segments; a fixed segment goes before a parameter, as in the router's order."""

    def __init__(self, routes: Iterable[BaseRoute]) -> None:
        self._tree: dict[str, Any] = {}
        for route in routes:
            if isinstance(route, APIRoute):
                self._add(route)

    def find(self, method: str, path: str) -> RouteFacts:
        """`UNMATCHED` when there is no such route; a wrong method is one."""
        facts = _walk(self._tree, path.split("/"), 1, "GET" if method == "HEAD" else method)
        return facts or UNMATCHED

    def _add(self, route: APIRoute) -> None:
        node = self._tree
        for segment in route.path.split("/")[1:]:
            name = (_REST if segment.endswith(":path}") else _ANY) if segment.startswith("{") else segment
            node = node.setdefault("/" + name, {})
        cost = (route.openapi_extra or {}).get("x-cost", 1)
        facts = RouteFacts(route.operation_id or route.name, route.path, cost, declared_on(route.endpoint))
        for method in route.methods or ():
            node.setdefault(_HERE, {}).setdefault(method, facts)


def _walk(node: dict[str, Any], segments: list[str], at: int, method: str) -> RouteFacts | None:
    if at == len(segments):
        here: dict[str, RouteFacts] = node.get(_HERE, {})
        return here.get(method)
    for name in (segments[at], _ANY):
        child = node.get("/" + name)
        if child is not None and (found := _walk(child, segments, at + 1, method)) is not None:
            return found
    rest = node.get("/" + _REST)
    return rest.get(_HERE, {}).get(method) if rest is not None else None
