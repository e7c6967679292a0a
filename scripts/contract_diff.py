"""Fails when the specification breaks a released one.

    .venv/bin/python scripts/contract_diff.py            each openapi/released/v1-*.json against openapi/v1.json, ...,
                                                         and events-*.json against events.json
    .venv/bin/python scripts/contract_diff.py OLD NEW    one against another
    .venv/bin/python scripts/contract_diff.py --freeze   keep openapi/v*.json and events.json as what is promised

Breaking is what can make a client that worked stop working: less is served, more is asked, or an answer has a shape
that the client was promised not to see. Requests may become more permissive, answers may gain members. A new value of
an enumeration in an answer is a warning: the contract says that more may be added. Exit status 1 when something breaks.
"""

from __future__ import annotations

import json
import re
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
Node = dict[str, Any]

LOWER = ("minLength", "minItems", "minimum", "exclusiveMinimum", "minProperties")  # a request may lower it, no more
UPPER = ("maxLength", "maxItems", "maximum", "exclusiveMaximum", "maxProperties")
METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")


@dataclass(frozen=True)
class Change:
    """`rule` names the kind (see docs/contract.md), `where` the place, `what` the change in words."""

    rule: str
    where: str
    what: str
    breaking: bool = True

    def __str__(self) -> str:
        return f"{'breaking' if self.breaking else 'warning '} {self.rule}: {self.where}: {self.what}"


def compare(old: Node, new: Node) -> list[Change]:
    """All changes from `old` to `new` that matter, in the order of the old document."""
    return list(dict.fromkeys(_Comparison(old, new).run()))


class _Comparison:
    def __init__(self, old: Node, new: Node) -> None:
        self.old, self.new = old, new
        self.seen: set[tuple[str, str, bool, str]] = set()

    def run(self) -> Iterator[Change]:
        for path, entry in self.old["paths"].items():
            for method, operation in entry.items():
                if method in METHODS:
                    yield from self._operation(f"{method.upper()} {path}", method, path, operation)
        for event, entry in self.old.get("webhooks", {}).items():
            yield from self._webhook(event, entry)

    def _operation(self, where: str, method: str, path: str, old: Node) -> Iterator[Change]:
        new = self._find(path).get(method)
        if new is None:
            yield Change("operation-removed", where, "the operation is gone")
            return
        if old.get("operationId") != new.get("operationId"):
            yield Change("operation-renamed", where, f"{old.get('operationId')} is now {new.get('operationId')}")
        yield from _security(where, old, new)
        yield from self._parameters(where, old, new)
        yield from self._request(where, old, new)
        yield from self._responses(where, old, new)
        if old.get("x-idempotent") and not new.get("x-idempotent"):
            yield Change("idempotency-removed", where, "the Idempotency-Key is not honoured any more")

    def _find(self, path: str) -> Node:
        """Names of path parameters are nobody's business."""
        shape = re.sub(r"\{[^}]+\}", "{}", path)
        for candidate, entry in self.new["paths"].items():
            if re.sub(r"\{[^}]+\}", "{}", candidate) == shape:
                found: Node = entry
                return found
        return {}

    def _parameters(self, where: str, old: Node, new: Node) -> Iterator[Change]:
        before, after = self._named(self.old, old), self._named(self.new, new)
        for key, parameter in before.items():
            there = after.get(key)
            place = f"{where}: {key[0]} parameter {key[1]}"
            if there is None:
                yield Change("parameter-removed", place, "the parameter is gone")
                continue
            if there.get("required") and not parameter.get("required"):
                yield Change("parameter-required", place, "is required now")
            yield from self._schema(place, parameter.get("schema", {}), there.get("schema", {}), request=True)
        for key, parameter in after.items():
            if key not in before and parameter.get("required") and key[0] != "path":
                yield Change("parameter-required", f"{where}: {key[0]} parameter {key[1]}", "is new and required")

    @staticmethod
    def _named(document: Node, operation: Node) -> dict[tuple[str, str], Node]:
        found = {}
        position = 0
        for entry in operation.get("parameters", []):
            parameter = resolve(document, entry)
            name = parameter["name"].lower() if parameter["in"] == "header" else parameter["name"]
            if parameter["in"] == "path":
                name, position = str(position), position + 1
            found[parameter["in"], name] = parameter
        return found

    def _request(self, where: str, old: Node, new: Node) -> Iterator[Change]:
        before, after = resolve(self.old, old.get("requestBody", {})), resolve(self.new, new.get("requestBody", {}))
        if after.get("required") and not before.get("required"):
            yield Change("body-required", where, "a body is required now")
        if before and not after:
            yield Change("body-removed", where, "takes no body any more")
            return
        for media_type, content in before.get("content", {}).items():
            there = after.get("content", {}).get(media_type)
            if there is None:
                yield Change("media-type-removed", where, f"{media_type} is not taken any more")
            else:
                yield from self._schema(f"{where}: body", content["schema"], there["schema"], request=True)

    def _responses(self, where: str, old: Node, new: Node) -> Iterator[Change]:
        for status, entry in old["responses"].items():
            place = f"{where} -> {status}"
            if status not in new["responses"]:
                # An error that cannot happen any more hurts nobody.
                yield Change("response-removed", place, "the answer is gone", breaking=status < "4")
                continue
            before, after = resolve(self.old, entry), resolve(self.new, new["responses"][status])
            for name in before.get("headers", {}):
                if name not in after.get("headers", {}):
                    yield Change("header-removed", place, f"the header {name} is gone")
            for media_type, content in before.get("content", {}).items():
                there = after.get("content", {}).get(media_type)
                if there is None:
                    yield Change("media-type-removed", place, f"{media_type} is not given any more")
                else:
                    yield from self._schema(place, content.get("schema", {}), there.get("schema", {}), request=False)
        for status in new["responses"]:
            # 304 comes to those alone who ask with If-None-Match.
            if status not in old["responses"] and status < "4" and status != "304":
                yield Change("response-added", f"{where} -> {status}", "clients do not know this success")

    def _webhook(self, event: str, entry: Node) -> Iterator[Change]:
        """Receivers read what we send, so the body of a webhook is an answer."""
        there = self.new.get("webhooks", {}).get(event)
        if there is None:
            yield Change("event-removed", event, "the event is not sent any more")
            return
        before, after = (
            node["post"]["requestBody"]["content"]["application/json"]["schema"] for node in (entry, there)
        )
        yield from self._schema(f"webhook {event}", before, after, request=False)

    def _schema(self, where: str, old: Node, new: Node, *, request: bool) -> Iterator[Change]:
        key = (str(old.get("$ref")), str(new.get("$ref")), request, where)
        if ("$ref" in old and key in self.seen) or where.count(".") > 12:
            return
        self.seen.add(key)
        old, new = resolve(self.old, old), resolve(self.new, new)
        before, after = types(self.old, old), types(self.new, new)
        lost, gained = sorted(before - after), sorted(after - before)
        if request and lost:
            yield Change("type-narrowed", where, f"{', '.join(lost)} is not taken any more")
        if not request and gained:
            yield Change("type-widened", where, f"may be {', '.join(gained)} now")
        if not request and lost and not after:
            yield Change("type-widened", where, "may be anything now")
        yield from self._values(where, old, new, request=request)
        if request:
            yield from _limits(where, old, new)
        elif old.get("pattern") != new.get("pattern") and old.get("pattern"):
            yield Change("pattern-changed", where, f"was {old['pattern']}, is {new.get('pattern')}")
        yield from self._members(where, old, new, request=request)
        yield from self._choices(where, old, new, request=request)

    def _values(self, where: str, old: Node, new: Node, *, request: bool) -> Iterator[Change]:
        before, after = enumerated(old), enumerated(new)
        if request and after is not None and (before is None or set(before) - set(after)):
            gone = sorted(set(before) - set(after)) if before is not None else ["everything else"]
            yield Change("enum-narrowed", where, f"{', '.join(map(str, gone))} is not taken any more")
        if not request and before is not None:
            if after is None:
                yield Change("enum-widened", where, "may have any value now")
            elif fresh := sorted(set(after) - set(before)):
                changed = "const" in old  # a discriminator that changes is another thing altogether
                yield Change("enum-widened", where, f"may be {', '.join(map(str, fresh))} now", breaking=changed)

    def _members(self, where: str, old: Node, new: Node, *, request: bool) -> Iterator[Change]:
        before, after = old.get("properties", {}), new.get("properties", {})
        if choices(new) and not after:
            return  # one of several now; `_choices` compares it with its likeness
        for name, schema in before.items():
            place = f"{where}.{name}"
            if name not in after:
                if not request or new.get("additionalProperties") is False:
                    yield Change("field-removed", place, "the field is gone")
                continue
            if not request and name in old.get("required", []) and name not in new.get("required", []):
                yield Change("field-optional", place, "may be missing now")
            yield from self._schema(place, schema, after[name], request=request)
        if request:
            for name in new.get("required", []):
                if name not in old.get("required", []):
                    how = "is required now" if name in before else "is new and required"
                    yield Change("field-required", f"{where}.{name}", how)
            if new.get("additionalProperties") is False and old.get("additionalProperties") is not False:
                yield Change("fields-closed", where, "unknown fields are refused now")
        for keyword in ("items", "additionalProperties"):
            if isinstance(old.get(keyword), dict) and isinstance(new.get(keyword), dict):
                yield from self._schema(f"{where}[]", old[keyword], new[keyword], request=request)

    def _choices(self, where: str, old: Node, new: Node, *, request: bool) -> Iterator[Change]:
        """Alternatives are paired by name, else by type; one that lost its partner is dealt with by its type."""
        theirs = {label(self.new, choice): choice for choice in choices(new)}
        mine = {label(self.old, choice): choice for choice in choices(old)}
        for name, choice in mine.items():
            if name in theirs:
                yield from self._schema(f"{where}", choice, theirs[name], request=request)
            elif request and name.startswith("#"):
                yield Change("choice-removed", where, f"{name[1:]} is not taken any more")
        if not request and mine:
            for name in theirs:
                if name not in mine and name.startswith("#"):
                    yield Change("choice-added", where, f"may be {name[1:]} now", breaking=False)
        if not mine and theirs and old.get("type"):  # a plain type has become one of several
            same = [choice for choice in theirs.values() if resolve(self.new, choice).get("type") == old["type"]]
            if same:
                yield from self._schema(where, old, same[0], request=request)
        if mine and not theirs and new.get("type"):
            for choice in mine.values():
                if resolve(self.old, choice).get("type") == new["type"]:
                    yield from self._schema(where, choice, new, request=request)


def _security(where: str, old: Node, new: Node) -> Iterator[Change]:
    """A caller who came in must still come in: by the same scheme, with no scope more."""
    if not old.get("security"):
        if new.get("security"):
            yield Change("security-added", where, "asks for credentials now")
        return
    for entry in old["security"]:
        for scheme, scopes in entry.items():
            offers = [set(there[scheme]) for there in new.get("security", []) if scheme in there]
            if not offers and new.get("security"):
                yield Change("security-removed", where, f"does not take {scheme} any more")
            elif offers and not any(offer <= set(scopes) for offer in offers):
                more = sorted(min(offers, key=len) - set(scopes))
                yield Change("scope-added", where, f"asks for {', '.join(more)} too")


def _limits(where: str, old: Node, new: Node) -> Iterator[Change]:
    for keyword in LOWER:
        if keyword in new and (new[keyword] > old[keyword] if keyword in old else new[keyword] != 0):
            yield Change("limit-narrowed", where, f"{keyword} was {old.get(keyword)}, is {new[keyword]}")
    for keyword in UPPER:
        if keyword in new and (keyword not in old or new[keyword] < old[keyword]):
            yield Change("limit-narrowed", where, f"{keyword} was {old.get(keyword)}, is {new[keyword]}")
    for keyword in ("pattern", "format", "uniqueItems", "multipleOf"):
        if new.get(keyword) not in (None, False, old.get(keyword)) and (keyword != "format" or _strict(old, new)):
            yield Change("limit-narrowed", where, f"{keyword} was {old.get(keyword)}, is {new[keyword]}")


def _strict(old: Node, new: Node) -> bool:
    """int32 to int64 takes more, not less."""
    return (old.get("format"), new.get("format")) != ("int32", "int64")


def resolve(document: Node, schema: Node) -> Node:
    while "$ref" in schema:
        node: Any = document
        for part in schema["$ref"].removeprefix("#/").split("/"):
            node = node[part]
        schema = node
    return schema


def choices(schema: Node) -> list[Node]:
    found: list[Node] = schema.get("anyOf") or schema.get("oneOf") or []
    return found


def label(document: Node, choice: Node) -> str:
    if "$ref" in choice:
        return f"#{choice['$ref'].rpartition('/')[2]}"
    return str(choice.get("type") or choice.get("const") or "any")


def types(document: Node, schema: Node) -> set[str]:
    """The JSON types a value may have; empty when nothing is said."""
    schema = resolve(document, schema)
    own = schema.get("type")
    if own is not None:
        return {own} if isinstance(own, str) else set(own)
    return {kind for choice in choices(schema) for kind in types(document, choice)}


def enumerated(schema: Node) -> list[Any] | None:
    if "const" in schema:
        return [schema["const"]]
    values: list[Any] | None = schema.get("enum")
    return values


def pairs(folder: Path) -> list[tuple[Path, Path]]:
    """(released, current): every ``released/v1-0.1.json`` against ``v1.json``, and so on; of events each version of
    each one (``email.sent@1``), so that a shape of before cannot change behind the back of those who are pinned."""
    found = [*(folder / "released").glob("v*-*.json"), *(folder / "released").glob("events-*.json")]
    return [(released, folder / f"{released.name.partition('-')[0]}.json") for released in sorted(found)]


def freeze(root: Path) -> list[Path]:
    """Copies each document to openapi/released/, under the version of pyproject.toml without its last number. Raises
    ValueError when that version is out already (CHANGELOG.md has a section of it): a promise is not rewritten."""
    version = tomllib.loads((root / "pyproject.toml").read_text())["project"]["version"]
    if re.search(rf"^## \[?{re.escape(version)}\b", (root / "CHANGELOG.md").read_text(), re.MULTILINE):
        raise ValueError(f"{version} is released and its promise stays; raise the version in pyproject.toml first")
    folder = root / "openapi" / "released"
    folder.mkdir(exist_ok=True)
    written = []
    for current in sorted([*(root / "openapi").glob("v*.json"), *(root / "openapi").glob("events.json")]):
        target = folder / f"{current.stem}-{version.rpartition('.')[0]}.json"
        target.write_text(current.read_text())
        written.append(target)
    return written


def main(arguments: list[str]) -> int:
    if arguments == ["--freeze"]:
        for path in freeze(ROOT):
            print(f"wrote {path.relative_to(ROOT)}")
        return 0
    found = [(Path(arguments[0]), Path(arguments[1]))] if len(arguments) == 2 else pairs(ROOT / "openapi")
    broken = 0
    for released, current in found:
        if not current.exists():
            print(f"breaking version-removed: {current.name} is gone, and {released.name} was released")
            broken += 1
            continue
        for change in compare(json.loads(released.read_text()), json.loads(current.read_text())):
            print(f"{released.name}: {change}")
            broken += change.breaking
    return 1 if broken else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
