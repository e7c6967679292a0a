"""How a page is made: Markdown or a template inside one layout, with a policy that runs nothing but our own files."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from functools import cache
from html import unescape
from pathlib import Path
from typing import Any

from fastapi.responses import HTMLResponse, Response
from jinja2 import Environment, PackageLoader, StrictUndefined
from markdown_it import MarkdownIt
from markupsafe import Markup

HERE = Path(__file__).parent
STATIC = HERE / "static"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": POLICY,
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-cache",
}


class Markdown(Response):
    """RFC 7763."""

    media_type = "text/markdown"

    def __init__(self, text: str) -> None:
        super().__init__(text.strip() + "\n", headers={"Cache-Control": "no-cache"})


@cache
def environment() -> Environment:
    templates = Environment(
        loader=PackageLoader("penguinmails_api.reference"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters["markdown"] = markdown
    return templates


@cache
def _parser() -> MarkdownIt:
    # HTML inside Markdown is shown as text: descriptions come from many places.
    return MarkdownIt("commonmark", {"html": False}).enable("table")


def slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def markdown(text: str) -> Markup:
    """HTML with an id on every heading, so that each can be linked to, and tables that the keyboard can scroll."""
    used: Counter[str] = Counter()

    def anchored(found: re.Match[str]) -> str:
        anchor = slug(unescape(re.sub("<[^>]+>", "", found[2])))
        used[anchor] += 1
        if used[anchor] > 1:
            anchor += f"-{used[anchor]}"
        return f'<h{found[1]} id="{anchor}">{found[2]}</h{found[1]}>'

    html = re.sub(r"<h([1-6])>(.*?)</h\1>", anchored, _parser().render(text))
    html = html.replace("<table>", '<div class="table" tabindex="0" role="group" aria-label="Table"><table>')
    html = html.replace("</table>", "</table></div>").replace("<pre>", '<pre tabindex="0">')
    return Markup(html)  # noqa: S704  the parser escapes what it is given


def page(template: str, *, status: int = 200, policy: str = POLICY, **values: Any) -> HTMLResponse:
    """One of `templates/`, which extend `layout.html`: `title`, `twin` (address of the Markdown, or None)."""
    html = environment().get_template(template).render(**values)
    headers: Mapping[str, str] = _HEADERS | {"Content-Security-Policy": policy}
    if twin := values.get("twin"):
        headers = {**headers, "Link": f'<{twin}>; rel="alternate"; type="text/markdown"'}
    return HTMLResponse(html, status_code=status, headers=dict(headers))


def markdown_page(title: str, text: str, twin: str, *, section: str) -> HTMLResponse:
    """A page that is nothing but its Markdown."""
    return page("markdown.html", title=title, body=markdown(text), twin=twin, section=section)
