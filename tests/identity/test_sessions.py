"""What a session is worth: cached, revoked, idle, stepped up, and without Valkey."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from redis.asyncio import Redis

from penguinmails_api.services import Services
from penguinmails_core.config import AuthSettings
from penguinmails_core.errors import Conflict, LinkExpired, ReauthenticationRequired, Unauthenticated
from penguinmails_core.identity import totp
from penguinmails_core.identity.principals import principal_for_session
from penguinmails_core.identity.sessions import Session, Sessions, token_hash
from penguinmails_core.kit.clock import utcnow
from penguinmails_core.kit.db import Database
from penguinmails_core.kit.ids import new_uuid
from penguinmails_core.maintenance.service import Maintenance
from tests.fixtures.factories import Tenant
from tests.identity.people import HERE, PASSWORD, Person, link_in_mail


async def _start(services: Services, person: Person) -> str:
    return (await services.identity.sign_in(person.email, PASSWORD, HERE)).token


async def _found(services: Services, token: str) -> Session:
    session = await services.identity.sessions.find(token)
    assert session is not None
    return session


async def test_losing_valkey_signs_nobody_out(services: Services, ada: Person, redis: Redis) -> None:
    token = await _start(services, ada)
    await _found(services, token)
    await redis.flushall()
    await _found(services, token)
    away = Redis.from_url("redis://127.0.0.1:9")
    without = Sessions(services.database.worker, away, AuthSettings())
    assert await without.find(token) is not None
    await without.end(token)  # and signing out works without it too
    assert await without.find(token) is None
    await away.aclose()


async def test_the_cookie_itself_is_stored_nowhere(services: Services, ada: Person, redis: Redis) -> None:
    token = await _start(services, ada)
    await _found(services, token)
    rows = await services.database.worker.fetch("select s::text as line from user_sessions s")
    assert token not in "".join(row["line"] for row in rows)
    for key in await redis.keys("*"):
        assert token.encode() not in key
        assert token.encode() not in (await redis.get(key) or b"")


async def test_a_slow_reader_does_not_bring_back_an_ended_session(
    services: Services, ada: Person, database: Database, redis: Redis
) -> None:
    """It read the row before the end and writes the cache after it."""
    sessions = services.identity.sessions
    token = await _start(services, ada)
    stale = await _found(services, token)
    await sessions.end(token)
    await sessions._remember(token_hash(token), stale)
    assert await sessions.find(token) is None


async def test_idle_and_old_sessions_end(services: Services, ada: Person, redis: Redis) -> None:
    for column, age in (("last_seen_at", "32 minutes"), ("expires_at", "1 second")):
        token = await _start(services, ada)
        await services.database.worker.execute(
            f"update user_sessions set {column} = now() - $1::text::interval where hash = $2", age, token_hash(token)
        )
        assert await services.identity.sessions.find(token) is None, column


async def test_use_keeps_a_session_alive_with_few_writes(services: Services, ada: Person, redis: Redis) -> None:
    token = await _start(services, ada)
    await services.database.worker.execute("update user_sessions set last_seen_at = now() - interval '20 minutes'")
    await _found(services, token)
    first = await services.database.worker.fetchval("select last_seen_at from user_sessions")
    assert utcnow() - first < timedelta(minutes=1)
    await redis.flushall()
    await _found(services, token)
    assert await services.database.worker.fetchval("select last_seen_at from user_sessions") == first


async def test_each_step_up_makes_another_token(services: Services, ada: Person) -> None:
    token = await _start(services, ada)
    session = await _found(services, token)
    signed = await services.identity.confirm_password(token, session, PASSWORD, HERE)
    assert signed.token != token
    assert await services.identity.sessions.find(token) is None
    after = await _found(services, signed.token)
    assert after.id == session.id
    assert after.auth_time > session.auth_time


async def test_of_two_step_ups_at_once_one_wins(services: Services, ada: Person) -> None:
    token = await _start(services, ada)
    fresh = await asyncio.gather(*(services.identity.sessions.step_up(token, ["otp"]) for _ in range(8)))
    assert len([item for item in fresh if item is not None]) == 1


async def _with_codes(services: Services, person: Person) -> str:
    factors = services.identity.factors
    enrolment = await factors.enrol(person.id, person.email)
    await factors.confirm(person.id, person.email, totp.code_at(enrolment.secret))
    # The test's clock does not move on: forget the step that turned codes on.
    await services.database.worker.execute("update user_credentials set totp_last_step = 0")
    return enrolment.secret


async def test_a_code_is_good_once_however_many_try(services: Services, ada: Person) -> None:
    secret = await _with_codes(services, ada)
    code = totp.code_at(secret)
    used = await asyncio.gather(*(services.identity.factors.use_code(ada.id, code) for _ in range(8)))
    assert used.count(True) == 1
    codes = await services.identity.factors.new_recovery_codes(ada.id)
    used = await asyncio.gather(*(services.identity.factors.use_recovery_code(ada.id, codes[0]) for _ in range(8)))
    assert used.count(True) == 1
    assert await services.identity.factors.recovery_codes_left(ada.id) == 9


async def test_five_wrong_codes_end_a_pending_session(services: Services, ada: Person, redis: Redis) -> None:
    secret = await _with_codes(services, ada)
    signed = await services.identity.sign_in(ada.email, PASSWORD, HERE)
    assert signed.pending
    for _ in range(5):
        session = await _found(services, signed.token)
        assert not session.active
        await redis.flushall()  # the waits of the throttle are another test
        with pytest.raises(Unauthenticated):
            await services.identity.answer_code(signed.token, session, "000000", HERE)
    await redis.flushall()
    with pytest.raises(Unauthenticated, match="Sign in again"):
        await services.identity.answer_code(signed.token, session, totp.code_at(secret), HERE)
    assert await services.identity.sessions.find(signed.token) is None


async def test_a_reset_ends_sessions_and_keeps_the_second_factor(services: Services, ada: Person) -> None:
    await _with_codes(services, ada)
    token = await services.identity.sessions.start(ada.id, ["pwd", "otp"], HERE)
    await _found(services, token)
    await services.identity.accounts.request_reset(ada.email, HERE.address, services.public)
    link = (await link_in_mail(services, ada.email)).partition("token=")[2]
    results = await asyncio.gather(
        *(services.identity.accounts.reset_password(link, f"a new password {n}") for n in range(4)),
        return_exceptions=True,
    )
    assert sorted(type(result).__name__ for result in results) == ["Account", *["LinkExpired"] * 3]
    assert await services.identity.sessions.find(token) is None
    winner = next(n for n, result in enumerate(results) if not isinstance(result, LinkExpired))
    signed = await services.identity.sign_in(ada.email, f"a new password {winner}", HERE)
    assert signed.pending


async def test_sudo_asks_for_the_strongest_factor(services: Services, ada: Person) -> None:
    identity = services.identity
    token = await _start(services, ada)
    session = await _found(services, token)
    await identity.require_sudo(session)  # a fresh password of somebody who owns nothing else
    await _with_codes(services, ada)
    with pytest.raises(ReauthenticationRequired):
        await identity.require_sudo(session)
    with pytest.raises(Conflict):
        await identity.confirm_password(token, session, PASSWORD, HERE)


async def test_sudo_ends_after_a_quarter_of_an_hour(services: Services, ada: Person, redis: Redis) -> None:
    token = await _start(services, ada)
    await services.database.worker.execute("update user_sessions set auth_time = now() - interval '16 minutes'")
    with pytest.raises(ReauthenticationRequired):
        await services.identity.require_sudo(await _found(services, token))


async def test_housekeeping_forgets_what_is_over(services: Services, ada: Person, database: Database) -> None:
    kept = await _start(services, ada)
    await _start(services, ada)
    worker = services.database.worker
    await worker.execute(
        "update user_sessions set expires_at = now() - interval '1 s' where hash <> $1", token_hash(kept)
    )
    await services.identity.passkeys.request_options(b"b" * 32, services.public)
    await worker.execute("update webauthn_challenges set expires_at = now() - interval '1 s'")
    await worker.execute("update identity_links set expires_at = now() - interval '8 days'")
    await Maintenance(database).run_once()
    assert await worker.fetchval("select count(*) from user_sessions") == 1
    assert await worker.fetchval("select count(*) from webauthn_challenges") == 0
    assert await worker.fetchval("select count(*) from identity_links") == 0


async def test_switching_needs_a_membership(services: Services, ada: Person, tenant: Tenant) -> None:
    token = await _start(services, ada)
    await _found(services, token)
    await services.identity.sessions.switch(token, None)
    assert (await _found(services, token)).organization_id is None  # the cache is told
    await services.identity.sessions.switch(token, new_uuid())
    assert await principal_for_session(services.database, await _found(services, token)) is None
