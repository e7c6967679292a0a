"""Links of an HTML body: found once for a message, replaced for each recipient. All other octets stay as they are.

Only start tags are read, with patterns whose parts cannot overlap and whose lengths are bounded, so that no body takes
more than linear time.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

MAX_URL = 4096
_TAG = re.compile(
    r"<(?:a|area)(?=[\s/])((?:[^<>\"']|\"[^\"]{0,8192}\"|'[^']{0,8192}'){1,400}+)>",
    re.IGNORECASE,
)
_HREF = re.compile(r"(?<![^\s\"'/])href\s{0,20}=\s{0,20}(?:\"([^\"]*)\"|'([^']*)'|([^\s\"'>]+))", re.IGNORECASE)
_OFF = re.compile(r"(?<![^\s\"'/])data-track\s{0,20}=\s{0,20}[\"']?off\b", re.IGNORECASE)
_LEAVE = re.compile(r"unsubscri|opt[-_]?out|preferences_url|\{\{", re.IGNORECASE)
_BODY_END = re.compile(r"</body\s{0,20}>", re.IGNORECASE)
_SPACE = str.maketrans("", "", "\t\r\n")  # browsers drop these anywhere in a URL (URL standard, basic parser)
_ASCII = "".join(map(chr, range(0x21, 0x7F)))


@dataclass(frozen=True, slots=True)
class MarkedHtml:
    """`parts` are the pieces around the links: one more than `urls`, which are absolute, in ASCII, and in the order of
    the text."""

    parts: tuple[str, ...]
    urls: tuple[str, ...]

    def render(self, link: Callable[[int], str]) -> str:
        """With `link(place)` where the links stood. It must give a URL without characters that HTML reads."""
        pieces = [self.parts[0]]
        for place, part in enumerate(self.parts[1:]):
            pieces += (link(place), part)
        return "".join(pieces)


def mark(body: str, most: int) -> MarkedHtml:
    """The first `most` links of `body` that lead to the web. Those by which people leave are not among them, nor those
    in a tag with `data-track="off"`, nor what is still to be filled in."""
    parts: list[str] = []
    urls: list[str] = []
    end = 0
    for tag in _TAG.finditer(body):
        if len(urls) >= most:
            break
        found = _HREF.search(tag[1])
        if found is None or _OFF.search(tag[1]) is not None:
            continue
        group = found.lastindex or 3
        url = _destination(found[group])
        if url is None:
            continue
        parts.append(body[end : tag.start(1) + found.start(group)])
        urls.append(url)
        end = tag.start(1) + found.end(group)
    parts.append(body[end:])
    return MarkedHtml(tuple(parts), tuple(urls))


def with_image(body: str, url: str) -> str:
    """An image that nobody sees, at the end of the body."""
    image = f'<img src="{url}" width="1" height="1" alt="" style="display:block;width:1px;height:1px;border:0">'
    ends = list(_BODY_END.finditer(body))
    place = ends[-1].start() if ends else len(body)
    return body[:place] + image + body[place:]


def _destination(value: str) -> str | None:
    """What a browser would open; None for what is left as it is."""
    url = html.unescape(value).translate(_SPACE).strip()
    if not url[:8].lower().startswith(("http://", "https://")) or _LEAVE.search(url) is not None:
        return None
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError:
        return None
    if not host or not host.isascii():
        return None
    url = quote(url, safe=_ASCII)  # as browsers send it; what is escaped already stays
    return url if len(url) <= MAX_URL else None
