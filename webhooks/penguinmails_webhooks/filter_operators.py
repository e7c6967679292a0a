"""The comparisons of payload filters. Each one is made of its operand, and never raises whatever it is shown.

Several values may stand at one path, because it leads through lists: a comparison holds when it holds for any of them,
and `$ne`, `$nin` hold when `$eq`, `$in` do not. Numbers compare with numbers and text with text (code point by code
point, which puts RFC 3339 times in UTC in their order); what cannot be compared does not hold. A missing value is equal
to null, as writers may leave out what is null; `$exists` tells them apart.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

MAX_TEXT = 1000  # characters of an operand
MAX_VALUES = 100  # of $in and $nin

Test = Callable[[Any, tuple[str, ...]], bool]
"""Whether a comparison holds in a document at a path."""

_MISSING: Any = object()


class InvalidOperand(ValueError):
    """The message continues the operator's name, such as "takes a number"."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def candidates(document: Any, path: tuple[str, ...]) -> Iterator[Any]:
    """What stands at a path: a list at its end as a whole, and each of its elements."""
    for value in _resolve(document, path, 0):
        yield value
        if isinstance(value, list):
            yield from value


def _resolve(value: Any, path: tuple[str, ...], start: int) -> Iterator[Any]:
    for place in range(start, len(path)):
        if isinstance(value, list):
            for item in value:
                if isinstance(item, Mapping):  # a list in a list has no names
                    yield from _resolve(item, path, place)
            return
        if not isinstance(value, Mapping) or path[place] not in value:
            return
        value = value[path[place]]
    yield value


def _any(holds: Callable[[Any], bool]) -> Test:
    def test(document: Any, path: tuple[str, ...]) -> bool:
        value = document
        for name in path:  # the usual case, no list on the way, without a generator
            if not isinstance(value, dict):
                break
            value = value.get(name, _MISSING)
        else:
            if value is _MISSING:
                return False
            if not isinstance(value, list):
                return holds(value)
        return any(holds(found) for found in candidates(document, path))

    return test


def _or_missing(test: Test) -> Test:
    return lambda document, path: test(document, path) or next(_resolve(document, path, 0), _MISSING) is _MISSING


def _negated(test: Test) -> Test:
    return lambda document, path: not test(document, path)


def _scalar(operand: Any) -> Any:
    if operand is not None and not isinstance(operand, str | bool | int | float):
        raise InvalidOperand("invalid_type", "takes text, a number, true, false or null")
    if isinstance(operand, float) and not math.isfinite(operand):
        raise InvalidOperand("invalid_type", "takes numbers that JSON has")
    return _text(operand) if isinstance(operand, str) else operand


def _text(operand: Any) -> str:
    if not isinstance(operand, str):
        raise InvalidOperand("invalid_type", "takes text")
    if len(operand) > MAX_TEXT:
        raise InvalidOperand("too_long", f"takes at most {MAX_TEXT} characters")
    if "\0" in operand:
        raise InvalidOperand("control_character", "takes text without U+0000 NUL")
    return operand


def _kind(value: Any) -> str | None:
    """What a value can be compared with. True is not the number 1 in JSON."""
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    return "text" if isinstance(value, str) else None


def _eq(operand: Any) -> Test:
    operand = _scalar(operand)
    if operand is None:
        return _or_missing(_any(lambda value: value is None))
    kind = _kind(operand)
    if kind == "text":
        return _any(lambda value: value.__class__ is str and value == operand)
    return _any(lambda value: _kind(value) == kind and value == operand)


def _in(operand: Any) -> Test:
    if not isinstance(operand, list) or not operand:
        raise InvalidOperand("invalid_type", "takes a list of at least one value")
    if len(operand) > MAX_VALUES:
        raise InvalidOperand("too_many", f"takes at most {MAX_VALUES} values")
    values = {(_kind(value), value) for value in map(_scalar, operand)}

    def holds(value: Any) -> bool:
        kind = _kind(value)
        return (kind is not None or value is None) and (kind, value) in values

    test = _any(holds)
    return _or_missing(test) if (None, None) in values else test


def _ordered(compare: Callable[[Any, Any], bool]) -> Callable[[Any], Test]:
    def make(operand: Any) -> Test:
        kind = _kind(_scalar(operand))
        if kind not in ("number", "text"):
            raise InvalidOperand("invalid_type", "takes a number or text")
        return _any(lambda value: _kind(value) == kind and compare(value, operand))

    return make


def _of_text(compare: Callable[[str, str], bool]) -> Callable[[Any], Test]:
    def make(operand: Any) -> Test:
        wanted = _text(operand)
        if not wanted:
            raise InvalidOperand("empty", "takes at least one character")
        return _any(lambda value: isinstance(value, str) and compare(value, wanted))

    return make


def _contains(operand: Any) -> Test:
    """In text a part of it, in a list an element that is equal."""
    if not isinstance(operand, str):
        equal = _eq(operand)
        return lambda document, path: any(
            isinstance(value, list) and any(equal(item, ()) for item in value if not isinstance(item, list))
            for value in _resolve(document, path, 0)
        )
    wanted = _text(operand)
    if not wanted:
        raise InvalidOperand("empty", "takes at least one character")

    def test(document: Any, path: tuple[str, ...]) -> bool:
        for value in _resolve(document, path, 0):
            if wanted in value if isinstance(value, str) else isinstance(value, list) and _has(value, wanted):
                return True
        return False

    return test


def _has(values: list[Any], wanted: str) -> bool:
    return any(isinstance(value, str) and value == wanted for value in values)


def _exists(operand: Any) -> Test:
    if not isinstance(operand, bool):
        raise InvalidOperand("invalid_type", "takes true or false")
    return lambda document, path: (next(_resolve(document, path, 0), _MISSING) is not _MISSING) is operand


OPERATORS: dict[str, Callable[[Any], Test]] = {
    "$eq": _eq,
    "$ne": lambda operand: _negated(_eq(operand)),
    "$in": _in,
    "$nin": lambda operand: _negated(_in(operand)),
    "$gt": _ordered(lambda value, operand: bool(value > operand)),
    "$gte": _ordered(lambda value, operand: bool(value >= operand)),
    "$lt": _ordered(lambda value, operand: bool(value < operand)),
    "$lte": _ordered(lambda value, operand: bool(value <= operand)),
    "$startsWith": _of_text(str.startswith),
    "$endsWith": _of_text(str.endswith),
    "$contains": _contains,
    "$exists": _exists,
}
