"""Limits of single routes: declared in slowapi's notation, counted by the one limiter, never in a blocking call."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import APIRouter
from redis.asyncio import Redis

from penguinmails_api.app import Api
from penguinmails_api.gateway import Gateway
from penguinmails_api.rate_limits.route_index import UNMATCHED, RouteIndex
from penguinmails_api.rate_limits.special import declared_on, limit
from penguinmails_api.routing import operation, public
from penguinmails_api.services import Services
from tests.fixtures.factories import Tenant

router = APIRouter()


@router.post("/v1/exports", **operation("exports_create", cost=3))
@limit("2/minute;50/day")
async def create_export() -> dict[str, str]:
    return {}


@router.get("/v1/exports/{export_id}/parts/{part}", **operation("exports_part"))
async def get_part(export_id: str, part: str) -> dict[str, str]:
    return {}


@router.post("/v1/tests", **operation("tests_create"))
@limit("1/15minutes", by="organization")
async def create_test() -> dict[str, str]:
    return {}


@router.post("/sign_in", **public("sign_in", errors=(429,)))
@limit("3/minute", by="address")
async def sign_in() -> dict[str, str]:
    return {}


@pytest.fixture
async def http(services: Services) -> AsyncIterator[httpx.AsyncClient]:
    api = Api()
    api.add(router)
    transport = httpx.ASGITransport(Gateway(api, services), client=("192.0.2.1", 1))
    async with httpx.AsyncClient(transport=transport, base_url="http://api.test") as client:
        yield client


def of(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


async def test_a_route_has_a_limit_of_its_own(http: httpx.AsyncClient, tenant: Tenant) -> None:
    for _ in range(2):
        assert (await http.post("/v1/exports", headers=of(tenant.key))).status_code == 200
    response = await http.post("/v1/exports", headers=of(tenant.key))
    assert response.status_code == 429
    assert response.json()["violated_policies"] == ["exports_create"]
    assert '"exports_create";q=2;w=60' in response.headers["ratelimit-policy"]
    assert (await http.get("/v1/me", headers=of(tenant.key))).status_code == 200
    assert (await http.post("/v1/exports", headers=of(tenant.test))).status_code == 200  # a caller of its own


async def test_by_organization_other_keys_count_too(http: httpx.AsyncClient, tenant: Tenant, stranger: Tenant) -> None:
    assert (await http.post("/v1/tests", headers=of(tenant.key))).status_code == 200
    assert (await http.post("/v1/tests", headers=of(tenant.test))).status_code == 429
    assert (await http.post("/v1/tests", headers=of(stranger.key))).status_code == 200


async def test_public_routes_by_address(services: Services, http: httpx.AsyncClient) -> None:
    assert [(await http.post("/sign_in")).status_code for _ in range(4)] == [200, 200, 200, 429]
    refused = await http.post("/sign_in")
    assert 1 <= int(refused.headers["retry-after"]) <= 60
    gateway: Gateway = http._transport.app  # type: ignore[attr-defined]
    elsewhere = httpx.ASGITransport(gateway, client=("192.0.2.2", 1))
    async with httpx.AsyncClient(transport=elsewhere, base_url="http://api.test") as other:
        assert (await other.post("/sign_in")).status_code == 200


async def test_it_is_one_round_trip_with_all_other_policies(
    http: httpx.AsyncClient, tenant: Tenant, redis: Redis
) -> None:
    await http.post("/v1/tests", headers=of(tenant.key))
    before = (await redis.info("commandstats"))["cmdstat_evalsha"]["calls"]
    await http.post("/v1/exports", headers=of(tenant.key))
    assert (await redis.info("commandstats"))["cmdstat_evalsha"]["calls"] == before + 1


def test_a_notation_that_cannot_be_read_is_found_at_once() -> None:
    with pytest.raises(ValueError, match="parse"):
        limit("now and then")
    [declared] = declared_on(create_export)
    assert [(b.name, b.rate, b.per) for b in declared.buckets("x")] == [("x", 2, 60), ("x-2", 50, 86400)]


def test_the_index_finds_what_the_router_finds() -> None:
    index = RouteIndex(Api().routes + router.routes)
    assert index.find("GET", "/v1/exports/1/parts/2").operation == "exports_part"
    assert index.find("HEAD", "/v1/me").operation == "me_get"
    assert index.find("POST", "/v1/exports").cost == 3
    assert index.find("POST", "/v1/emails/batch").operation == "emails_batch"
    assert index.find("GET", "/v1/emails/batch").operation == "emails_get"
    for path in ("/v1/exports/1/parts", "/v1/exports/1/parts/2/", "", "/v1", "/v1/nothing"):
        assert index.find("GET", path) is UNMATCHED
