"""The statements that prepare a new cluster."""

from __future__ import annotations


def create_database(name: str) -> str:
    """A psql script that makes database `name` (a plain lower-case identifier) when it is absent."""
    return (
        f"select 'create database {name}' where not exists "
        f"(select from pg_catalog.pg_database where datname = '{name}') \\gexec\n"
    )


def set_password(password: str) -> str:
    """Gives the superuser a password, in single-user mode. `password` holds no quotes (`state.new_password`)."""
    return f"alter role postgres password '{password}';\n"
