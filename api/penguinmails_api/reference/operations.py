"""`/docs`: the interactive reference, made from the specification that this server serves."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class Version:
    """A version of the API, and where its pages are."""

    name: str
    base: str
    specification: str
    tags: list[Tag]


@cache
def versions(app: FastAPI) -> tuple[Version, ...]:
    """All that this server answers; the first is what the SDKs speak and what the front page shows."""
    return (
        Version("v1", "/docs", "/openapi.json", tags(app.openapi())),
        Version("v2", "/docs/v2", "/openapi/v2.json", tags(app.openapi_v2(), sdk=False)),  # type: ignore[attr-defined]
    )


@cache
def _events(app: FastAPI) -> list[Event]:
    return events(app.openapi())


def overview(app: FastAPI) -> str:
    """The front page in Markdown."""
    first, *others = versions(app)
    parts = ["# API reference", app.openapi()["info"]["description"]]
    parts += [f"There is also [version {other.name.removeprefix('v')}]({other.base})." for other in others]
    parts += ["## Resources", *_resources(first)]
    parts += ["## Scopes", "A key or token has scopes; a write scope implies the read scope of its resource."]
    parts.append(
        "\n".join(
            ["| scope | what it allows |", "|---|---|"]
            + [f"| `{scope}` | {text} |" for scope, text in scopes.DESCRIPTIONS.items()]
        )
    )
    parts += ["## More", MORE]
    return "\n\n".join(parts)


def overview_v2(app: FastAPI) -> str:
    """The front page of version 2 in Markdown."""
    info, second = app.openapi_v2()["info"], versions(app)[1]  # type: ignore[attr-defined]
    intro = (
        "Resources that have another shape in version 2; all others are those of [version 1](/docs). "
        f"The specification is at [{second.specification}]({second.specification})."
    )
    return "\n\n".join(["# API reference, version 2", info["description"], intro, "## Resources", *_resources(second)])


def _resources(version: Version) -> Iterator[str]:
    for tag in version.tags:
        page = f"{version.base}/reference/{tag.name}"
        yield f"### [{tag.title}]({page})\n\n{tag.text}"
        yield "\n".join(f"- `{one.method} {one.path}` [{one.summary}]({page}#{one.id})" for one in tag.operations)


MORE = """\
- [GraphQL](/docs/graphql): the same resources as a graph, with an explorer
- [Events](/docs/reference/webhooks): what webhooks carry
- [Problems](/problems): every error, its cause and its fix
- [Guides](/docs/guides)
- [OpenAPI 3.1](/openapi.json), [AsyncAPI 3](/asyncapi.json), [Swagger UI](/docs/swagger), [llms.txt](/llms.txt)"""


@router.get("/docs")
async def get_reference(request: Request) -> HTMLResponse:
    return _front(request.app, 0, overview(request.app), "API reference")


@router.get("/docs.md")
async def get_reference_markdown(request: Request) -> Markdown:
    return Markdown(overview(request.app))


@router.get("/docs/v2")
async def get_reference_v2(request: Request) -> HTMLResponse:
    return _front(request.app, 1, overview_v2(request.app), "API reference, version 2")


@router.get("/docs/v2.md")
async def get_reference_v2_markdown(request: Request) -> Markdown:
    return Markdown(overview_v2(request.app))


def _front(app: FastAPI, number: int, text: str, title: str) -> HTMLResponse:
    version = versions(app)[number]
    return page(
        "overview.html",
        title=title,
        body=markdown(text),
        twin=f"{version.base}.md",
        section="Reference",
        version=version,
        versions=versions(app),
    )


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
            version=versions(app)[0],
            versions=versions(app),
            events=found,
        )
    return _tag_page(app, 0, name)


@router.get("/docs/v2/reference/{name}")
async def get_tag_v2(request: Request, name: str) -> Response:
    return _tag_page(request.app, 1, name)


def _tag_page(app: FastAPI, number: int, name: str) -> Response:
    version, plain = versions(app)[number], name.removesuffix(".md")
    tag = next((each for each in version.tags if each.name == plain), None)
    if tag is None:
        raise NotFound(f"There is no such page; there are {', '.join(each.name for each in version.tags)}.")
    if name.endswith(".md"):
        return Markdown(tag_markdown(tag))
    return page(
        "tag.html",
        title=tag.title if number == 0 else f"{tag.title}, version {version.name.removeprefix('v')}",
        twin=f"{version.base}/reference/{plain}.md",
        section="Reference",
        version=version,
        versions=versions(app),
        tag=tag,
    )


@router.get("/llms.txt")
async def get_llms(request: Request) -> PlainTextResponse:
    """The index that llmstxt.org proposes: what there is to read, each as Markdown."""
    app = request.app
    info = app.openapi()["info"]
    lines = [f"# {info['title']}", "", f"> {info['summary']}", "", info["description"], "## Reference", ""]
    lines += ["- [Overview](/docs.md): resources, scopes"]
    first, second = versions(app)
    lines += [f"- [{tag.title}](/docs/reference/{tag.name}.md): {tag.text}" for tag in first.tags]
    lines += ["- [Version 2](/docs/v2.md): what has another shape there"]
    lines += [f"- [{tag.title}, version 2]({second.base}/reference/{tag.name}.md): {tag.text}" for tag in second.tags]
    lines += ["- [Webhook events](/docs/reference/webhooks.md): what webhooks and the event log carry"]
    lines += ["- [Problems](/problems.md): every error", "- [OpenAPI](/openapi.json), [AsyncAPI](/asyncapi.json)"]
    lines += ["", "## Guides", ""]
    lines += [f"- [{guide.title}](/docs/guides/{guide.name}.md)" for guide in guides.all_guides()]
    return PlainTextResponse("\n".join(lines) + "\n")
