"""People have one row for each address."""

from __future__ import annotations

import asyncio

import pytest

from penguinmails_core.errors import EmailTaken, Unprocessable
from penguinmails_core.kit.db import Database
from penguinmails_core.users.service import create_user, find_user, get_user
from tests.fixtures.people import make_user


async def test_an_address_is_normalised_and_found_in_any_case(database: Database) -> None:
    user_id = await make_user(database, " Ada@BÜCHER.example ", " Ada ")
    found = await find_user(database.worker, "ada@xn--bcher-kva.EXAMPLE")
    assert found is not None
    assert (found.id, found.email, found.name) == (user_id, "Ada@xn--bcher-kva.example", "Ada")
    assert await get_user(database.worker, user_id) == found
    assert await find_user(database.worker, "nobody@example.com") is None


async def test_one_user_for_each_address_also_at_the_same_time(database: Database) -> None:
    results = await asyncio.gather(
        *(make_user(database, email) for email in ("ada@example.com", "Ada@Example.com", "ADA@EXAMPLE.COM")),
        return_exceptions=True,
    )
    assert sorted(type(result).__name__ for result in results)[:2] == ["EmailTaken", "EmailTaken"]
    assert await database.worker.fetchval("select count(*) from users") == 1


@pytest.mark.parametrize("email", ["", "ada", "ada@", "Ada <ada@example.com>", "ada@example.com, b@example.com", "a@b"])
async def test_what_is_no_address_is_refused(database: Database, email: str) -> None:
    with pytest.raises(Unprocessable) as caught:
        await make_user(database, email)
    assert caught.value.errors[0].pointer == "/email"


async def test_taken_names_the_problem(database: Database) -> None:
    await make_user(database, "ada@example.com")
    async with database.worker.acquire() as connection:
        with pytest.raises(EmailTaken) as caught:
            await create_user(connection, "ada@example.com")
    assert (caught.value.status, caught.value.code) == (409, "email_taken")
    with pytest.raises(Unprocessable):
        await make_user(database, "bob@example.com", "x" * 201)
