"""The GraphQL explorer in a real Chromium, and its pages."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from graphql import build_schema
from playwright.async_api import Browser, expect

from tests.api.reference import test_browser as helpers
from tests.fixtures.client import ApiClient
from tests.fixtures.factories import Tenant

address, browser = helpers.address, helpers.browser


@pytest.mark.browser
async def test_a_query_is_run_with_a_test_key(browser: Browser, address: str, tenant: Tenant, tmp_path: Path) -> None:
    seen = await helpers.visit(browser, address + "/docs/graphql")
    page = seen.page
    await page.get_by_label("Test key").fill(tenant.key)
    await page.get_by_label("Query").press("Control+Enter")
    await expect(page.get_by_label("Answer")).to_contain_text("Paste a test key")
    await page.get_by_label("Test key").fill(tenant.test)
    await page.get_by_label("Query").press("Control+Enter")
    await expect(page.get_by_label("Answer")).to_contain_text('"mode": "test"')
    await page.get_by_label("Variables").fill("{")
    await page.get_by_role("button", name="Run").click()
    await expect(page.get_by_label("Answer")).to_contain_text("not JSON")
    await page.screenshot(path=tmp_path / "graphql.png", full_page=False)
    assert await helpers.serious(page) == []
    assert all(url.startswith(address) for url in seen.requests), seen.requests
    assert seen.console == []


@pytest.mark.browser
async def test_a_type_opens_where_it_is_named(browser: Browser, address: str) -> None:
    page = (await helpers.visit(browser, address + "/docs/graphql")).page
    await page.locator("#type-Query").get_by_role("link", name="EmailConnection!").first.click()
    await expect(page.locator("#type-EmailConnection")).to_have_attribute("open", "")


async def test_the_schema_can_be_fetched(client: ApiClient) -> None:
    served = await client.as_(None).get("/docs/schema.graphql")
    assert "type Query" in served.text
    build_schema(served.text)
    twin = await client.as_(None).get("/docs/graphql.md")
    assert twin.headers["content-type"].startswith("text/markdown")
    assert served.text.strip() in twin.text


async def test_every_link_of_the_schema_leads_somewhere(client: ApiClient) -> None:
    html = (await client.as_(None).get("/docs/graphql")).text
    targets = set(re.findall(r'href="#(type-[A-Za-z]+)"', html))
    assert targets
    assert targets <= set(re.findall(r'id="(type-[A-Za-z]+)"', html))
