"""Templates filled in by the worker processes, hostile ones too."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from penguinmails_core.templates.renderer import Rendered, Renderer

MJML = "<mjml><mj-body><mj-section><mj-column>{}</mj-column></mj-section></mj-body></mjml>"


@pytest.fixture
async def renderer() -> AsyncIterator[Renderer]:
    made = Renderer(processes=1, seconds=2)
    yield made
    await made.close()


async def render(renderer: Renderer, source: str, seed: str = "", /, **given: Any) -> Rendered:
    members: dict[str, Any] = {
        name: given.pop(name) for name in ("format", "text", "subject", "spintax", "inline_css") if name in given
    }
    version = {"format": "html", "subject": "s", "source": source, "text": None, "spintax": False, "inline_css": True}
    return await renderer.render({**version, **members}, given, seed)


async def test_what_variables_hold_is_escaped_in_html_only(renderer: Renderer) -> None:
    found = await render(
        renderer, "<p>{{ name }} {{ name | upcase }}</p>", subject="{{ name }}", text="{{ name }}", name="<b>&"
    )
    assert found.html == "<p>&lt;b&gt;&amp; &lt;B&gt;&amp;</p>"
    assert (found.subject, found.text) == ("<b>&", "<b>&")


async def test_a_subject_stays_one_line(renderer: Renderer) -> None:
    found = await render(renderer, "", format="text", text="t", subject="Hi {{ name }}", name="Ada\r\nBcc: x@y.z")
    assert found.subject == "Hi Ada Bcc: x@y.z"


async def test_every_missing_variable_is_named(renderer: Renderer) -> None:
    source = "{{ a }}{{ b.c | upcase }}{{ u.v }}{{ n | plus: 1 }}{% for x in list %}{% endfor %}{{ 1 | plus: m }}"
    assert set((await render(renderer, source, u={})).missing) == {"a", "b", "u.v", "n", "list", "m"}


async def test_what_is_only_asked_about_is_not_missing(renderer: Renderer) -> None:
    found = await render(renderer, "{% if a %}x{% endif %}{% unless a.b %}y{% endunless %}{{ a | default: 'z' }}")
    assert (found.missing, found.html) == ((), "yz")


async def test_mjml_becomes_html_with_styles_inline(renderer: Renderer) -> None:
    found = await render(renderer, MJML.format("<mj-text>Hi {{ name }}</mj-text>"), format="mjml", name="<x>")
    assert found.html is not None
    assert "&lt;x&gt;" in found.html
    assert "<mj" not in found.html
    assert "@media" in found.html  # phones need the rule that cannot be inlined
    assert "fonts.googleapis.com" not in found.html
    assert found.text == "Hi <x>\n"


async def test_mjml_reads_no_files(renderer: Renderer) -> None:
    found = await render(renderer, MJML.format("<mj-include path='/etc/passwd' />"), format="mjml")
    assert [error["code"] for error in found.errors] == ["mjml"]


async def test_remote_styles_are_not_fetched(renderer: Renderer) -> None:
    style = "<style>p{color:red}@media print{p{color:blue}}</style>"
    found = await render(renderer, f'<link rel="stylesheet" href="http://127.0.0.1:9/x.css">{style}<p>x')
    assert found.html is not None
    assert '<p style="color: red;">' in found.html
    assert "@media print" in found.html


async def test_spintax_says_the_same_to_the_same_person(renderer: Renderer) -> None:
    source = "{Hi|Hello|Hey {there|you}} {{ name }} <style>p{a|b}</style>"
    for_ada = {
        (await render(renderer, source, "ada@x.y", spintax=True, inline_css=False, name="{q|r}")).html for _ in range(3)
    }
    assert len(for_ada) == 1
    said = {
        (await render(renderer, source, f"{n}@x.y", spintax=True, inline_css=False, name="{q|r}")).html
        for n in range(40)
    }
    greetings = ("Hi", "Hello", "Hey there", "Hey you")
    assert said == {f"{greeting} {{q|r}} <style>p{{a|b}}</style>" for greeting in greetings}


@pytest.mark.parametrize(
    "source",
    [
        "{% for i in (1..1000000000) %}x{% endfor %}",
        "{{ (1..1000000000) | join: ',' }}",
        "{% assign a='xxxxxxxxxx' %}{% for i in (1..60) %}{% assign a = a | append: a %}{% endfor %}",
        "{% assign n=10 %}{% for i in (1..60) %}{% assign n = n | times: n %}{% endfor %}",
    ],
)
async def test_a_hostile_template_ends_its_process_and_nothing_else(renderer: Renderer, source: str) -> None:
    found = await render(renderer, source)
    assert [error["code"] for error in found.errors] == ["too_expensive"]
    assert (await render(renderer, "{{ x }}", x="fine")).html == "fine"


async def test_the_loop_goes_on_while_a_template_is_slow(renderer: Renderer) -> None:
    slow = asyncio.create_task(render(renderer, "{{ (1..1000000000) | join: ',' }}"))
    ticks = 0
    while not slow.done():
        await asyncio.sleep(0.01)
        ticks += 1
    assert ticks > 10
    assert (await slow).errors


@pytest.mark.parametrize("tag", ["{% include 'x' %}", "{% render 'x' %}", "{% extends 'x' %}"])
async def test_templates_load_no_others(renderer: Renderer, tag: str) -> None:
    assert [error["code"] for error in (await render(renderer, tag)).errors] == ["liquid_syntax"]


async def test_a_fault_has_its_line_and_part(renderer: Renderer) -> None:
    [error] = (await render(renderer, "a\nb\n{{ x | nothing }}")).errors
    assert (error["part"], error["line"]) == ("html", 3)
    faults, _ = await renderer.check(
        {"format": "html", "subject": "{{ a", "source": "{% if %}", "text": None, "spintax": False, "inline_css": True}
    )
    assert [fault["part"] for fault in faults] == ["subject", "html"]


async def test_who_leaves_early_takes_no_answer_of_others(renderer: Renderer) -> None:
    waiting = asyncio.create_task(render(renderer, "{{ (1..5000000) | join: ',' | size }}"))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert (await render(renderer, "{{ x }}", x="mine")).html == "mine"


async def test_own_filters(renderer: Renderer) -> None:
    source = (
        "{{ name | titlecase }}|{{ n | number_with_delimiter }}|{{ share | percentage: 1 }}|{{ n | currency: 'EUR' }}"
    )
    found = await render(renderer, source, name="ada o'hara", n=1234567.5, share=0.2564)
    assert found.html == "Ada O&#39;hara|1,234,567.5|25.6%|EUR 1,234,567.50"
    assert (await render(renderer, "{{ 'x' | percentage }}")).errors
