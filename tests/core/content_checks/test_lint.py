"""What reading a message finds."""

from __future__ import annotations

from typing import Any

import pytest

from penguinmails_core.content_checks.lint import lint
from penguinmails_core.content_checks.rules import RULES

GOOD = '<html lang="en"><body><p>Your order has left our house today and will be with you soon.</p></body></html>'
SAME = "Your order has left our house today and will be with you soon."


def check(html: str | None = GOOD, text: str | None = SAME, subject: str = "Your order", **members: Any) -> set[str]:
    read = lint({"subject": subject, "html": html, "text": text, "class": "transactional", **members})
    return {found["rule"] for found in read["findings"]}


def body(inside: str) -> str:
    return GOOD.replace("</body>", inside + "</body>")


def test_a_good_message_has_nothing() -> None:
    assert check() == set()


@pytest.mark.parametrize(
    ("rule", "inside"),
    [
        ("link_broken", '<a href="">see your order</a>'),
        ("link_broken", '<a href="#">see your order</a>'),
        ("link_broken", '<a href="/orders">see your order</a>'),
        ("link_broken", '<a href="javascript:x()">see your order</a>'),
        ("link_broken", '<a href="http://[x/">see your order</a>'),
        ("link_not_https", '<a href="http://acme.example/o">see your order</a>'),
        ("link_to_address", '<a href="https://192.0.2.1/o">see your order</a>'),
        ("link_with_user", '<a href="https://bank.example@evil.example/">see your order</a>'),
        ("link_shortened", '<a href="https://bit.ly/x">see your order</a>'),
        ("link_text_differs", '<a href="https://evil.example/">https://bank.example/login</a>'),
        ("link_text_differs", '<a href="https://bank.example.evil.example/">bank.example</a>'),
        ("link_text_vague", '<a href="https://acme.example/">Click here!</a>'),
        ("image_without_alt", '<img src="https://a.example/x.png" width="1" height="1">'),
        ("image_inline_data", '<img src="data:image/png;base64,AA" alt="" width="1" height="1">'),
        ("image_not_https", '<img src="http://a.example/x.png" alt="" width="1" height="1">'),
        ("image_without_size", '<img src="https://a.example/x.png" alt="">'),
        ("active_content", "<script>x</script>"),
        ("active_content", '<p onclick="x()">yes</p>'),
        ("active_content", "<form></form>"),
        ("stylesheet_remote", '<link rel="stylesheet" href="https://a.example/x.css">'),
        ("layout_table", "<table><tr><td>x</td></tr></table>"),
        ("contrast_low", '<p style="color:#aaa;background-color:#fff">yes</p>'),
        ("font_small", '<p style="font-size: 8px">yes</p>'),
        ("placeholder_left", "<p>{{ first_name }}</p>"),
        ("placeholder_left", "<p>*|FNAME|*</p>"),
        ("html_clipped", "<!--" + "x" * 103 * 1024 + "-->"),
        ("html_nearly_clipped", "<!--" + "x" * 95 * 1024 + "-->"),
    ],
)
def test_each_rule_is_found_alone(rule: str, inside: str) -> None:
    assert check(body(inside)) == {rule}


@pytest.mark.parametrize(
    "inside",
    [
        '<a href="https://www.acme.example/o?a=b">acme.example</a>',
        '<a href="mailto:x@acme.example">x@acme.example</a>',
        '<a href="https://acme.example/">Version 2.0 is here.</a>',
        '<a href="{{unsubscribe_url}}">unsubscribe</a>',
        '<a href="#terms">to the terms</a>',
        '<img src="cid:logo" alt="Acme" width="1" height="1">',
        '<table role="presentation"><tr><td>x</td></tr></table>',
        "<table><tr><th>x</th></tr></table>",
        '<p style="color:#333;background-color:#fff;font-size:14px">yes</p>',
        '<p style="font-size:0">yes</p>',
    ],
)
def test_what_is_fine_is_left_alone(inside: str) -> None:
    assert check(body(inside)) == set()


def test_the_rest() -> None:
    assert check(subject=" ") == {"subject_empty"}
    assert check(subject="x" * 71) == {"subject_long"}
    assert check(subject="Re: your order") == {"subject_fakes_reply"}
    assert check(GOOD.replace(' lang="en"', "")) == {"lang_missing"}
    assert check("<p>Your order has left our house today and will be with you soon.</p>") == {"lang_missing"}
    assert check(text=None) == {"text_missing"}
    assert check(text="Something else entirely, which nobody would expect of it.") == {"text_differs"}
    picture = '<html lang="en"><img src="https://a.example/x.png" alt="Sale" width="1" height="1"></html>'
    assert check(picture, "Sale") == {"image_only"}


def test_campaign_mail_has_a_way_out() -> None:
    assert check(**{"class": "campaign"}) == {"unsubscribe_missing"}
    for way in ('<a href="{{unsubscribe_url}}">No more of this</a>', '<a href="https://a.example/x">Unsubscribe</a>'):
        assert check(body(way), **{"class": "campaign"}) == set()
    assert check(None, "To unsubscribe: {{unsubscribe_url}}", **{"class": "campaign"}) == set()


def test_plain_text_has_links_too() -> None:
    read = lint({"subject": None, "html": None, "text": "See\nhttps://bit.ly/x, please", "class": "transactional"})
    assert [(found["rule"], found["part"], found["line"]) for found in read["findings"]] == [
        ("link_shortened", "text", 2)
    ]
    assert read["hosts"] == [{"host": "bit.ly", "part": "text", "line": 2}]


def test_every_rule_can_be_found() -> None:
    """`link_listed` needs DNS: tests/sender/content."""
    tried = {mark for mark in RULES if mark != "link_listed"}
    source = __import__("pathlib").Path(__file__).read_text(encoding="utf-8")
    assert {rule for rule in tried if f'"{rule}"' not in source} == set()


def test_one_rule_does_not_fill_the_list() -> None:
    read = lint({"subject": None, "html": body("<script></script>" * 500), "text": SAME, "class": "transactional"})
    assert len(read["findings"]) == 20
