"""Payload filters: a small predicate language in JSON, with which an endpoint asks for some of its events only.

    {"data.recipient.address": {"$endsWith": "@example.com"}, "$or": [{"data.tags": "order"}, {"mode": "test"}]}

A predicate is an object, and all of its entries must hold. A key is `$and` or `$or` (a list of predicates), `$not` (a
predicate), or a path into the event: member names with dots between them (``\\.`` for a dot in a name), through lists
into each of their elements. At a path stands a value to be equal to, or an object of operators and deeper paths.
`docs/webhooks.md` has the table of operators.

Filters are checked when they are stored (`parse`), compiled once for the fan-out (`compile_filter`), and explained
clause by clause to people who try them (`explain`).
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from penguinmails_core.errors import FieldError
from penguinmails_webhooks.filter_operators import OPERATORS, InvalidOperand, Test, candidates

log = logging.getLogger(__name__)

MAX_DEPTH = 8  # of objects in objects
MAX_CLAUSES = 64
MAX_PATH, MAX_SEGMENTS = 200, 12
MAX_BYTES = 8192  # of the filter as JSON

Predicate = Callable[[Any], bool]
_DOT = re.compile(r"(?<!\\)\.")


class InvalidFilter(ValueError):
    """A filter that cannot be used. `errors` point at each bad spot, below the pointer that was given to `parse`."""

    def __init__(self, errors: list[FieldError]) -> None:
        super().__init__("; ".join(error.detail for error in errors))
        self.errors = tuple(errors)


@dataclass(frozen=True, slots=True)
class Clause:
    """One comparison: `operator` with `operand` on what stands at `path`. `pointer`: where it is written."""

    pointer: str
    path: tuple[str, ...]
    operator: str
    operand: Any
    test: Test

    def holds(self, document: Any) -> bool:
        return self.test(document, self.path)


@dataclass(frozen=True, slots=True)
class Group:
    """`kind`: all, any or not (of its one member)."""

    pointer: str
    kind: str
    members: tuple[Node, ...]


Node = Clause | Group


def parse(given: Any, *, pointer: str = "/filter") -> Node:
    """The filter as a tree. Raises `InvalidFilter` naming everything that is wrong with it."""
    reader = _Reader()
    try:
        size = len(orjson.dumps(given))
    except (TypeError, ValueError):
        detail = "The filter is nested too deeply, or holds a number beyond 64 bits or text that is not Unicode."
        raise InvalidFilter([FieldError(pointer, "invalid_json", detail)]) from None
    if size > MAX_BYTES:
        detail = f"The filter has {size} bytes as JSON; the limit is {MAX_BYTES}."
        raise InvalidFilter([FieldError(pointer, "too_long", detail)])
    node = reader.predicate(given, pointer, (), 1)
    if reader.clauses > MAX_CLAUSES:
        detail = f"The filter has {reader.clauses} comparisons; the limit is {MAX_CLAUSES}."
        reader.errors.append(FieldError(pointer, "too_many", detail))
    if reader.errors:
        raise InvalidFilter(reader.errors)
    return node


class _Reader:
    """Goes on after an error, so that all of them are told at once."""

    def __init__(self) -> None:
        self.errors: list[FieldError] = []
        self.clauses = 0

    def _wrong(self, pointer: str, code: str, detail: str) -> Group:
        self.errors.append(FieldError(pointer, code, detail))
        return Group(pointer, "all", ())

    def predicate(self, given: Any, pointer: str, path: tuple[str, ...], depth: int) -> Node:
        """An object about what stands at `path`: all of its entries must hold."""
        if not isinstance(given, Mapping):
            return self._wrong(pointer, "invalid_type", 'A predicate is a JSON object, such as {"type": "email.sent"}.')
        if depth > MAX_DEPTH:
            return self._wrong(pointer, "too_deep", f"Filters are at most {MAX_DEPTH} objects deep.")
        if not given:
            return self._wrong(pointer, "empty", "An empty predicate says nothing; leave it out.")
        members = [self._entry(key, value, _join(pointer, key), path, depth) for key, value in given.items()]
        return members[0] if len(members) == 1 else Group(pointer, "all", tuple(members))

    def _entry(self, key: str, value: Any, pointer: str, path: tuple[str, ...], depth: int) -> Node:
        if key in ("$and", "$or"):
            if not isinstance(value, list) or not value:
                return self._wrong(pointer, "invalid_type", f"`{key}` is a list of at least one object.")
            members = [self.predicate(item, f"{pointer}/{i}", path, depth + 1) for i, item in enumerate(value)]
            return Group(pointer, "all" if key == "$and" else "any", tuple(members))
        if key == "$not":
            return Group(pointer, "not", (self.predicate(value, pointer, path, depth + 1),))
        if key in OPERATORS:
            if path:
                return self._clause(key, value, pointer, path)
            detail = f"`{key}` compares what stands at a path: name the path first."
            return self._wrong(pointer, "misplaced_operator", detail)
        if key.startswith("$"):
            known = ", ".join([*OPERATORS, "$and", "$or", "$not"])
            return self._wrong(pointer, "unknown_operator", f"`{key[:50]}` is no operator; there are {known}.")
        return self._named(key, value, pointer, path, depth)

    def _named(self, key: str, value: Any, pointer: str, path: tuple[str, ...], depth: int) -> Node:
        """What stands at a name or path: a value, or an object of operators and deeper names."""
        full = path + tuple(part.replace("\\.", ".") for part in _DOT.split(key))
        if len(key) > MAX_PATH or len(full) > MAX_SEGMENTS:
            detail = f"A path has at most {MAX_PATH} characters and {MAX_SEGMENTS} names."
            return self._wrong(pointer, "too_long", detail)
        if not all(full) or "\0" in key:
            return self._wrong(pointer, "invalid_path", "A path is names with dots between them, none of them empty.")
        if isinstance(value, Mapping):
            return self.predicate(value, pointer, full, depth + 1)
        if isinstance(value, list):
            detail = "A list is not compared; use $in for any of these values, or $and for several conditions."
            return self._wrong(pointer, "invalid_type", detail)
        return self._clause("$eq", value, pointer, full)

    def _clause(self, operator: str, operand: Any, pointer: str, path: tuple[str, ...]) -> Node:
        self.clauses += 1
        try:
            return Clause(pointer, path, operator, operand, OPERATORS[operator](operand))
        except InvalidOperand as error:
            return self._wrong(pointer, error.code, f"`{operator}` {error}.")


def _join(pointer: str, key: str) -> str:
    return f"{pointer}/{key[:MAX_PATH].replace('~', '~0').replace('/', '~1')}"


def compile_filter(node: Node) -> Predicate:
    """A function of an event, for the hot path: no tree is walked and nothing is looked up when it runs."""
    if isinstance(node, Clause):
        test, path = node.test, node.path
        return lambda document: test(document, path)
    members = [compile_filter(member) for member in node.members]
    if node.kind == "not":
        inner = members[0]
        return lambda document: not inner(document)
    if node.kind == "all":
        return lambda document: all(member(document) for member in members)
    return lambda document: any(member(document) for member in members)


@dataclass(frozen=True, slots=True)
class ClauseResult:
    """How one comparison ended. `found`: what stood at its path, at most ten values."""

    clause: Clause
    holds: bool
    found: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Explanation:
    """`failed`: pointers to what kept the event out; empty when it matches."""

    matches: bool
    failed: tuple[str, ...]
    clauses: tuple[ClauseResult, ...]


def explain(node: Node, document: Any) -> Explanation:
    """Every comparison with its result, and which of them decided against the event."""
    results = tuple(
        ClauseResult(clause, clause.holds(document), tuple(candidates(document, clause.path))[:10])
        for clause in clauses(node)
    )
    matches, failed = _judge(node, document)
    return Explanation(matches, failed, results)


def clauses(node: Node) -> Iterator[Clause]:
    if isinstance(node, Clause):
        yield node
    else:
        for member in node.members:
            yield from clauses(member)


def _judge(node: Node, document: Any) -> tuple[bool, tuple[str, ...]]:
    if isinstance(node, Clause):
        holds = node.holds(document)
        return holds, () if holds else (node.pointer,)
    judged = [_judge(member, document) for member in node.members]
    if node.kind == "not":
        holds = not judged[0][0]
        return holds, () if holds else (node.pointer,)
    holds = all(held for held, _ in judged) if node.kind == "all" else any(held for held, _ in judged)
    return holds, () if holds else tuple(pointer for _, failed in judged for pointer in failed)


class FilterCache:
    """Compiled filters of endpoints, each made anew when its endpoint was changed. One process, one event loop."""

    def __init__(self, size: int = 10_000) -> None:
        self._size = size
        self._kept: dict[Any, tuple[Any, Predicate]] = {}

    def get(self, endpoint_id: Any, updated_at: Any, given: str) -> Predicate:
        """The filter of an endpoint, given as JSON text. One that an older version took and this one cannot read lets
        everything pass: too much is noticed, too little is lost."""
        kept = self._kept.get(endpoint_id)
        if kept is not None and kept[0] == updated_at:
            return kept[1]
        try:
            predicate = compile_filter(parse(orjson.loads(given)))
        except InvalidFilter as error:
            log.error("webhook endpoint %s: its filter cannot be read and lets everything pass: %s", endpoint_id, error)
            predicate = _everything
        if len(self._kept) >= self._size:
            self._kept.clear()
        self._kept[endpoint_id] = updated_at, predicate
        return predicate


def _everything(_: Any) -> bool:
    return True
