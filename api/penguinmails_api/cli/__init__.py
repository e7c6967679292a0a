"""The `penguinmails` command."""

from __future__ import annotations

import sys

from penguinmails_api.cli.app import app
from penguinmails_core.config import ConfigError, check_environment
from penguinmails_core.embedded import EmbeddedError


def main() -> None:
    """Errors that an operator can act on are one sentence on stderr, never a stack trace."""
    try:
        check_environment()
        app()
    except (ConfigError, EmbeddedError) as error:
        print(f"penguinmails: {error}", file=sys.stderr)
        raise SystemExit(2) from None


__all__ = ["main"]
