"""Limits in the specification that are checked behind the schema, where all faults of a message are found together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pydantic import GetJsonSchemaHandler
from pydantic_core import CoreSchema


@dataclass(frozen=True, slots=True)
class AtMost:
    """``Annotated[str, AtMost(maxLength=998)]`` says the limit and checks nothing: whoever uses it checks it elsewhere,
    and a test sends one more than it says."""

    maxLength: int | None = None
    maxItems: int | None = None
    maxProperties: int | None = None

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        said = {name: value for name in self.__slots__ if (value := getattr(self, name)) is not None}
        return {**handler(schema), **said}
