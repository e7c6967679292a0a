"""Links of a body: which are followed, and that nothing else of it changes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penguinmails_sender.mime.links import mark, with_image


def followed(body: str) -> tuple[str, ...]:
    return mark(body, 1000).urls


@pytest.mark.parametrize(
    ("body", "urls"),
    [
        ('<a href="https://a.example/x?y=1&amp;z=2">', ["https://a.example/x?y=1&z=2"]),
        ("<A class='b' HREF = 'http://a.example'>", ["http://a.example"]),
        ("<a\nhref=https://a.example/x>", ["https://a.example/x"]),
        ('<area href="https://a.example">', ["https://a.example"]),
        ('<a title="a > b" href="https://a.example/">', ["https://a.example/"]),
        ('<a href=" https://a.example/a b\n/ä ">', ["https://a.example/a%20b/%C3%A4"]),
        ('<a data-href="https://a.example" href="https://b.example">', ["https://b.example"]),
        ('<a href="https://a.example"><a href="https://a.example">', ["https://a.example"] * 2),
        ('<a href="mailto:ada@example.com">', []),
        ('<a href="tel:+49123">', []),
        ('<a href="#part">', []),
        ('<a href="/relative">', []),
        ('<a href="javascript:alert(1)">', []),
        ('<a href="https://">', []),
        ('<a href="https://[::1">', []),
        ('<a href="https://bücher.example/">', []),
        ('<a href="{{unsubscribe_url}}">', []),
        ('<a href="https://a.example/Unsubscribe?id=1">', []),
        ('<a href="https://a.example/opt-out">', []),
        ('<a href="https://a.example/?u={{name}}">', []),
        ('<a data-track="off" href="https://a.example">', []),
        ('<a href="https://a.example/' + "x" * 5000 + '">', []),
        ('<abbr href="https://a.example">', []),
        ('<img src="https://a.example/a.png"><link href="https://a.example">', []),
        ("https://a.example in the text", []),
        ('<a href="https://a.example', []),
    ],
)
def test_which_links_are_followed(body: str, urls: list[str]) -> None:
    assert list(followed(body)) == urls


@given(st.lists(st.sampled_from(["<a ", "<a", "href", "=", '"', "'", ">", "https://a.example", " ", "<", "x", "&"])))
def test_rendering_gives_the_body_back(pieces: list[str]) -> None:
    body = "".join(pieces)
    marked = mark(body, 1000)
    assert len(marked.parts) == len(marked.urls) + 1
    assert len(marked.render(lambda place: f"[{place}]")) == len("".join(marked.parts)) + sum(
        len(f"[{place}]") for place in range(len(marked.urls))
    )
    assert not marked.urls or "https://a.example" not in marked.parts[0]


def test_only_the_value_is_replaced() -> None:
    body = "<p>A</p><a\n  class='x' href='https://a.example' id=y>Ä</a><a href=https://b.example>B</a>"
    rendered = mark(body, 1000).render(lambda place: f"https://t.example/{place}")
    assert rendered == body.replace("https://a.example", "https://t.example/0").replace(
        "https://b.example", "https://t.example/1"
    )


def test_only_so_many() -> None:
    marked = mark('<a href="https://a.example">' * 5, 2)
    assert len(marked.urls) == 2
    assert marked.parts[-1].count("https://a.example") == 3


@pytest.mark.parametrize("piece", ["<a ", '<a "', "<a '\"", "<a x=", "<a href", '<a href="', "<a <"])
def test_hostile_bodies_take_no_longer_than_others(piece: str) -> None:
    """It would run for hours if it were quadratic."""
    assert followed(piece * 300_000) == ()


def test_the_image_goes_to_the_end_of_the_body() -> None:
    assert with_image("<body>a</body></html>", "https://t.example/o/x").startswith('<body>a<img src="https://t.example')
    assert with_image("a</body>b</BODY >", "u").endswith("</BODY >")
    assert with_image("<p>a", "u").startswith("<p>a<img")
