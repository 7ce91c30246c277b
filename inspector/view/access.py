"""Who may look: by which names the server may be called, from where a page may connect, and the token (pure)."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import os
import secrets
from collections.abc import Iterable
from http.cookies import CookieError, SimpleCookie
from pathlib import Path
from urllib.parse import urlsplit

from inspector import files
from inspector.errors import ConfigError, DataError, OutputError, reading

COOKIE = "inspector_view"
COOKIE_SECONDS = 365 * 86_400
FEWEST_CHARACTERS = 22
"""Of a token: 128 bits in base64."""
_MOST_BYTES = 1024


class Access:
    """token: what has to be known, None where everybody may look;  names: of this server, beside its addresses."""

    def __init__(self, token: str | None, names: Iterable[str] = ()) -> None:
        self._token = None if token is None else token.encode()
        self._names = {"localhost", *(name.lower().rstrip(".") for name in names)}

    def __repr__(self) -> str:
        return f"Access({'everybody' if self._token is None else 'by token'})"

    def knows_host(self, host: str | None) -> bool:
        """Whether a request's Host is an address or one of our names.

        A page of a stranger's can have its own name lead to us (DNS rebinding), but then the browser tells that name.
        """
        name = _host_name(host)
        if name is None:
            return False
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return name in self._names
        return True

    def is_same_origin(self, host: str | None, origin: str | None) -> bool:
        """Whether a page that connects came from here; whoever does not say where it came from did not."""
        if host is None or origin is None:
            return False
        try:
            told = urlsplit(origin)
        except ValueError:
            return False
        return told.scheme in ("http", "https") and told.netloc.lower() == host.lower()

    def is_token(self, told: str | None) -> bool:
        """Whether an Authorization header holds the token, as `Bearer TOKEN`."""
        if self._token is None:
            return True
        kind, _, token = (told or "").partition(" ")
        return hmac.compare_digest(token.strip().encode("utf-8", "replace"), self._token) and kind == "Bearer"

    def may_look(self, cookies: str | None) -> bool:
        """Whether a Cookie header shows that its browser once knew the token."""
        if self._token is None:
            return True
        try:
            found = SimpleCookie(cookies or "").get(self._cookie)
        except CookieError:
            return False
        value = "" if found is None else found.value
        return hmac.compare_digest(value.encode("utf-8", "replace"), self._proof().encode())

    def cookie(self) -> str:
        """The Set-Cookie header for who knew the token. It holds not the token but what only its knowledge makes."""
        return f"{self._cookie}={self._proof()}; Path=/; Max-Age={COOKIE_SECONDS}; HttpOnly; SameSite=Strict"

    @property
    def _cookie(self) -> str:
        """Another name for another token: a browser keeps one of a name for all the ports of a machine."""
        return f"{COOKIE}_{hashlib.sha256(self._proof().encode()).hexdigest()[:12]}"

    def _proof(self) -> str:
        return hmac.new(self._token or b"", b"inspector view", "sha256").hexdigest()


def read_token(path: Path) -> str:
    """The token in a file of mode 600, which is made if it is missing. Raises ConfigError and OutputError."""
    with reading(path, ConfigError, "token "):
        if not path.exists():
            _make(path)
    remedy = "delete it, and `inspector view` makes a new one"
    try:
        content, mode = files.read_private(path, _MOST_BYTES)
    except DataError as error:
        raise ConfigError(f"token {path} is {error}; {remedy}") from error
    except OSError as error:
        raise ConfigError(f"token {path} cannot be read ({error.strerror}); {remedy}") from error
    if mode & 0o077:
        raise ConfigError(f"token {path} has mode {mode:04o}, so that others than its owner can read it; {remedy}")
    token = content.decode("latin-1").strip()
    if len(token) < FEWEST_CHARACTERS or not token.isascii() or not token.isprintable() or " " in token:
        raise ConfigError(
            f"token {path} is not one line of {FEWEST_CHARACTERS} or more letters, digits and signs; {remedy}"
        )
    return token


def _make(path: Path) -> None:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_urlsafe(24) + "\n")
    except OSError as error:
        raise OutputError(f"token {path} cannot be written: {error.strerror}") from error


def _host_name(host: str | None) -> str | None:
    """The name or address in a Host header, without port and brackets."""
    try:
        name = urlsplit(f"//{host}").hostname if host else None
    except ValueError:
        return None
    return None if name is None else name.rstrip(".")
