"""The `penguinmails` command."""

from __future__ import annotations

import os
import sys
from typing import NoReturn

from dotenv import dotenv_values
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from penguinmails_api.cli.app import app
from penguinmails_core.config import CONCERNS, ConfigError, check_environment
from penguinmails_core.embedded import EmbeddedError


def main() -> None:
    """Errors that an operator can act on are one sentence on stderr, never a stack trace."""
    _open_standard_streams()
    try:
        check_environment(dict.fromkeys(dotenv_values(".env"), "") | dict(os.environ))
        app(prog_name="penguinmails")
    except (ConfigError, EmbeddedError) as error:
        _fail(str(error))
    except ValidationError as error:
        # Settings are the only models that are built here from what an operator wrote.
        _fail("; ".join(_explain(error.title, item) for item in error.errors()))


def _explain(concern: str, item: ErrorDetails) -> str:
    """The variable as the operator wrote it, what is wrong with it, and how it should look. Never its value, which may
    be a secret."""
    field = str(item["loc"][0])
    prefix = next((str(found.model_config.get("env_prefix")) for found in CONCERNS if found.__name__ == concern), "")
    name = field if field.isupper() else prefix + field.upper()
    hint = ", such as 30s, 5m, 2h or 7d" if item["type"].startswith("time_delta") else ""
    return f"{name}: {item['msg']}{hint}"


def _open_standard_streams() -> None:
    """Started with one of descriptors 0 to 2 closed, the next socket would take its number; uvloop aborts over that."""
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number, which is this one


def _fail(message: str) -> NoReturn:
    print(f"penguinmails: {message}", file=sys.stderr)
    raise SystemExit(2)


__all__ = ["main"]
