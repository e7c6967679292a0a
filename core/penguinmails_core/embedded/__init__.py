"""PostgreSQL and Valkey from pip wheels, so that a bare machine with Python runs the whole product."""

from penguinmails_core.embedded.errors import EmbeddedError
from penguinmails_core.embedded.postgres import EmbeddedPostgres
from penguinmails_core.embedded.stack import EmbeddedStack
from penguinmails_core.embedded.valkey import EmbeddedValkey

__all__ = ["EmbeddedError", "EmbeddedPostgres", "EmbeddedStack", "EmbeddedValkey"]
