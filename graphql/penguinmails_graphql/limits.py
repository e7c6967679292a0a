"""What a document may ask for. Checked before anything runs, so an expensive question costs nothing but the check."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    InlineFragmentNode,
    IntValueNode,
    OperationDefinitionNode,
    SelectionSetNode,
    VariableNode,
)

from penguinmails_graphql.relay import DEFAULT_PAGE, MAX_PAGE

MAX_TOKENS = 5_000
MAX_DEPTH = 18  # introspection as tools write it is 15 deep
MAX_FIELDS = 500  # as written, fragments spread
MAX_NODES = 10_000  # items that all connections of a document may return together
NODES_PER_UNIT = 100  # one request of REST lists at most a hundred items, and costs one
_NUL = re.compile(r"\0|\\u(?:0000|\{0+\})").search  # as such, or as an escape in a literal

COSTS = {"usage": 5, "apiKeyUsage": 5, "checkContent": 5}  # root fields whose operation of REST costs more than one


@dataclass(slots=True)
class Size:
    """`nodes`: the most items that can come back. `cost`: what it takes from the budget that it shares with REST: one
    for a query, or what each of its mutations costs there; more for what costs more, and for every hundred items."""

    fields: int = 0
    depth: int = 0
    nodes: int = 0
    extra: int = 0
    mutates: bool = False

    @property
    def cost(self) -> int:
        return max(1, self.extra + self.nodes // NODES_PER_UNIT + (0 if self.mutates else 1))


class _Measure:
    def __init__(
        self, fragments: Mapping[str, FragmentDefinitionNode], variables: Mapping[str, Any], size: Size
    ) -> None:
        self._fragments = fragments
        self._variables = variables
        self._size = size

    def walk(self, selections: SelectionSetNode, depth: int, times: int, inside: frozenset[str]) -> None:
        size = self._size
        size.depth = max(size.depth, depth)
        if depth > MAX_DEPTH:
            raise _refused(
                f"The query is nested more than {MAX_DEPTH} levels deep. Ask in two steps.", "query_too_deep"
            )
        for node in selections.selections:
            match node:
                case FieldNode():
                    self._field(node, depth, times, inside)
                case InlineFragmentNode():
                    self.walk(node.selection_set, depth, times, inside)
                case FragmentSpreadNode():
                    name = node.name.value
                    fragment = self._fragments.get(name)
                    if fragment is not None and name not in inside:  # a cycle is refused by validation
                        self.walk(fragment.selection_set, depth, times, inside | {name})

    def _field(self, node: FieldNode, depth: int, times: int, inside: frozenset[str]) -> None:
        size = self._size
        size.fields += 1
        if size.fields > MAX_FIELDS:
            raise _refused(f"The query has more than {MAX_FIELDS} fields. Ask for less at once.", "query_too_large")
        if depth == 1 and not node.name.value.startswith("__"):
            size.extra += COSTS.get(node.name.value, 1) - (0 if size.mutates else 1)
        if node.selection_set is None:
            return
        page = self._page(node)
        if page is not None:
            times *= page
            size.nodes += times
            if size.nodes > MAX_NODES:
                raise _refused(
                    f"The query could return more than {MAX_NODES} items. Ask for smaller pages (`first`).",
                    "query_too_expensive",
                )
        self.walk(node.selection_set, depth + 1, times, inside)

    def _page(self, node: FieldNode) -> int | None:
        """The page size of a connection; None for a field that is none. A connection is known by its selection."""
        selected = {item.name.value for item in node.selection_set.selections if isinstance(item, FieldNode)}  # type: ignore[union-attr]
        asked = {argument.name.value: argument.value for argument in node.arguments or ()}
        if not selected & {"edges", "nodes", "pageInfo"} and not asked.keys() & {"first", "last"}:
            return None
        value = asked.get("first") or asked.get("last")
        number: Any = DEFAULT_PAGE
        if isinstance(value, IntValueNode):
            number = int(value.value)
        elif isinstance(value, VariableNode):
            number = self._variables.get(value.name.value, DEFAULT_PAGE)
        return number if isinstance(number, int) and 0 < number <= MAX_PAGE else MAX_PAGE


def measure(
    operation: OperationDefinitionNode,
    fragments: Mapping[str, FragmentDefinitionNode],
    variables: Mapping[str, Any],
) -> Size:
    """Raises `GraphQLError` when the operation asks for too much."""
    size = Size(mutates=operation.operation.value == "mutation")
    _Measure(fragments, variables, size).walk(operation.selection_set, 1, 1, frozenset())
    return size


def refuse_nul(query: str, variables: Mapping[str, Any]) -> None:
    """PostgreSQL keeps no NUL in text, and no name or address has one. Raises `GraphQLError`."""
    if _NUL(query) or _holds_nul(variables):
        raise _refused("The request holds a NUL character. Remove it.", "nul_character")


def _holds_nul(value: Any) -> bool:
    if isinstance(value, str):
        return "\0" in value
    if isinstance(value, Mapping):
        return any(_holds_nul(key) or _holds_nul(item) for key, item in value.items())
    return isinstance(value, list) and any(_holds_nul(item) for item in value)


def _refused(detail: str, code: str) -> GraphQLError:
    return GraphQLError(detail, extensions={"code": code, "status": 400})
