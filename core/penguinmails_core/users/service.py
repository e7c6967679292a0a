"""People: one row for each address, whatever organizations they belong to."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from penguinmails_core.errors import EmailTaken, FieldError, Unprocessable
from penguinmails_core.kit.addresses import AddressError, parse_address
from penguinmails_core.kit.db import Connection, Pool
from penguinmails_core.kit.ids import new_uuid
from penguinmails_core.users import repository

MAX_NAME = 200


@dataclass(frozen=True, slots=True)
class NewUser:
    id: UUID
    email: str
    name: str | None


def normalise_email(value: str, pointer: str = "/email") -> str:
    """The address as it is stored: domain in lower-case A-labels, local part as written (two that differ in case only
    are one user). Raises `Unprocessable` naming `pointer`."""
    try:
        return parse_address(value.strip()).address
    except AddressError as error:
        raise Unprocessable(error.detail, errors=[FieldError(pointer, error.code, error.detail)]) from None


async def create_user(connection: Connection, email: str, name: str | None = None) -> NewUser:
    """`connection`: of the worker pool, in the caller's transaction. Raises `EmailTaken`, `Unprocessable`."""
    address = normalise_email(email)
    name = (name or "").strip() or None
    if name is not None and (len(name) > MAX_NAME or "\0" in name):
        error = FieldError("/name", "invalid_length", f"`name` may have at most {MAX_NAME} characters.")
        raise Unprocessable(error.detail, errors=[error])
    user = NewUser(new_uuid(), address, name)
    if not await repository.insert(connection, user.id, user.email, user.name):
        raise EmailTaken("There is a user with this address already.")
    return user


async def find_user(worker: Pool | Connection, email: str) -> NewUser | None:
    """By address, in whatever case. Raises `Unprocessable` for what is no address."""
    row = await repository.find_by_email(worker, normalise_email(email))
    return NewUser(row["id"], row["email"], row["name"]) if row else None


async def get_user(worker: Pool | Connection, user_id: UUID) -> NewUser | None:
    row = await repository.get(worker, user_id)
    return NewUser(row["id"], row["email"], row["name"]) if row else None
