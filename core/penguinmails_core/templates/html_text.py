"""The plain text part, made from HTML: what a reader without HTML should see.

Links become footnotes, lists keep their marks, rows of data tables become lines, images their `alt`. What is hidden or
is no text (styles, scripts, the head) is left out.
"""

from __future__ import annotations

import re
from html.parser import HTMLParser

_SKIPPED = frozenset(("style", "script", "head", "title", "template", "noscript", "svg", "object"))
_VOID = frozenset(("area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "wbr"))
_PARAGRAPHS = frozenset(("p", "ul", "ol", "table", "blockquote", "pre", "h1", "h2", "h3", "h4", "h5", "h6", "dl"))
_BLOCKS = _PARAGRAPHS | {
    *("address", "article", "aside", "body", "center", "dd", "div", "dt", "fieldset", "figure", "figcaption"),
    *("footer", "form", "header", "main", "nav", "section"),
}
_HIDDEN = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden|mso-hide\s*:\s*all", re.IGNORECASE)
_SPACES = re.compile(r"[ \t\r\n\f]+")
_INVISIBLE = dict.fromkeys(map(ord, "\u200b\u200c\u200d\u2060\ufeff\u00ad\u034f"))
MAX_DEPTH = 200


class _Converter(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.lines: list[str] = [""]
        self.links: list[str] = []
        self._stack: list[str] = []
        self._skip_from: int | None = None
        self._lists: list[int | None] = []
        self._quotes = 0
        self._pre = 0
        self._anchor: tuple[str, int, int] | None = None
        self._cells: list[int] = []  # of each open row
        self._gap = False

    # Text

    def handle_data(self, data: str) -> None:
        if self._skip_from is not None:
            return
        data = data.translate(_INVISIBLE).replace("\u00a0", " ")
        if self._pre:
            first, *rest = data.split("\n")
            self._write(first, keep=True)
            for line in rest:
                self._line()
                self._write(line, keep=True)
            return
        self._write(_SPACES.sub(" ", data))

    def _write(self, text: str, *, keep: bool = False) -> None:
        if not text:
            return
        line = self.lines[-1]
        if not keep:
            if not line or line.endswith((" ", "\t")):
                text = text.lstrip(" ")
            if not text:
                return
        if not line:
            if self._gap and any(self.lines):
                self.lines[-1] = ""
                self.lines.append("")
            self._gap = False
            text = self._indent() + text
        self.lines[-1] += text

    def _indent(self) -> str:
        return "> " * self._quotes

    def _line(self, *, gap: bool = False) -> None:
        self.lines[-1] = self.lines[-1].rstrip()
        if self.lines[-1]:
            self.lines.append("")
        self._gap = self._gap or gap

    # Elements

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag not in _VOID:
            if len(self._stack) >= MAX_DEPTH:
                return
            self._stack.append(tag)
            hidden = tag in _SKIPPED or "hidden" in given or _HIDDEN.search(given.get("style") or "") is not None
            if hidden and self._skip_from is None:
                self._skip_from = len(self._stack)
        if self._skip_from is not None:
            return
        self._open(tag, given)

    def _open(self, tag: str, given: dict[str, str | None]) -> None:
        if tag == "br":
            self.lines[-1] = self.lines[-1].rstrip() or self.lines[-1]
            self.lines.append("")
        elif tag == "hr":
            self._line(gap=True)
            self._write("-" * 40, keep=True)
            self._line(gap=True)
        elif tag == "img":
            self._write(_SPACES.sub(" ", given.get("alt") or ""))
        elif tag == "a":
            self._anchor = (_target(given.get("href")), len(self.lines), len(self.lines[-1]))
        elif tag in ("ul", "ol"):
            self._line(gap=not self._lists)
            self._lists.append(1 if tag == "ol" else None)
        elif tag == "li":
            self._line()
            self._item()
        elif tag == "tr":
            self._line()
            self._cells.append(0)
        elif tag in ("td", "th"):
            self._cell()
        elif tag in _BLOCKS:
            self._line(gap=tag in _PARAGRAPHS and not self._lists)
            self._quotes += tag == "blockquote"
            self._pre += tag == "pre"

    def _item(self) -> None:
        number = self._lists[-1] if self._lists else None
        mark = "-" if number is None else f"{number}."
        if number is not None:
            self._lists[-1] = number + 1
        self._write("  " * max(len(self._lists) - 1, 0) + mark + " ", keep=True)

    def _cell(self) -> None:
        if not self._cells:
            return
        if self._cells[-1] and self.lines[-1].strip():
            self.lines[-1] = self.lines[-1].rstrip() + "  |  "
        self._cells[-1] += 1

    def handle_endtag(self, tag: str) -> None:
        if tag in _VOID or tag not in self._stack:
            return
        while self._stack:
            closed = self._stack.pop()
            if self._skip_from is None:
                self._close(closed)
            elif len(self._stack) < self._skip_from:
                self._skip_from = None
            if closed == tag:
                break

    def _close(self, tag: str) -> None:
        if tag == "a" and self._anchor is not None:
            self._footnote(*self._anchor)
            self._anchor = None
        elif tag in ("ul", "ol"):
            self._line(gap=len(self._lists) == 1)
            if self._lists:
                self._lists.pop()
        elif tag == "li":
            self._line()
        elif tag == "tr":
            if self.lines[-1].endswith("|  "):
                self.lines[-1] = self.lines[-1].rstrip("| ")
            self._line()
            if self._cells:
                self._cells.pop()
        elif tag in _BLOCKS:
            self._quotes -= tag == "blockquote" and self._quotes > 0
            self._pre -= tag == "pre" and self._pre > 0
            self._line(gap=tag in _PARAGRAPHS and not self._lists)

    def _footnote(self, target: str, line: int, start: int) -> None:
        text = self.lines[-1][start:].strip() if line == len(self.lines) else ""
        shown = target.removeprefix("mailto:").removeprefix("tel:")
        if not target or text in (target, shown, target.rstrip("/")):
            return
        if not text and line == len(self.lines):
            self._write(shown)  # a link around nothing, or around an image without words
            return
        if target not in self.links:
            self.links.append(target)
        self._write(f" [{self.links.index(target) + 1}]")

    def text(self) -> str:
        lines = [line.rstrip() for line in self.lines]
        body = re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip("\n")
        notes = "\n".join(f"[{number}] {link}" for number, link in enumerate(self.links, 1))
        return f"{body}\n\n{notes}\n" if notes else f"{body}\n" if body else ""


def _target(href: str | None) -> str:
    """Where a link leads, or nothing when it leads nowhere in plain text."""
    target = (href or "").strip()
    return "" if target.startswith(("#", "javascript:", "data:")) else target


def text_of(html: str) -> str:
    """Lines of text ending in a line break; empty when nothing can be read."""
    converter = _Converter()
    converter.feed(html)
    converter.close()
    return converter.text()
