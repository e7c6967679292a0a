"""Devices without a browser (RFC 8628)."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from penguinmails_core.oauth.records import CLI, CODE_GRANT, DEVICE_GRANT
from tests.oauth.world import TestApp, World, refusal


async def begin(world: World, app: TestApp, **fields: Any) -> dict[str, Any]:
    answer = await world.post("device_authorization", app.auth | {"scope": "emails:read"} | fields)
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    return told


async def poll(world: World, app: TestApp, device_code: str) -> httpx.Response:
    await world.services.database.worker.execute(
        "update oauth_devices set last_polled_at = last_polled_at - interval '1 hour'"
    )
    return await poll_at_once(world, app, device_code)


async def poll_at_once(world: World, app: TestApp, device_code: str) -> httpx.Response:
    return await world.post("token", {"grant_type": DEVICE_GRANT, "device_code": device_code} | app.auth)


class Visit:
    """The person at /device, with the cookies of one browser."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.cookie = world.cookie

    async def page(self, path: str = "/device") -> httpx.Response:
        page = await self.world.browse(path, self.cookie)
        for value in page.headers.get_list("set-cookie"):
            self.cookie += "; " + value.partition(";")[0]
        return page

    async def type(self, user_code: str) -> httpx.Response:
        page = await self.page()
        return await self.world.http.post(
            "/device",
            data=self.world.fields(page) | {"user_code": user_code},
            headers={"Cookie": self.cookie, "Sec-Fetch-Site": "same-origin"},
        )


async def test_the_whole_way(world: World) -> None:
    app = await world.app(confidential=False)
    told = await begin(world, app)
    assert told["verification_uri"] == f"{world.issuer}/device"
    assert told["user_code"] in told["verification_uri_complete"]
    assert (told["interval"], told["expires_in"]) == (5, 600)
    refusal(await poll(world, app, told["device_code"]), 400, "authorization_pending")
    page = await Visit(world).type(told["user_code"].lower().replace("-", " "))
    assert "on a device" in page.text
    done = await world.decide(page)
    assert done.headers["location"] == "/device?notice=device-allowed"
    token = (await poll(world, app, told["device_code"])).json()
    assert token["scope"] == "emails:read"
    assert (await world.call(token["access_token"])).status_code == 200
    assert (await world.refresh(app, token["refresh_token"])).status_code == 200
    refusal(await poll(world, app, told["device_code"]), 400, "invalid_grant")


async def test_the_code_in_the_link_is_still_to_be_confirmed(world: World) -> None:
    told = await begin(world, await world.app(confidential=False))
    page = await Visit(world).page("/device?user_code=" + told["user_code"])
    assert told["user_code"] in page.text
    assert "Allow" not in page.text


async def test_saying_no_is_told_to_the_device(world: World) -> None:
    app = await world.app(confidential=False)
    told = await begin(world, app)
    await world.decide(await Visit(world).type(told["user_code"]), "deny")
    refusal(await poll(world, app, told["device_code"]), 400, "access_denied")


async def test_hasty_devices_are_slowed_down_more_each_time(world: World) -> None:
    app = await world.app(confidential=False)
    told = await begin(world, app)
    refusal(await poll_at_once(world, app, told["device_code"]), 400, "authorization_pending")
    for interval in (10, 15):
        refusal(await poll_at_once(world, app, told["device_code"]), 400, "slow_down")
        assert await world.services.database.worker.fetchval("select interval from oauth_devices") == interval


async def test_a_device_code_expires(world: World) -> None:
    app = await world.app(confidential=False)
    told = await begin(world, app)
    page = await Visit(world).type(told["user_code"])
    await world.services.database.worker.execute("update oauth_devices set expires_at = now()")
    refusal(await poll(world, app, told["device_code"]), 400, "expired_token")
    assert (await world.decide(page)).status_code == 409, "nobody waits any more"
    assert await world.services.database.worker.fetchval("select count(*) from oauth_grants") == 0
    assert (await Visit(world).type(told["user_code"])).status_code == 422


async def test_unknown_and_foreign_codes_are_invalid_grants(world: World) -> None:
    app, other = await world.app(confidential=False), await world.app(confidential=False)
    told = await begin(world, app)
    refusal(await poll(world, app, "pmdc_unknown"), 400, "invalid_grant")
    refusal(await poll(world, other, told["device_code"]), 400, "invalid_grant")
    refusal(await world.post("token", {"grant_type": DEVICE_GRANT} | app.auth), 400, "invalid_request")


async def test_the_device_endpoint_looks_at_grant_types_scopes_and_resources(world: World) -> None:
    browser_only = await world.app(grant_types=[CODE_GRANT])
    refusal(await world.post("device_authorization", browser_only.auth), 400, "unauthorized_client")
    app = await world.app()
    refusal(await world.post("device_authorization", app.auth | {"scope": "members:write"}), 400, "invalid_scope")
    wrong = app.auth | {"resource": "https://elsewhere.example"}
    refusal(await world.post("device_authorization", wrong), 400, "invalid_target")
    refusal(await world.post("device_authorization", {"client_id": app.client_id}), 401, "invalid_client")


@pytest.mark.parametrize("typed", ["", "AAAA-AAAA", "BCDF-GHJ", "x" * 500, "'; drop"])
async def test_what_is_no_code_is_told_so(world: World, typed: str) -> None:
    page = await Visit(world).type(typed)
    assert page.status_code == 422
    assert "no device waiting" in page.text


async def test_guessing_codes_gets_slower_and_slower(world: World) -> None:
    visit, statuses = Visit(world), []
    for _ in range(12):
        statuses.append((await visit.type("BCDF-GHJK")).status_code)
        if statuses[-1] == 429:
            break
    assert statuses[-1] == 429


async def test_the_command_lines_own_app_needs_no_row(world: World) -> None:
    told = await begin(world, TestApp(CLI.id, None))
    page = await Visit(world).type(told["user_code"])
    assert "part of PenguinMails" in page.text
    await world.decide(page)
    token = (await poll(world, TestApp(CLI.id, None), told["device_code"])).json()
    assert (await world.call(token["access_token"])).status_code == 200
    assert "PenguinMails command line" in (await world.browse("/account/apps")).text
