"""`/docs/guides`: the pages of docs/, as HTML and as the Markdown that they are."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from fastapi import APIRouter
from fastapi.responses import HTMLResponse, Response

from penguinmails_api.reference.pages import HERE, Markdown, markdown_page
from penguinmails_core.errors import NotFound

router = APIRouter(include_in_schema=False)

# In a wheel they are beside this file, in a checkout at its top.
FOLDERS = (HERE / "_guides", HERE.parents[2] / "docs")


@dataclass(frozen=True, slots=True)
class Guide:
    name: str
    title: str
    path: Path

    def text(self) -> str:
        """With links between guides made to work here: ``[x](layout.md)``, ``[x](docs/layout.md#a)``."""
        source = self.path.read_text(encoding="utf-8")
        return re.sub(r"\]\((?:\./|docs/)?([a-z0-9-]+)\.md(#[^)]*)?\)", r"](/docs/guides/\1\2)", source)


@cache
def all_guides() -> list[Guide]:
    folder = next((folder for folder in FOLDERS if folder.is_dir()), None)
    return [_guide(path) for path in sorted(folder.glob("*.md"))] if folder else []


def _guide(path: Path) -> Guide:
    first = path.read_text(encoding="utf-8").split("\n", 1)[0]
    return Guide(path.stem, first.removeprefix("#").strip(), path)


def index() -> str:
    return "# Guides\n\n" + "\n".join(f"- [{guide.title}](/docs/guides/{guide.name})" for guide in all_guides())


@router.get("/docs/guides")
async def list_guides() -> HTMLResponse:
    return markdown_page("Guides", index(), "/docs/guides.md", section="Guides")


@router.get("/docs/guides.md")
async def list_guides_markdown() -> Markdown:
    return Markdown(index())


@router.get("/docs/guides/{name}")
async def get_guide(name: str) -> Response:
    plain = name.removesuffix(".md")
    guide = next((each for each in all_guides() if each.name == plain), None)
    if guide is None:
        raise NotFound(f"There is no such guide; there are {', '.join(each.name for each in all_guides())}.")
    if name.endswith(".md"):
        return Markdown(guide.text())
    return markdown_page(guide.title, guide.text(), f"/docs/guides/{plain}.md", section="Guides")
