"""`/problems`: what the `type` of a problem document leads to, made from the classes of problems."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import HTMLResponse, Response

from penguinmails_api.reference.pages import Markdown, markdown_page
from penguinmails_core.errors import NotFound, Problem, problems

router = APIRouter(include_in_schema=False)

_INTRODUCTION = """# Problems

Every error is `application/problem+json` (RFC 9457). `code` is stable and meant for programs, `detail` says what
happened this time, `errors` point at fields, `request_id` names the request in the log of the server. `type` leads to
the page of its kind, one of these:

| status | code | what it means |
|---|---|---|
"""


def all_markdown() -> str:
    rows = sorted(problems().values(), key=lambda kind: (kind.status, kind.code))
    return _INTRODUCTION + "\n".join(
        f"| {kind.status} | [`{kind.code}`](/problems/{kind.code}) | {kind.title} |" for kind in rows
    )


def one_markdown(kind: type[Problem]) -> str:
    head = f"# {kind.title}\n\nStatus {kind.status}, code `{kind.code}`."
    return f"{head}\n\n## Cause\n\n{kind.cause}\n\n## Fix\n\n{kind.fix}\n"


@router.get("/problems")
async def list_problems() -> HTMLResponse:
    return markdown_page("Problems", all_markdown(), "/problems.md", section="Problems")


@router.get("/problems.md")
async def list_problems_markdown() -> Markdown:
    return Markdown(all_markdown())


def problem_page(code: str) -> Response:
    """HTML, or Markdown when `code` ends in `.md`. Raises `NotFound`."""
    name = code.removesuffix(".md")
    kind = problems().get(name)
    if kind is None:
        raise NotFound(f"There is no problem type of this name; there are {', '.join(problems())}.")
    if code.endswith(".md"):
        return Markdown(one_markdown(kind))
    return markdown_page(kind.title, one_markdown(kind), f"/problems/{name}.md", section="Problems")
