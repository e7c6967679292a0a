"""What can be told of a message by reading it. Runs in a worker process: HTML may be long and hostile."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urlsplit

from penguinmails_core.content_checks.rules import CONTRAST, GMAIL_CLIPS, RULES, SMALLEST_FONT
from penguinmails_core.templates.html_text import text_of

MAX_EACH = 20  # findings of one rule; more say nothing new
# Public shorteners, which anybody can hide anything behind. Their operators' own names, as of 2026-11.
SHORTENERS = frozenset(
    ("bit.ly", "buff.ly", "cutt.ly", "goo.gl", "is.gd", "ow.ly", "rb.gy", "rebrand.ly", "shorturl.at", "t.co")
) | {"t.ly", "tiny.cc", "tinyurl.com", "v.gd"}
_UNSUBSCRIBE = re.compile(r"unsubscribe|opt[ -]?out|abmelden|abbestellen|d[ée]sabonner|darse de baja|disiscriv", re.I)
_PLACEHOLDER = re.compile(r"\{\{(?!\s*unsubscribe_url\s*\}\}).{0,60}?\}\}|\{%.{0,60}?%\}|%%\w{1,40}%%|\*\|\w{1,40}\|\*")
_FAKE_REPLY = re.compile(r"\s*(?:re|fwd?|aw|wg)\s*:", re.IGNORECASE)
_VAGUE = frozenset(("click here", "here", "click", "more", "read more", "link", "this link", "hier", "hier klicken"))
_HOST_IN_TEXT = re.compile(r"(?:https?://)?((?:[a-z0-9-]{1,63}\.)+[a-z]{2,24})(?:[/:?#]\S*)?", re.IGNORECASE)
_URL = re.compile(r"https?://[^\s<>\"]+", re.IGNORECASE)
_WORDS = re.compile(r"\w{3,}")
_ACTIVE = frozenset(("script", "form", "iframe", "object", "embed", "applet", "frame", "input", "button", "video"))
_SCHEMES = frozenset(("http", "https", "mailto", "tel", "sms"))
_LENGTH = re.compile(r"([\d.]+)\s*(px|pt)")
_NAMED = {"white": "#ffffff", "black": "#000000", "gray": "#808080", "grey": "#808080", "silver": "#c0c0c0"} | {
    "red": "#ff0000", "green": "#008000", "blue": "#0000ff", "yellow": "#ffff00", "lightgray": "#d3d3d3"
}  # fmt: skip


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[tuple[str, int, str]] = []
        self.hosts: dict[str, int] = {}
        self.images = 0
        self.way_out = False
        self._anchor: tuple[str, int, list[str]] | None = None
        self._tables: list[list[Any]] = []  # line, has a header cell, says what it is for
        self._saw_element = False

    def add(self, rule: str, snippet: str, line: int | None = None) -> None:
        self.found.append((rule, self.getpos()[0] if line is None else line, snippet[:200]))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        names = {name for name, _ in attrs}
        if tag in _ACTIVE or any(name.startswith("on") for name in names):
            self.add("active_content", f"<{tag}>")
        if tag == "link" and "stylesheet" in given.get("rel", "").lower():
            self.add("stylesheet_remote", given.get("href", ""))
        if tag == "html" and not given.get("lang"):
            self.add("lang_missing", "<html>")
        if tag != "html" and not self._saw_element and "lang" not in given:
            self.add("lang_missing", f"<{tag}>")
        self._saw_element = True
        if tag == "a" and "href" in names:
            self._end_anchor()
            self._anchor = (given["href"].strip(), self.getpos()[0], [])
        elif tag == "img":
            self._image(given, names)
        elif tag == "table":
            self._tables.append([self.getpos()[0], False, "role" in given])
        elif tag == "th" and self._tables:
            self._tables[-1][1] = True
        if "style" in given:
            self._style(given["style"])

    def handle_endtag(self, tag: str) -> None:
        if tag == "a":
            self._end_anchor()
        elif tag == "table" and self._tables:
            line, has_header, has_role = self._tables.pop()
            if not has_header and not has_role:
                self.add("layout_table", "<table>", line)

    def handle_data(self, data: str) -> None:
        if self._anchor is not None:
            self._anchor[2].append(data)

    def _image(self, given: Mapping[str, str], names: set[str]) -> None:
        self.images += 1
        source = given.get("src", "").strip()
        if self._anchor is not None:
            self._anchor[2].append(given.get("alt", "") or "image")
        if "alt" not in names:
            self.add("image_without_alt", source)
        if source.lower().startswith("data:"):
            self.add("image_inline_data", source[:60])
        elif source.lower().startswith("http:"):
            self.add("image_not_https", source)
        if not {"width", "height"} <= names:
            self.add("image_without_size", source[:100])

    def _end_anchor(self) -> None:
        if self._anchor is None:
            return
        href, line, texts = self._anchor
        self._anchor = None
        self.link(href, " ".join("".join(texts).split()), line)

    def link(self, href: str, text: str, line: int) -> None:
        if "unsubscribe_url" in href or _UNSUBSCRIBE.search(f"{href} {text}"):
            self.way_out = True
        if "{{" in href:  # a placeholder, which has a rule of its own
            return
        try:
            parts = urlsplit(href)
            host = (parts.hostname or "").rstrip(".").lower()
        except ValueError:
            self.add("link_broken", href, line)
            return
        if parts.scheme.lower() not in _SCHEMES or (parts.scheme.lower() in ("http", "https") and not host):
            if not (href.startswith("#") and len(href) > 1):
                self.add("link_broken", href or "(empty)", line)
            return
        if text.lower().strip(" .!:>»→") in _VAGUE:
            self.add("link_text_vague", text, line)
        if host:
            self._host(parts.scheme.lower(), parts.username is not None, host, href, text, line)

    def _host(self, scheme: str, user: bool, host: str, href: str, text: str, line: int) -> None:
        self.hosts.setdefault(host, line)
        if scheme == "http":
            self.add("link_not_https", href, line)
        if user:
            self.add("link_with_user", href, line)
        if _is_address(host):
            self.add("link_to_address", href, line)
        if host.removeprefix("www.") in SHORTENERS:
            self.add("link_shortened", href, line)
        named = _HOST_IN_TEXT.fullmatch(text)
        if named and not _related(named[1].lower(), host):
            self.add("link_text_differs", f"{text} → {host}", line)

    def _style(self, style: str) -> None:
        rules = {
            name.strip().lower(): value.strip().lower()
            for name, _, value in (rule.partition(":") for rule in style.split(";"))
        }
        text, ground = _colour(rules.get("color")), _colour(rules.get("background-color") or rules.get("background"))
        if text and ground and (ratio := _contrast(text, ground)) < CONTRAST:
            self.add("contrast_low", f"{rules['color']}: {ratio:.1f} to 1")
        size = _LENGTH.fullmatch(rules.get("font-size", ""))
        if size:
            try:
                pixels = float(size[1]) * (4 / 3 if size[2] == "pt" else 1)
            except ValueError:
                return
            if 0 < pixels < SMALLEST_FONT:  # nothing at all hides a preview line, as many do
                self.add("font_small", rules["font-size"])


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _related(one: str, other: str) -> bool:
    """The same host, or one inside the other, give or take `www.`."""
    one, other = one.removeprefix("www."), other.removeprefix("www.")
    return one == other or one.endswith("." + other) or other.endswith("." + one)


def _colour(value: str | None) -> tuple[int, int, int] | None:
    text = _NAMED.get(value or "", value or "")
    if re.fullmatch(r"#[0-9a-f]{3}", text):
        text = "#" + "".join(2 * digit for digit in text[1:])
    if re.fullmatch(r"#[0-9a-f]{6}", text):
        return int(text[1:3], 16), int(text[3:5], 16), int(text[5:7], 16)
    return None


def _contrast(one: tuple[int, int, int], other: tuple[int, int, int]) -> float:
    """WCAG 2.2: (L1 + 0.05) / (L2 + 0.05)."""
    bright, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


def _luminance(colour: tuple[int, int, int]) -> float:
    linear = [part / 12.92 if (part := value / 255) <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for value in colour]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def lint(message: Mapping[str, Any]) -> dict[str, Any]:
    """`message` has subject, html, text and class. The answer: `findings` ({rule, part, line, snippet}),
    `hosts` ({host, part, line}), `html_bytes`."""
    subject, html, text = message["subject"], message["html"], message["text"]
    findings: list[dict[str, Any]] = []

    def add(rule: str, part: str, line: int | None = None, snippet: str | None = None) -> None:
        if sum(found["rule"] == rule for found in findings) < MAX_EACH:
            findings.append({"rule": rule, "part": part, "line": line, "snippet": snippet or None})

    if subject is not None:
        if not subject.strip():
            add("subject_empty", "subject")
        if len(subject) > 70:
            add("subject_long", "subject", None, f"{len(subject)} characters")
        if _FAKE_REPLY.match(subject):
            add("subject_fakes_reply", "subject", None, subject[:40])
    for part, value in (("subject", subject), ("html", html), ("text", text)):
        for match in _PLACEHOLDER.finditer(value or ""):
            add("placeholder_left", part, (value or "").count("\n", 0, match.start()) + 1, match[0])
    hosts: dict[str, dict[str, Any]] = {}
    way_out = bool(text and ("unsubscribe_url" in text or _UNSUBSCRIBE.search(text)))
    size = 0
    if html is not None:
        reader = _Reader()
        reader.feed(html)
        reader.close()
        for rule, line, snippet in reader.found:
            add(rule, "html", line, snippet)
        hosts = {host: {"host": host, "part": "html", "line": line} for host, line in reader.hosts.items()}
        way_out, size = way_out or reader.way_out, len(html.encode())
        _sizes(size, add)
        _texts(html, text, reader.images, add)
    elif text is not None:
        reader = _Reader()
        for match in _URL.finditer(text):
            reader.link(match[0].rstrip(".,;:!?)>]'\""), "", text.count("\n", 0, match.start()) + 1)
        for rule, line, snippet in reader.found:
            add(rule, "text", line, snippet)
        hosts = {host: {"host": host, "part": "text", "line": line} for host, line in reader.hosts.items()}
    if message["class"] == "campaign" and not way_out:
        add("unsubscribe_missing", "html" if html is not None else "text")
    assert all(found["rule"] in RULES for found in findings)
    return {"findings": findings, "hosts": list(hosts.values()), "html_bytes": size}


def _sizes(size: int, add: Any) -> None:
    if size > GMAIL_CLIPS:
        add("html_clipped", "html", None, f"{size} octets")
    elif size > GMAIL_CLIPS * 0.85:
        add("html_nearly_clipped", "html", None, f"{size} octets")


def _texts(html: str, text: str | None, images: int, add: Any) -> None:
    shown = set(_WORDS.findall(text_of(html).lower()))
    if images and len(shown) < 10:
        add("image_only", "html", None, f"{images} images, {len(shown)} words")
    if text is None:
        add("text_missing", "text")
        return
    said = set(_WORDS.findall(text.lower()))
    if shown and len(shown & said) / len(shown | said) < 0.4:
        add("text_differs", "text", None, f"{len(shown & said)} of {len(shown | said)} words are in both")
