"""`fields=`: only the members that are asked for. `id` is always there."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from penguinmails_api.conventions.declared import is_page
from penguinmails_api.conventions.options import FIELDS, refused

ALWAYS = "id"


def check(fields: Sequence[str], known: Collection[str]) -> None:
    """Raises `Unprocessable` naming the choices."""
    unknown = [name for name in fields if name not in known]
    if unknown:
        raise refused(
            FIELDS, "unknown_field", f"`fields` knows no {', '.join(unknown)[:100]}; there are {', '.join(known)}."
        )


def pick(document: Any, fields: Sequence[str]) -> Any:
    """Of an object its members, of a page those of each item; in the order of the full answer."""
    wanted = {ALWAYS, *fields}
    if is_page(document):
        return {**document, "data": [_pick(item, wanted) for item in document["data"]]}
    return _pick(document, wanted)


def _pick(item: dict[str, Any], wanted: set[str]) -> dict[str, Any]:
    return {name: value for name, value in item.items() if name in wanted}
