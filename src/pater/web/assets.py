"""Serves the style sheets, fonts and pictures of the pages from memory, with hashed addresses."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

HERE = Path(__file__).resolve().parent / "static"
TYPES: Mapping[str, str] = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".woff2": "font/woff2",
    ".png": "image/png",
}
_FOREVER = "public, max-age=31536000, immutable"


class AssetsError(RuntimeError):
    """The front-end parts were not built yet."""


@dataclass(frozen=True, slots=True)
class Asset:
    """One file that browsers fetch: its bytes, plain and compressed, and its content hash."""

    body: bytes
    compressed: bytes | None
    media_type: str
    digest: str


@dataclass(frozen=True, slots=True)
class Assets:
    """All static files by the path below `/static/`, and the icons by name."""

    files: Mapping[str, Asset]
    icons: Mapping[str, Mapping[str, str]]

    def url(self, path: str) -> str:
        """The address of a file; it changes when the content changes. KeyError when unknown."""
        return f"/static/{path}?v={self.files[path].digest}"

    def icon(self, name: str, label: str = "", extra: str = "") -> Markup:
        """An inline icon of the design system; decorative unless it has a `label`."""
        shape = self.icons[name]
        naming = Markup('role="img" aria-label="{}"').format(label)
        meaning = naming if label else Markup('aria-hidden="true"')
        # the shapes come from our own build, not from users
        return Markup(
            '<svg class="gov-icon {}" viewBox="{}" fill="none" focusable="false" {}>{}</svg>'
        ).format(extra, shape["box"], meaning, Markup(shape["inner"]))  # noqa: S704


def load_assets(domains: Mapping[str, Path]) -> Assets:
    """Reads the shell's files and each domain's `static` folder (served under its name).

    Raises AssetsError when the build has not run.
    """
    if not (HERE / "build" / "icons.json").is_file():
        raise AssetsError(
            "The style sheets and icons are not built. Run: python tools/build_assets.py"
        )
    files = _read(HERE, "")
    for name, folder in domains.items():
        files |= _read(folder, f"{name}/")
    icons = json.loads((HERE / "build" / "icons.json").read_text())
    return Assets(files, icons)


def _read(folder: Path, prefix: str) -> dict[str, Asset]:
    files: dict[str, Asset] = {}
    for path in sorted(folder.rglob("*")):
        media_type = TYPES.get(path.suffix)
        if media_type is None or not path.is_file():
            continue
        body = path.read_bytes()
        packed = gzip.compress(body, 9, mtime=0) if path.suffix in (".css", ".js", ".svg") else None
        digest = hashlib.sha256(body).hexdigest()[:16]
        files[prefix + path.relative_to(folder).as_posix()] = Asset(
            body, packed, media_type, digest
        )
    return files


async def serve(assets: Assets, request: Request) -> Response:
    """Answers `/static/{path}`: immutable when asked by its hash, revalidated otherwise."""
    asset = assets.files.get(request.path_params["path"])
    if asset is None:
        raise HTTPException(404)
    etag = f'"{asset.digest}"'
    hashed = request.query_params.get("v") == asset.digest or request.url.path.endswith(".woff2")
    headers = {
        "ETag": etag,
        "Cache-Control": _FOREVER if hashed else "no-cache",
        "Vary": "Accept-Encoding",
    }
    if request.headers.get("if-none-match") == etag:
        return Response(status_code=304, headers=headers)
    if asset.compressed is not None and "gzip" in request.headers.get("accept-encoding", ""):
        headers["Content-Encoding"] = "gzip"
        return Response(asset.compressed, media_type=asset.media_type, headers=headers)
    return Response(asset.body, media_type=asset.media_type, headers=headers)
