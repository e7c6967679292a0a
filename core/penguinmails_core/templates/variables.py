"""Variables of templates: what may be declared of them, and values that fit what was declared."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from penguinmails_core.errors import FieldError

MAX_VARIABLES = 100
MAX_BYTES = 256 * 1024  # of all values of one message, as JSON
MAX_DEPTH = 20
MAX_DESCRIPTION = 500
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
_EXACT = 2**53  # what JSON readers of every language agree about (RFC 8259 §6)
_KINDS: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "number": (int, float),
    "boolean": (bool,),
    "array": (list,),
    "object": (dict,),
}
TYPES = tuple(_KINDS)


@dataclass(frozen=True, slots=True)
class Variable:
    """`fallback` is taken where no value is given (None: there is none)."""

    name: str
    type: str
    required: bool
    fallback: Any
    description: str | None


def is_a(kind: str, value: Any) -> bool:
    return isinstance(value, _KINDS[kind]) and (kind == "boolean" or not isinstance(value, bool))


def value_fault(value: Any, depth: int = 0) -> str | None:
    """What makes a JSON value unusable, if anything: it must be storable and mean the same to everybody."""
    if depth > MAX_DEPTH:
        return f"values may be nested {MAX_DEPTH} deep"
    if isinstance(value, str):
        return _text_fault(value)
    if isinstance(value, int):
        return None if abs(value) <= _EXACT else "whole numbers may be up to 2^53; give it as a string"
    if isinstance(value, float):
        return None if math.isfinite(value) else "a number must be finite"
    if isinstance(value, Mapping):
        found = next((fault for key in value if (fault := _text_fault(str(key)))), None)
        return found or next((fault for item in value.values() if (fault := value_fault(item, depth + 1))), None)
    if isinstance(value, list | tuple):
        return next((fault for item in value if (fault := value_fault(item, depth + 1))), None)
    return None


def _text_fault(text: str) -> str | None:
    if "\0" in text:
        return "the character U+0000 cannot be used"
    return None if text.isascii() or not any(0xD800 <= ord(c) <= 0xDFFF for c in text) else "half a character is in it"


def values_errors(values: Mapping[str, Any], pointer: str) -> list[FieldError]:
    """What is wrong with values as such, whatever they are for."""
    if (fault := value_fault(dict(values))) is not None:
        return [FieldError(pointer, "invalid", f"`{pointer.rpartition('/')[2]}`: {fault}.")]
    if (size := len(orjson.dumps(values))) > MAX_BYTES:
        detail = f"{size} octets of JSON; the limit is {MAX_BYTES}."
        return [FieldError(pointer, "too_large", detail)]
    return []


def declared_errors(variables: Sequence[Variable], pointer: str) -> list[FieldError]:
    errors: list[FieldError] = []
    if len(variables) > MAX_VARIABLES:
        errors.append(FieldError(pointer, "too_many", f"At most {MAX_VARIABLES} variables can be declared."))
    seen: set[str] = set()
    for index, variable in enumerate(variables):
        place = f"{pointer}/{index}"
        if not _NAME.fullmatch(variable.name):
            detail = "A name has letters, digits and `_`, 64 at most, and begins with a letter or `_`."
            errors.append(FieldError(f"{place}/name", "invalid_name", detail))
        if variable.name in seen:
            errors.append(FieldError(f"{place}/name", "duplicate", f"`{variable.name}` is declared twice."))
        seen.add(variable.name)
        if variable.fallback is not None:
            if not is_a(variable.type, variable.fallback):
                detail = f"The fallback of `{variable.name}` must be of type {variable.type}."
                errors.append(FieldError(f"{place}/fallback", "wrong_type", detail))
            errors += values_errors({variable.name: variable.fallback}, f"{place}/fallback")
        if variable.description is not None and (fault := value_fault(variable.description)):
            errors.append(FieldError(f"{place}/description", "invalid", f"{fault}."))
    return errors


def fill_in(
    declared: Sequence[Mapping[str, Any]], given: Mapping[str, Any], pointer: str
) -> tuple[dict[str, Any], list[FieldError]]:
    """The values to render with, and what is missing or of the wrong type. Null is as good as nothing given."""
    values = {name: value for name, value in given.items() if value is not None}
    errors: list[FieldError] = []
    for variable in declared:
        name = variable["name"]
        if name not in values:
            if variable["fallback"] is not None:
                values[name] = variable["fallback"]
            elif variable["required"]:
                errors.append(missing_error(name, pointer))
        elif not is_a(variable["type"], values[name]):
            detail = f"`{name}` must be of type {variable['type']}."
            errors.append(FieldError(f"{pointer}/{name}", "wrong_type", detail))
    return values, errors


def missing_error(name: str, pointer: str) -> FieldError:
    """`name` may be a path, such as ``user.name``."""
    place = "/".join([pointer, *re.findall(r"[^.\[\]'\"]+", name)])
    detail = f"The template needs `{name}`. Give a value, or a fallback in the template."
    return FieldError(place, "missing_variable", detail)
