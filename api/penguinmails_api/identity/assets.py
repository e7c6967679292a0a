"""Style and script of the pages: files of ours, named by their content, so that browsers may keep them."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

from fastapi import APIRouter, Response

from penguinmails_core.errors import NotFound

_FOLDER = Path(__file__).parent / "static"
_TYPES = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}
_FILES = {path.name: path.read_bytes() for path in sorted(_FOLDER.iterdir()) if path.suffix in _TYPES}
_VERSIONS = {name: sha256(data).hexdigest()[:16] for name, data in _FILES.items()}

router = APIRouter(include_in_schema=False)


def asset_url(name: str) -> str:
    """``/static/app.css?v=…``."""
    return f"/static/{name}?v={_VERSIONS[name]}"


@router.get("/static/{name}")
async def get_asset(name: str) -> Response:
    data = _FILES.get(name)
    if data is None:
        raise NotFound("There is no such file.")
    headers = {
        "Cache-Control": "public, max-age=31536000, immutable",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Content-Security-Policy": "default-src 'none'",
    }
    return Response(data, media_type=_TYPES[Path(name).suffix], headers=headers)
