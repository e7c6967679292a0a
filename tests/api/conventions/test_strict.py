"""Numbers and truth values of request bodies are taken for what they are: `false` is no 0, and 1 is not `true`."""

from __future__ import annotations

import types
import typing
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Union

import pytest
from pydantic.fields import FieldInfo

from penguinmails_api.app import api
from penguinmails_api.v1.common import RequestBody


def _bodies(model: type[RequestBody]) -> Iterator[type[RequestBody]]:
    for below in model.__subclasses__():
        yield below
        yield from _bodies(below)


def _is_lax(annotation: Any, facts: Sequence[Any] = ()) -> bool:
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is Annotated:
        more = [fact for each in arguments[1:] for fact in (each.metadata if isinstance(each, FieldInfo) else [each])]
        return _is_lax(arguments[0], [*more, *facts])
    if origin in (Union, types.UnionType):
        return any(_is_lax(each, facts) for each in arguments)
    if origin is not None:
        return any(_is_lax(each) for each in arguments)
    return annotation in (int, bool, float) and not any(getattr(fact, "strict", False) for fact in facts)


def test_bodies_take_numbers_and_truth_values_strictly() -> None:
    api()  # every route, and with it every body, is imported
    lax = {
        f"{body.__name__}.{name}"
        for body in _bodies(RequestBody)
        for name, field in body.model_fields.items()
        if body.__module__.startswith("penguinmails_api.") and _is_lax(field.annotation, field.metadata)
    }
    assert lax == set(), "say strict=True in their Field"


@pytest.mark.parametrize("annotation", [int, bool | None, list[int], Annotated[int, "meaning"]])
def test_the_check_can_fail(annotation: Any) -> None:
    assert _is_lax(annotation)
