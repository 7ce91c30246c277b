"""The page's own files and the headers that all answers carry."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from importlib import resources
from importlib.resources.abc import Traversable

TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
}

SECURITY: Mapping[str, str] = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
"""Nothing from elsewhere, nothing inline, in nobody's frame."""


class Page:
    """One file: what it is, and its bytes. `tag` changes with them."""

    def __init__(self, kind: str, content: bytes) -> None:
        self.kind = kind
        self.content = content
        self.tag = f'"{hashlib.sha256(content).hexdigest()[:16]}"'


def load() -> dict[str, Page]:
    """Every file of the page by its path; nothing else is ever read for a request."""
    static = resources.files("inspector.view") / "static"
    pages = dict(_below(static, "/"))
    return {"/": pages["/index.html"], **pages}


def _below(folder: Traversable, path: str) -> list[tuple[str, Page]]:
    found = []
    for entry in folder.iterdir():
        if entry.is_dir():
            found += _below(entry, f"{path}{entry.name}/")
        elif (kind := TYPES.get(f".{entry.name.rpartition('.')[2]}")) is not None:
            found.append((f"{path}{entry.name}", Page(kind, entry.read_bytes())))
    return found
