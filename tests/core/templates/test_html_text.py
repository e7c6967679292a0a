"""The text part made from HTML."""

from __future__ import annotations

import pytest

from penguinmails_core.templates.html_text import text_of


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("", ""),
        ("<p>One\n  two</p><p>three</p>", "One two\n\nthree\n"),
        ("a<br>b", "a\nb\n"),
        ("<h1>Title</h1>text", "Title\n\ntext\n"),
        ("<ul><li>a</li><li>b<ol><li>c</li><li>d</li></ol></li></ul>", "- a\n- b\n  1. c\n  2. d\n"),
        ("<table><tr><th>Item</th><th>Price</th></tr><tr><td>Hat</td><td>3</td></tr></table>",
         "Item  |  Price\nHat  |  3\n"),
        ("<blockquote>said</blockquote>mine", "> said\n\nmine\n"),
        ('<p>See <a href="https://a.b/c">this</a> and <a href="https://a.b/c">that</a>.</p>',
         "See this [1] and that [1].\n\n[1] https://a.b/c\n"),
        ('<a href="https://a.b/">https://a.b/</a> <a href="mailto:x@y.z">x@y.z</a>', "https://a.b/ x@y.z\n"),
        ('<a href="#top">up</a> <a href="javascript:x()">run</a>', "up run\n"),
        ('<a href="https://a.b/"><img src="x"></a>', "https://a.b/\n"),
        ('<img alt="Our logo" src="x"><p>Hi</p>', "Our logo\n\nHi\n"),
        ("<pre>a\n  b</pre>", "a\n  b\n"),
        ("<head><title>t</title></head><body><style>p{}</style><script>x</script>seen</body>", "seen\n"),
        ('<div style="display:none">preview</div><div hidden>no</div>shown', "shown\n"),
        ("a&nbsp;&amp;&#8203;b &lt;c&gt;", "a &b <c>\n"),
        ("a<hr>b", "a\n\n" + "-" * 40 + "\n\nb\n"),
        ("<p>unclosed <b>tags <i>everywhere", "unclosed tags everywhere\n"),
        ("</div></p>stray", "stray\n"),
    ],
)  # fmt: skip
def test_conversion(html: str, text: str) -> None:
    assert text_of(html) == text


def test_depth_is_no_attack() -> None:
    assert text_of("<div>" * 50_000 + "deep") == "deep\n"
