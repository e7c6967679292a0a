"""Node ids and connections (the Relay Cursor Connections and Object Identification specifications).

A node's id is its TypeID, the same one that REST and webhooks use: the prefix names the type, so no second encoding is
needed. Cursors are those of REST too. Lists are newest first, as everywhere; `after` leads to older items.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar
from uuid import UUID

import strawberry

from penguinmails_core.errors import FieldError, NotFound, Unprocessable
from penguinmails_core.kit import cursors, ids
from penguinmails_core.kit.ids import Prefix

Item = TypeVar("Item")
Place = TypeVar("Place")

MAX_PAGE = 100
DEFAULT_PAGE = 20


@strawberry.interface(description="Something with an id, to be fetched again by `node(id:)`.")
class Node:
    id: strawberry.ID


@strawberry.type(description="Where a page of a connection stands.")
class PageInfo:
    has_next_page: bool
    has_previous_page: bool
    start_cursor: str | None
    end_cursor: str | None


@strawberry.type(description="One item of a connection and its place.")
class Edge(Generic[Item]):
    cursor: str
    node: Item


@strawberry.type(description="A page of a list.")
class Connection(Generic[Item]):
    edges: list[Edge[Item]]
    nodes: list[Item] = strawberry.field(description="The items without their cursors.")
    page_info: PageInfo


@strawberry.type(description="What is gone.")
class DeletedPayload:
    id: strawberry.ID


@dataclass(frozen=True, slots=True)
class Page(Generic[Place]):
    """Which part of a list is asked for, as the services understand it."""

    limit: int
    after: Place | None
    before: Place | None


def size_of(first: int | None, last: int | None = None) -> int:
    """Raises `Unprocessable` when both are given or a page would be too large or empty."""
    if first is not None and last is not None:
        raise _fault("last", "conflict", "Give `first` or `last`, not both.")
    name, size = ("last", last) if last is not None else ("first", DEFAULT_PAGE if first is None else first)
    if not 1 <= size <= MAX_PAGE:
        raise _fault(name, "out_of_range", f"`{name}` must be 1 to {MAX_PAGE}; it is {size}.")
    return size


def page_of(first: int | None, after: str | None, last: int | None, before: str | None) -> Page[UUID]:
    """For a list that is sorted by id. Raises `Unprocessable` for a mixture of directions or a cursor that is none."""
    return _page(first, after, last, before, cursors.decode_id)


def numbered_page_of(first: int | None, after: str | None, last: int | None, before: str | None) -> Page[int]:
    """For a list that is sorted by a sequence; as `page_of`."""
    return _page(first, after, last, before, cursors.decode_number)


def _page(
    first: int | None,
    after: str | None,
    last: int | None,
    before: str | None,
    decode: Callable[[str, str], Place],
) -> Page[Place]:
    size = size_of(first, last)
    if (before is not None or last is not None) and (after is not None or first is not None):
        raise _fault("before", "conflict", "Go forward with `first` and `after`, or back with `last` and `before`.")
    if last is not None and before is None:
        raise _fault("last", "required", "`last` needs `before`: the end of these lists is not looked for.")
    return Page(
        size,
        decode(after, "after") if after is not None else None,
        decode(before, "before") if before is not None else None,
    )


def connect(
    page: Page[Place],
    rows: Sequence[Any],
    has_more: bool,
    make: Callable[[Any], Item],
    key: Callable[[Any], UUID | int],
) -> Connection[Item]:
    """`rows` in the order of the list; `has_more` in the direction of travel; `key` is what cursors are made of."""
    nodes = [make(row) for row in rows]
    marks = [_cursor(key(row)) for row in rows]
    if page.before is not None:  # where it came from, there is something
        return connection_of(nodes, marks, True, has_more)
    return connection_of(nodes, marks, has_more, page.after is not None)


def _cursor(place: UUID | int) -> str:
    return cursors.encode_number(place) if isinstance(place, int) else cursors.encode_id(place)


def connection_of(
    nodes: list[Item], marks: Sequence[str], has_next_page: bool, has_previous_page: bool
) -> Connection[Item]:
    return Connection(
        edges=[Edge(cursor=mark, node=node) for mark, node in zip(marks, nodes, strict=True)],
        nodes=nodes,
        page_info=PageInfo(
            has_next_page=has_next_page,
            has_previous_page=has_previous_page,
            start_cursor=marks[0] if marks else None,
            end_cursor=marks[-1] if marks else None,
        ),
    )


def uuid_of(prefix: str, node_id: strawberry.ID | str, what: str) -> UUID:
    """What is not an id of this kind does not exist. Raises `NotFound`."""
    try:
        return ids.decode(prefix, str(node_id))
    except ids.IdError as error:
        raise NotFound(f"There is no such {what}: {error}.") from None


def id_of(prefix: str, value: UUID | None) -> strawberry.ID | None:
    """The node id; None for none."""
    return strawberry.ID(ids.encode(prefix, value)) if value is not None else None


def argument_id(prefix: str, value: strawberry.ID | str | None, pointer: str) -> UUID | None:
    """An id in a filter or an input. Raises `Unprocessable` naming it."""
    if value is None:
        return None
    try:
        return ids.decode(prefix, str(value))
    except ids.IdError as error:
        raise _fault(pointer, "invalid_id", f"`{pointer.rpartition('/')[2]}`: {error}.") from None


class OfWorkspace(Protocol):
    """A filter that may name a workspace."""

    workspace_id: strawberry.ID | None


def workspace_of(filter: OfWorkspace | None) -> UUID | None:
    """Raises `Unprocessable` for what is no id of a workspace."""
    return argument_id(Prefix.WORKSPACE, filter.workspace_id, "/filter/workspaceId") if filter else None


def bounded(value: Sequence[Any] | None, most: int, pointer: str) -> None:
    """Raises `Unprocessable` for more items, or characters, than are looked at."""
    if value is not None and len(value) > most:
        what = "characters" if isinstance(value, str) else "entries"
        name = pointer.rpartition("/")[2]
        raise _fault(pointer, "too_long", f"`{name}` may have at most {most} {what}; it has {len(value)}.")


def given(source: object, *names: str) -> dict[str, Any]:
    """The members of an input that were sent; null counts as sent."""
    values = {name: getattr(source, name) for name in names}
    return {name: value for name, value in values.items() if value is not strawberry.UNSET}


def _fault(name: str, code: str, detail: str) -> Unprocessable:
    return Unprocessable(detail, errors=[FieldError(name, code, detail)])
