"""How answers become objects: generated models declare fields, this module reads JSON into them.

Reading never fails on what a newer server adds: unknown fields are kept in `additional_properties`, unknown values of
an enumeration become members of it, and unknown variants of a union stay plain dictionaries.
"""

from __future__ import annotations

import datetime
import enum
import sys
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any, Self

import attrs

Decoder = Callable[[Any], Any]


class DecodeError(ValueError):
    """JSON that does not have the promised shape; the message names the field."""


class OpenEnum(enum.StrEnum):
    """An enumeration of strings in which a value unknown to this version of the SDK is a member too."""

    @classmethod
    def _missing_(cls, value: object) -> Self | None:
        if not isinstance(value, str):
            return None
        member = str.__new__(cls, value)
        member._name_ = value
        member._value_ = value
        return member


def wire(name: str, *, default: Any = attrs.NOTHING) -> Any:
    """A field whose name in JSON differs from its name here (`class` is a word of Python's)."""
    return attrs.field(default=default, metadata={"wire": name})


@attrs.define(kw_only=True)
class Model:
    """Base of the generated models. Fields that the server sent and this version does not know are in
    `additional_properties`, by their names in JSON."""

    additional_properties: dict[str, Any] = attrs.field(factory=dict, repr=False)

    @classmethod
    def from_dict(cls, data: Any) -> Self:
        """Reads parsed JSON. Raises `DecodeError` when a required field is missing or no object was given."""
        if not isinstance(data, Mapping):
            raise DecodeError(f"{cls.__name__}: an object was expected, not {type(data).__name__}")
        rest = dict(data)
        values: dict[str, Any] = {}
        for name, key, decode, required in _plan(cls):
            if key not in rest:
                if required:
                    raise DecodeError(f"{cls.__name__}.{key} is missing")
                continue
            try:
                values[name] = decode(rest.pop(key))
            except DecodeError:
                raise
            except (ValueError, TypeError, KeyError) as error:
                raise DecodeError(f"{cls.__name__}.{key}: {error}") from error
        return cls(additional_properties=rest, **values)

    def to_dict(self) -> dict[str, Any]:
        """The object as JSON has it: names of the wire, dates as text; optional fields that are None are left out."""
        found = {}
        for field in attrs.fields(type(self)):
            value = getattr(self, field.name)
            if field.name == "additional_properties" or (value is None and field.default is None):
                continue
            found[field.metadata.get("wire", field.name)] = plain(value)
        return {**found, **self.additional_properties}


def plain(value: Any) -> Any:
    """A value of a model as JSON has it."""
    if isinstance(value, Model):
        return value.to_dict()
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, datetime.datetime | datetime.date):
        return value.isoformat()
    return value


_plans: dict[type[Model], list[tuple[str, str, Decoder, bool]]] = {}  # filled when a model is first read
_kinds: dict[type[Model], list[tuple[str, tuple[Any, ...]]]] = {}


def _plan(cls: type[Model]) -> list[tuple[str, str, Decoder, bool]]:
    """For each field: its name, its name in JSON, how to read it, whether it must be there."""
    if cls in _plans:
        return _plans[cls]
    hints = typing.get_type_hints(cls, localns=_names(cls))
    plan = _plans[cls] = [
        (field.name, field.metadata.get("wire", field.name), decoder(hints[field.name]), field.default is attrs.NOTHING)
        for field in attrs.fields(cls)
        if field.name != "additional_properties"
    ]
    return plan


def _names(cls: type[Model]) -> dict[str, Any]:
    """All models of the package that holds this one: annotations may name any of them."""
    return dict(vars(sys.modules[cls.__module__.rpartition(".")[0]]))


def _same(value: Any) -> Any:
    return value


def decoder(hint: Any) -> Decoder:
    origin = typing.get_origin(hint)
    if origin is list:
        return _list_decoder(decoder(typing.get_args(hint)[0]))
    if origin in (typing.Union, types.UnionType):
        return _union_decoder(typing.get_args(hint))
    if isinstance(hint, type):
        if issubclass(hint, Model):
            return hint.from_dict
        if issubclass(hint, enum.Enum):
            return hint
        if hint is datetime.datetime:
            return datetime.datetime.fromisoformat
        if hint is datetime.date:
            return datetime.date.fromisoformat
    return _same


def _list_decoder(inner: Decoder) -> Decoder:
    def decode(value: Any) -> Any:
        if not isinstance(value, list):
            raise DecodeError(f"a list was expected, not {type(value).__name__}")
        return [inner(item) for item in value]

    return _same_list if inner is _same else decode


def _same_list(value: Any) -> Any:
    if not isinstance(value, list):
        raise DecodeError(f"a list was expected, not {type(value).__name__}")
    return value


def _union_decoder(variants: tuple[Any, ...]) -> Decoder:
    objects = [item for item in variants if isinstance(item, type) and issubclass(item, Model)]
    lists = [decoder(item) for item in variants if typing.get_origin(item) is list]
    texts = [
        decoder(item)
        for item in variants
        if isinstance(item, type) and issubclass(item, enum.Enum | datetime.date)  # datetime is a date too
    ]

    def decode(value: Any) -> Any:
        if isinstance(value, Mapping):
            return _object_of(objects, value)
        if isinstance(value, list) and lists:
            return lists[0](value)
        if isinstance(value, str):
            for read in texts:
                try:
                    return read(value)
                except ValueError:
                    continue
        return value

    return decode


def _object_of(objects: list[type[Model]], value: Mapping[str, Any]) -> Any:
    """The first variant whose constants fit and that can be read. None fits: the plain dictionary."""
    if len(objects) == 1:
        return objects[0].from_dict(value)
    for variant in objects:
        if all(value.get(key) in allowed for key, allowed in _constants(variant)):
            try:
                return variant.from_dict(value)
            except DecodeError:
                continue
    return dict(value)


def _constants(variant: type[Model]) -> list[tuple[str, tuple[Any, ...]]]:
    """Fields that name the variant: those with a constant text. Numbers (versions) do not."""
    if variant in _kinds:
        return _kinds[variant]
    found = _kinds[variant] = []
    hints = typing.get_type_hints(variant, localns=_names(variant))
    for field in attrs.fields(variant):
        allowed = typing.get_args(hints[field.name])
        if typing.get_origin(hints[field.name]) is typing.Literal and all(isinstance(item, str) for item in allowed):
            found.append((field.metadata.get("wire", field.name), allowed))
    return found
