"""The links of a message, so that a developer can see where they lead and open one on purpose."""

from __future__ import annotations

import re
from dataclasses import dataclass
from html.parser import HTMLParser

MAX_LINKS = 200
_TEXT_CHARACTERS = 120
_URL = re.compile(r"https?://[^\s<>\"'`{}|\\^]+", re.IGNORECASE)
_SPACES = re.compile(r"\s+")


@dataclass(frozen=True, slots=True)
class Link:
    """`text` is what the reader of the mail sees, `url` where it leads (http, https or mailto)."""

    text: str
    url: str


def find_links(html: str | None, text: str | None) -> list[Link]:
    """The links of the HTML body, else those of the text; in order, each pair once, at most 200."""
    if html is not None:
        parser = _Links()
        parser.feed(html)
        parser.close()
        found = parser.links
    else:
        urls = (match[0].rstrip(".,;:!?)]") for match in _URL.finditer(text or ""))
        found = [Link(url, url) for url in urls]
    return list(dict.fromkeys(found))[:MAX_LINKS]


class _Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.links: list[Link] = []
        self._url = ""
        self._text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if tag in ("a", "area"):
            self._finish()
            url = (values.get("href") or "").strip()
            if url.lower().startswith(("http://", "https://", "mailto:")):
                self._url = url
        elif tag == "img" and self._url:
            self._text.append(values.get("alt") or "image")

    def handle_data(self, data: str) -> None:
        if self._url:
            self._text.append(data)

    def handle_endtag(self, tag: str) -> None:
        if tag == "a":
            self._finish()

    def close(self) -> None:
        super().close()
        self._finish()

    def _finish(self) -> None:
        if self._url:
            text = _SPACES.sub(" ", " ".join(self._text)).strip()[:_TEXT_CHARACTERS]
            self.links.append(Link(text or self._url, self._url))
        self._url, self._text = "", []
