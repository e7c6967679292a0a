"""The OpenAPI 3.1 document, made from the routes. `python -m penguinmails_api.openapi [file]` writes it."""

from penguinmails_api.openapi.document import Document, build, render
from penguinmails_api.openapi.text import TAGS

__all__ = ["TAGS", "Document", "build", "render"]
