"""The files of the page, read once: names come from the package, never from a client."""

from __future__ import annotations

import gzip
import hashlib
from pathlib import Path
from typing import NamedTuple

from fastapi import Request
from fastapi.responses import Response

STATIC = Path(__file__).parent / "static"
TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}


class Asset(NamedTuple):
    """One file as it goes over the wire."""

    type: str
    body: bytes
    tag: str


def assets() -> dict[str, Asset]:
    """Path below the static folder -> the file, compressed."""
    found = {}
    for file in sorted(STATIC.rglob("*")):
        if file.suffix in TYPES:
            content = file.read_bytes()
            tag = f'"{hashlib.sha256(content).hexdigest()[:16]}"'
            body = gzip.compress(content, 9, mtime=0)
            found[file.relative_to(STATIC).as_posix()] = Asset(f"{TYPES[file.suffix]}; charset=utf-8", body, tag)
    return found


def packed(text: str, request: Request) -> Response:
    """JSON, compressed where the browser takes that."""
    body, headers = text.encode(), {"vary": "accept-encoding"}
    if "gzip" in request.headers.get("accept-encoding", ""):
        body, headers["content-encoding"] = gzip.compress(body, 4, mtime=0), "gzip"
    return Response(body, media_type="application/json", headers=headers)


def answer(asset: Asset, request: Request) -> Response:
    """The file, or the word that the browser has it already."""
    headers = {"etag": asset.tag, "cache-control": "no-cache", "vary": "accept-encoding"}
    if request.headers.get("if-none-match") == asset.tag:
        return Response(status_code=304, headers=headers)
    if "gzip" in request.headers.get("accept-encoding", ""):
        headers["content-encoding"] = "gzip"
        return Response(asset.body, media_type=asset.type, headers=headers)
    return Response(gzip.decompress(asset.body), media_type=asset.type, headers=headers)
