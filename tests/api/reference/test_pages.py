"""The pages for people: complete, safe, every link leads somewhere, each with its twin in Markdown."""

from __future__ import annotations

import re
import shlex
import subprocess
from html.parser import HTMLParser

import pytest
from penguinmails import PenguinMails

from penguinmails_api.app import api
from penguinmails_api.reference import assets
from penguinmails_api.reference.model import events, tags
from penguinmails_api.reference.pages import markdown
from penguinmails_core.errors import problems
from penguinmails_webhooks.events import CATALOGUE
from tests.conftest import ROOT
from tests.contract.completeness import operations
from tests.fixtures.client import ApiClient, problem

TAGS = tags(api().openapi())
TAGS_V2 = tags(api().openapi_v2(), sdk=False)
PAGES = [
    "/docs",
    "/docs/v2",
    "/docs/guides",
    "/problems",
    "/docs/reference/webhooks",
    *(f"/docs/v2/reference/{tag.name}" for tag in TAGS_V2),
    *(f"/docs/reference/{tag.name}" for tag in TAGS),
    *(f"/docs/guides/{path.stem}" for path in sorted((ROOT / "docs").glob("*.md"))),
    *(f"/problems/{code}" for code in problems()),
]


class Links(HTMLParser):
    """Addresses and ids of a page, and whatever a strict policy would refuse."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: set[str] = set()
        self.ids: list[str] = []
        self.inline: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in ("href", "src") and value:
                self.links.add(value)
            if name == "id" and value:
                self.ids.append(value)
            if name.startswith("on") or name == "style" or (value or "").startswith("javascript:"):
                self.inline.append(f"<{tag} {name}>")
        if tag == "style" or (tag == "script" and "src" not in dict(attrs)):
            self.inline.append(f"<{tag}>")


@pytest.fixture
def anyone(client: ApiClient) -> ApiClient:
    return client.as_(None)


async def test_every_page_is_there_with_a_policy_and_a_twin(anyone: ApiClient) -> None:
    for address in PAGES:
        response = await anyone.get(address)
        assert response.status_code == 200, address
        policy = response.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        page = Links(response.text)
        assert page.inline == [], address
        assert len(page.ids) == len(set(page.ids)), address
        assert response.text.count("<h1") == 1, address
        twin = await anyone.get(f"{address}.md")
        assert twin.headers["content-type"].startswith("text/markdown"), address
        assert twin.text.startswith("# "), address
        assert f'href="{address}.md"' in response.text


async def test_every_link_leads_somewhere(anyone: ApiClient) -> None:
    found: dict[str, set[str]] = {}
    for address in (*PAGES, "/docs/swagger"):
        for link in Links((await anyone.get(address)).text).links:
            target, _, anchor = link.partition("#")
            if not link.startswith("https://"):
                found.setdefault(target or address, set()).add(anchor)
    for target, anchors in found.items():
        if target.startswith("/"):
            response = await anyone.get(target)
            assert response.status_code == 200, target
            missing = anchors - {""}
            if missing:
                missing -= set(Links(response.text).ids)
            assert not missing, f"{target}: {missing}"


async def test_the_reference_holds_every_operation_and_every_event(anyone: ApiClient) -> None:
    assert sum(len(tag.operations) for tag in TAGS) == sum(1 for _ in operations(api().openapi()))
    for tag in TAGS:
        text = (await anyone.get(f"/docs/reference/{tag.name}")).text
        written = (await anyone.get(f"/docs/reference/{tag.name}.md")).text
        for one in tag.operations:
            assert f'id="{one.id}"' in text
            assert f"`{one.method} {one.path}`" in written
            for scope in one.scopes:
                assert f"<code>{scope}</code>" in text
    assert {event.name for event in events(api().openapi())} == {event.value for event in CATALOGUE}


async def test_version_2_is_there_beside_version_1(anyone: ApiClient) -> None:
    assert sum(len(tag.operations) for tag in TAGS_V2) == sum(1 for _ in operations(api().openapi_v2()))
    for tag in TAGS_V2:
        text = (await anyone.get(f"/docs/v2/reference/{tag.name}")).text
        written = (await anyone.get(f"/docs/v2/reference/{tag.name}.md")).text
        for one in tag.operations:
            assert f'id="{one.id}"' in text
            assert f"`{one.method} {one.path}`" in written
            assert "client." not in one.python, "the SDKs speak version 1"
    for address, current, other in (("/docs", "v1", "/docs/v2"), ("/docs/v2", "v2", "/docs")):
        text = (await anyone.get(address)).text
        assert f'aria-current="true">{current}</a>' in text
        assert f'<a href="{other}">' in text
    problem(await anyone.get("/docs/v2/reference/members"), 404, "not_found")


async def test_every_kind_of_problem_has_a_page_with_cause_and_fix(anyone: ApiClient) -> None:
    for code, kind in problems().items():
        written = (await anyone.get(f"/problems/{code}.md")).text
        assert kind.cause in written
        assert kind.fix in written
        assert f"`{code}`" in written
    problem(await anyone.get("/problems/nothing"), 404, "not_found")
    problem(await anyone.get("/problems/nothing.md"), 404, "not_found")


async def test_llms_txt_lists_every_page_in_markdown(anyone: ApiClient) -> None:
    text = (await anyone.get("/llms.txt")).text
    links = re.findall(r"\((/[^)]+)\)", text)
    for link in links:
        assert (await anyone.get(link)).status_code == 200, link
    for address in ("/docs", "/problems", *(page for page in PAGES if page.startswith("/docs/"))):
        assert f"{address}.md" in links or address == "/docs/guides", address


@pytest.mark.parametrize(
    "path",
    [
        "/docs/nothing",
        "/docs/reference/nothing",
        "/docs/guides/nothing",
        "/docs/guides/..%2FREADME",
        "/docs/static/..%2Fpages.py",
        "/docs/static/nothing.css",
        "/docs/swagger/favicon.png",
        "/docs/swagger/..%2Fcore.py",
    ],
)
async def test_what_is_not_there_is_a_problem(anyone: ApiClient, path: str) -> None:
    problem(await anyone.get(path), 404, "not_found")


async def test_swagger_ui_comes_from_this_server(anyone: ApiClient, monkeypatch: pytest.MonkeyPatch) -> None:
    page = await anyone.get("/docs/swagger")
    assert Links(page.text).inline == []
    assert "script-src 'self';" in page.headers["content-security-policy"]
    for name in ("swagger-ui.css", "swagger-ui-bundle.js"):
        assert len((await anyone.get(f"/docs/swagger/{name}")).content) > 100_000
    monkeypatch.setattr(assets, "swagger_folder", lambda: None)
    assert "not installed" in (await anyone.get("/docs/swagger")).text
    problem(await anyone.get("/docs/swagger/swagger-ui.css"), 404, "not_found")


def test_markup_in_descriptions_is_text() -> None:
    html = markdown('Hello <script>alert(1)</script> <b>x</b> [a](javascript:alert(1)) "quoted"')
    assert "<script" not in html
    assert "<b>" not in html
    assert 'href="javascript' not in html


def test_python_samples_compile_and_name_real_methods() -> None:
    client = PenguinMails(api_key="pm_test_x", base_url="http://127.0.0.1:9")
    tried = 0
    for one in (one for tag in TAGS for one in tag.operations if one.python):
        compile(one.python, one.id, "exec")
        call = re.search(r"client\.(\w+)\.(\w+)\(", one.python)
        assert call, one.python
        assert callable(getattr(getattr(client, call[1]), call[2])), one.id
        tried += 1
    assert tried > 15


def test_curl_samples_are_shell() -> None:
    for one in (one for tag in TAGS for one in tag.operations):
        assert subprocess.run(["sh", "-n", "-c", one.curl], check=False).returncode == 0, one.curl
        assert shlex.split(one.curl)[0] == "curl"
        assert "{" not in shlex.split(one.curl)[1 if one.method == "GET" else 3]
