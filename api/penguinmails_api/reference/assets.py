"""Files of the pages, and Swagger UI: everything from this machine, nothing from a content delivery network."""

from __future__ import annotations

import importlib.util
from functools import cache
from pathlib import Path

from fastapi import APIRouter
from fastapi.responses import FileResponse, HTMLResponse

from penguinmails_api.reference.pages import POLICY, STATIC, page
from penguinmails_core.errors import NotFound

router = APIRouter(include_in_schema=False)

_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_SWAGGER = ("swagger-ui.css", "swagger-ui-bundle.js")
# Swagger UI writes style attributes; it may, on its own page and nowhere else. Scripts stay limited to files.
_SWAGGER_POLICY = POLICY.replace("style-src 'self'", "style-src 'self' 'unsafe-inline'")


@cache
def swagger_folder() -> Path | None:
    """Where the package fastapi-offline keeps Swagger UI. The package itself is never imported."""
    found = importlib.util.find_spec("fastapi_offline")
    for place in (found.submodule_search_locations or ()) if found else ():
        folder = Path(place) / "static"
        if all((folder / name).is_file() for name in _SWAGGER):
            return folder
    return None


@router.get("/docs/static/{name}")
async def get_static(name: str) -> FileResponse:
    path = STATIC / name
    if path.parent != STATIC or not path.is_file() or path.suffix not in _TYPES:
        raise NotFound("There is no such file.")
    return FileResponse(path, media_type=_TYPES[path.suffix], headers={"Cache-Control": "no-cache"})


@router.get("/docs/swagger")
async def get_swagger() -> HTMLResponse:
    return page(
        "swagger.html",
        policy=_SWAGGER_POLICY,
        title="Swagger UI",
        twin=None,
        section="Reference",
        there=swagger_folder() is not None,
    )


@router.get("/docs/swagger/{name}")
async def get_swagger_file(name: str) -> FileResponse:
    folder = swagger_folder()
    if folder is None or name not in _SWAGGER:
        raise NotFound("There is no such file.")
    suffix = Path(name).suffix
    return FileResponse(folder / name, media_type=_TYPES[suffix], headers={"Cache-Control": "max-age=86400"})
