"""`/docs`: the interactive reference, made from the specification that this server serves."""

from __future__ import annotations

from functools import cache

from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import HTMLResponse, PlainTextResponse, Response

from penguinmails_api.reference import guides
from penguinmails_api.reference.model import Event, Tag, events, tags
from penguinmails_api.reference.pages import Markdown, markdown, page
from penguinmails_api.reference.written import EVENTS, events_markdown, tag_markdown
from penguinmails_core import scopes
from penguinmails_core.errors import NotFound

router = APIRouter(include_in_schema=False)
EVENTS_PAGE = "webhooks"


@cache
def _tags(app: FastAPI) -> list[Tag]:
    return tags(app.openapi())


@cache
def _events(app: FastAPI) -> list[Event]:
    return events(app.openapi())


def overview(app: FastAPI) -> str:
    """The front page in Markdown."""
    parts = ["# API reference", app.openapi()["info"]["description"]]
    parts += ["## Resources"]
    for tag in _tags(app):
        parts.append(f"### [{tag.title}](/docs/reference/{tag.name})\n\n{tag.text}")
        parts.append(
            "\n".join(
                f"- `{one.method} {one.path}` [{one.summary}](/docs/reference/{tag.name}#{one.id})"
                for one in tag.operations
            )
        )
    parts += ["## Scopes", "A key or token has scopes; a write scope implies the read scope of its resource."]
    parts.append(
        "\n".join(
            ["| scope | what it allows |", "|---|---|"]
            + [f"| `{scope}` | {text} |" for scope, text in scopes.DESCRIPTIONS.items()]
        )
    )
    parts += ["## More", MORE]
    return "\n\n".join(parts)


MORE = """\
- [GraphQL](/docs/graphql): the same resources as a graph, with an explorer
- [Events](/docs/reference/webhooks): what webhooks carry
- [Problems](/problems): every error, its cause and its fix
- [Guides](/docs/guides)
- [OpenAPI 3.1](/openapi.json), [AsyncAPI 3](/asyncapi.json), [Swagger UI](/docs/swagger), [llms.txt](/llms.txt)"""


@router.get("/docs")
async def get_reference(request: Request) -> HTMLResponse:
    body = markdown(overview(request.app))
    return page(
        "overview.html", title="API reference", body=body, twin="/docs.md", section="Reference", tags=_tags(request.app)
    )


@router.get("/docs.md")
async def get_reference_markdown(request: Request) -> Markdown:
    return Markdown(overview(request.app))


@router.get("/docs/reference/{name}")
async def get_tag(request: Request, name: str) -> Response:
    app = request.app
    plain = name.removesuffix(".md")
    if plain == EVENTS_PAGE:
        found = _events(app)
        if name.endswith(".md"):
            return Markdown(events_markdown(found))
        return page(
            "events.html",
            title="Events",
            introduction=EVENTS,
            twin=f"/docs/reference/{plain}.md",
            section="Events",
            tags=_tags(app),
            events=found,
        )
    tag = next((each for each in _tags(app) if each.name == plain), None)
    if tag is None:
        raise NotFound(f"There is no such page; there are {', '.join(each.name for each in _tags(app))}.")
    if name.endswith(".md"):
        return Markdown(tag_markdown(tag))
    return page(
        "tag.html", title=tag.title, twin=f"/docs/reference/{plain}.md", section="Reference", tags=_tags(app), tag=tag
    )


@router.get("/llms.txt")
async def get_llms(request: Request) -> PlainTextResponse:
    """The index that llmstxt.org proposes: what there is to read, each as Markdown."""
    app = request.app
    info = app.openapi()["info"]
    lines = [f"# {info['title']}", "", f"> {info['summary']}", "", info["description"], "## Reference", ""]
    lines += ["- [Overview](/docs.md): resources, scopes"]
    lines += [f"- [{tag.title}](/docs/reference/{tag.name}.md): {tag.text}" for tag in _tags(app)]
    lines += ["- [Webhook events](/docs/reference/webhooks.md): what webhooks and the event log carry"]
    lines += ["- [Problems](/problems.md): every error", "- [OpenAPI](/openapi.json), [AsyncAPI](/asyncapi.json)"]
    lines += ["", "## Guides", ""]
    lines += [f"- [{guide.title}](/docs/guides/{guide.name}.md)" for guide in guides.all_guides()]
    return PlainTextResponse("\n".join(lines) + "\n")
