"""The key ring: made once, rotated in two steps, sealed at rest."""

from __future__ import annotations

import asyncio

import pytest

from penguinmails_core.config import OAuthSettings
from penguinmails_core.errors import Unavailable
from penguinmails_core.kit.crypto import SecretBox
from penguinmails_core.oauth.keys import KeyRing
from tests.oauth.world import World


def ring_of(world: World, box: SecretBox | None = None) -> KeyRing:
    """Of another process."""
    return KeyRing(world.services.database.worker, box or world.services.box, OAuthSettings())


async def kids(ring: KeyRing) -> list[str]:
    await ring.ready(fresh=True)
    return [key["kid"] for key in ring.jwks()["keys"]]


async def test_processes_that_start_at_once_make_one_key_of_each_kind(world: World) -> None:
    rings = [ring_of(world) for _ in range(4)]
    await asyncio.gather(*(ring.ready() for ring in rings))
    assert await world.services.database.worker.fetchval("select count(*) from oauth_signing_keys") == 2
    assert len({ring.current("ES256").kid for ring in rings}) == 1


async def test_nothing_private_is_published_or_stored_in_the_clear(world: World) -> None:
    published = (await world.http.get("/.well-known/jwks.json")).json()["keys"]
    assert sorted(key["alg"] for key in published) == ["ES256", "RS256"]
    for key in published:
        assert key["use"] == "sig"
        assert key["kid"]
        assert not {"d", "p", "q", "dp", "dq", "qi", "k"} & set(key)
    for row in await world.services.database.worker.fetch("select private_key from oauth_signing_keys"):
        assert b"PRIVATE" not in row["private_key"]


async def test_rotation_has_two_steps(world: World) -> None:
    """The next key is published before it signs, and the old one stays until its tokens have expired."""
    app = await world.app()
    old_token = (await world.client_token(app))["access_token"]
    ring, pool = world.services.oauth.ring, world.services.database.worker
    old = ring.current("ES256").kid
    made = await ring.rotate()
    assert len(made) == 2
    assert await ring.rotate() == [], "one rotation at a time"
    assert ring.current("ES256").kid == old, "published, and not signing yet"
    assert len((await world.http.get("/.well-known/jwks.json")).json()["keys"]) == 4
    await pool.execute("update oauth_signing_keys set signs_from = signs_from - interval '3 hours'")
    fresh = ring_of(world)
    await fresh.ready()
    assert fresh.current("ES256").kid in made
    world.services.oauth.ring = fresh
    new_token = (await world.client_token(app))["access_token"]
    world.services.oauth.tokens.forget()
    for token in (old_token, new_token):  # this process has not heard of the new key: it looks again
        assert (await world.call(token)).status_code == 200
    await pool.execute("update oauth_signing_keys set signs_from = signs_from - interval '3 hours'")
    assert old not in await kids(ring_of(world)), "everything it signed has expired"
    assert await pool.fetchval("select count(*) from oauth_signing_keys") == 2


async def test_a_ring_rotates_by_itself_when_it_is_time(world: World) -> None:
    await ring_of(world).ready()
    pool = world.services.database.worker
    await pool.execute("update oauth_signing_keys set signs_from = signs_from - interval '91 days'")
    rings = [ring_of(world) for _ in range(3)]
    await asyncio.gather(*(ring.ready() for ring in rings))
    assert await pool.fetchval("select count(*) from oauth_signing_keys where signs_from > now()") == 2
    assert len({ring.current("ES256").kid for ring in rings}) == 1


async def test_keys_that_cannot_be_opened_are_told_to_the_operator(world: World) -> None:
    await ring_of(world).ready()
    with pytest.raises(Unavailable, match="SECRET_KEYS"):
        await ring_of(world, SecretBox([b"x" * 32])).ready()
    with pytest.raises(Unavailable, match="SECRET_KEYS"):
        await KeyRing(world.services.database.worker, None, OAuthSettings()).ready()
