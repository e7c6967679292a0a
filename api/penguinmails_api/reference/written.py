"""The reference in Markdown: what `.md` and llms.txt give, for people in terminals and for language models."""

from __future__ import annotations

from collections.abc import Iterable

from penguinmails_api.reference.model import Event, Operation, Row, Tag


def tag_markdown(tag: Tag) -> str:
    return "\n\n".join([f"# {tag.title}", tag.text, *map(operation_markdown, tag.operations)])


def operation_markdown(one: Operation) -> str:
    needs = "Needs no credentials." if one.public else f"Scope: {_codes(one.scopes) or 'any key'}."
    cost = f" Cost: {one.cost}." if one.cost is not None else ""
    parts = [f"## {one.summary}", f"`{one.method} {one.path}` (`{one.id}`)", one.text, needs + cost, *one.notes]
    if one.parameters:
        parts += ["### Parameters", _table(one.parameters, place=True)]
    if one.body:
        parts += ["### Body", _table(one.body), _block("json", one.example)]
    for answer in one.answers:
        parts += [f"### Answer {answer.status}", answer.text]
        parts += [_table(answer.rows)] if answer.rows else []
        parts += [_block("json", answer.example)] if answer.example else []
    if one.errors:
        parts += ["### Errors", "\n".join(_error(answer.status, answer.text, answer.code) for answer in one.errors)]
    parts += ["### curl", _block("sh", one.curl)]
    parts += ["### Python", _block("python", one.python)] if one.python else []
    return "\n\n".join(parts)


def events_markdown(events: Iterable[Event]) -> str:
    parts = ["# Events", EVENTS]
    for event in events:
        parts += [f"## {event.name}", event.text, _table(event.rows), _block("json", event.example)]
    return "\n\n".join(parts)


EVENTS = """\
What webhook endpoints receive and what `GET /v1/events` returns: the same bodies with the same ids. Every request is
signed as [Standard Webhooks](https://www.standardwebhooks.com/) says, with the headers `webhook-id`,
`webhook-timestamp` and `webhook-signature`. The same catalogue is at `/asyncapi.json`.

Every event has `id`, `type`, `timestamp`, `schema_version`, `resource_id`, `sequence`, `previous_sequence`,
`organization_id`, `workspace_id`, `mode` and `data`; below is what `data` holds."""


def _error(status: str, text: str, code: str | None) -> str:
    return f"- {status}: {text}" + (f" See [`{code}`](/problems/{code})." if code else "")


def _codes(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _block(language: str, text: str) -> str:
    return f"```{language}\n{text}\n```"


def _table(rows: Iterable[Row], *, place: bool = False) -> str:
    head = "| name | in | type | required | description |" if place else "| name | type | required | description |"
    lines = [head, "|" + "---|" * (head.count("|") - 1)]
    for row in rows:
        text = f"{row.text} ({row.limits})" if row.text and row.limits else row.text or row.limits
        cells = [f"`{row.name}`", *([row.place] if place else []), row.kind, "yes" if row.required else "", text]
        lines.append("| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |")
    return "\n".join(lines)
