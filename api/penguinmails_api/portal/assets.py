"""Style and script of the portal. They may be loaded into frames of any site: sandboxed ones have no origin at all."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

from fastapi import APIRouter, Response

from penguinmails_api.portal.theme import DEFAULT_ACCENT, is_color, style_sheet
from penguinmails_core.errors import NotFound

_FOLDER = Path(__file__).parent / "static"
_TYPES = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8"}
_FILES = {path.name: path.read_bytes() for path in sorted(_FOLDER.iterdir()) if path.suffix in _TYPES}
_VERSIONS = {name: sha256(data).hexdigest()[:16] for name, data in _FILES.items()}
_HEADERS = {
    "Cache-Control": "public, max-age=31536000, immutable",
    "Cross-Origin-Resource-Policy": "cross-origin",
    "Content-Security-Policy": "default-src 'none'",
}

router = APIRouter(include_in_schema=False)


def asset_url(name: str) -> str:
    """``/portal/static/portal.css?v=…``."""
    return f"/portal/static/{name}?v={_VERSIONS[name]}"


def theme_url(accent: str | None) -> str:
    """The sheet of one accent colour, `#rrggbb`."""
    return f"/portal/theme/{accent.removeprefix('#') if accent else DEFAULT_ACCENT}.css"


@router.get("/portal/static/{name}")
async def get_asset(name: str) -> Response:
    data = _FILES.get(name)
    if data is None:
        raise NotFound("There is no such file.")
    return Response(data, media_type=_TYPES[Path(name).suffix], headers=_HEADERS)


@router.get("/portal/theme/{accent}.css")
async def get_theme(accent: str) -> Response:
    if not is_color(accent):
        raise NotFound("There is no such colour.")
    return Response(style_sheet(accent), media_type=_TYPES[".css"], headers=_HEADERS)
