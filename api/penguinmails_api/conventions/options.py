"""The options that any request may carry, read once and taken out of the query, so that routes need not know them."""

from __future__ import annotations

from collections.abc import MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_plus

from penguinmails_core.errors import FieldError, Unprocessable

MAX_TAGS_CHARACTERS = 1000
FIELDS, EXPAND, DRY_RUN = "fields", "expand", "dry_run"
_NAMES = (FIELDS, EXPAND, DRY_RUN)


@dataclass(frozen=True, slots=True)
class Options:
    """`fields` is None when all are wanted. `given` names the options of the query. `if_match` and `if_none_match` are
    the headers as they were sent."""

    fields: tuple[str, ...] | None = None
    expand: frozenset[str] = frozenset()
    dry_run: bool = False
    given: frozenset[str] = frozenset()
    if_match: str | None = None
    if_none_match: str | None = None


NONE = Options()


def take(scope: MutableMapping[str, Any]) -> Options:
    """Read the options and leave the rest of the query in the scope. Raises `Unprocessable` for unreadable ones."""
    found, rest = _split(scope["query_string"])
    if found:
        scope["query_string"] = rest
    if_match = if_none_match = None
    for name, value in scope["headers"]:
        # Several lines of one header are one list (RFC 9110 §5.3).
        if name == b"if-match":
            if_match = value.decode("latin-1") if if_match is None else f"{if_match}, {value.decode('latin-1')}"
        elif name == b"if-none-match":
            text = value.decode("latin-1")
            if_none_match = text if if_none_match is None else f"{if_none_match}, {text}"
    for header, sent in (("If-Match", if_match), ("If-None-Match", if_none_match)):
        if sent is not None and len(sent) > MAX_TAGS_CHARACTERS:
            raise refused(header, "too_long", f"`{header}` may have at most {MAX_TAGS_CHARACTERS} characters.")
    if not found and if_match is None and if_none_match is None:
        return NONE
    return Options(
        fields=_words(FIELDS, found[FIELDS]) if FIELDS in found else None,
        expand=frozenset(_words(EXPAND, found[EXPAND])) if EXPAND in found else frozenset(),
        dry_run=flag(DRY_RUN, found.get(DRY_RUN, ())),
        given=frozenset(found),
        if_match=if_match,
        if_none_match=if_none_match,
    )


def flag(name: str, values: Sequence[str]) -> bool:
    """`true` or `false`, once. Raises `Unprocessable`."""
    if not values:
        return False
    if len(values) > 1 or values[0] not in ("true", "false"):
        raise refused(name, "not_allowed", f"`{name}` is true or false.")
    return values[0] == "true"


def refused(name: str, code: str, detail: str) -> Unprocessable:
    return Unprocessable(detail, errors=[FieldError(name, code, detail)])


def _split(query: bytes) -> tuple[dict[str, list[str]], bytes]:
    """(values of the options by name, the query without them)."""
    if not query:
        return {}, query
    found: dict[str, list[str]] = {}
    rest = []
    for pair in query.split(b"&"):
        name, _, value = pair.decode("latin-1").partition("=")
        if (plain := unquote_plus(name)) in _NAMES:
            found.setdefault(plain, []).append(unquote_plus(value))
        else:
            rest.append(pair)
    return found, b"&".join(rest)


def _words(name: str, values: Sequence[str]) -> tuple[str, ...]:
    """Separated by commas, or repeated."""
    words = tuple(word.strip() for value in values for word in value.split(","))
    if "" in words:
        raise refused(name, "empty", f"`{name}` is a list of names, such as `{name}=a,b`.")
    if len(set(words)) < len(words):
        raise refused(name, "repeated", f"`{name}` names something twice. Name each once.")
    return words
