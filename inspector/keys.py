"""Keys of CURVE (RFC 25 and 26), a file each: NAME.pub and NAME.secret, one line of Z85 (RFC 32).

A secret is in no repr, log or error; whoever holds keys hands over a socket to be armed, and never the secret.
"""

from __future__ import annotations

import hashlib
import os
import struct
from collections.abc import Callable
from pathlib import Path

import zmq
from zmq.utils import z85

from inspector import files
from inspector.errors import ConfigError, DataError, OutputError, working_in
from inspector.values import CREDENTIAL, NAME, NAME_RULE, Z85_KEY

PUBLIC, SECRET = ".pub", ".secret"

_MOST_BYTES = 64
"""Of a key file; one has 41."""


def generate(name: str, folder: Path) -> tuple[Path, Path]:
    """Make a new pair of keys; where its public and its secret key are now, the latter for its owner alone.

    Raises ConfigError for a name that may not be, OutputError where there are such files or none can be written.
    """
    if not NAME.fullmatch(name):
        raise ConfigError(f"{name!r} cannot name a key: {NAME_RULE}")
    public, secret = folder / f"{name}{PUBLIC}", folder / f"{name}{SECRET}"
    public_key, secret_key = zmq.curve_keypair()
    with working_in(folder):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for path in (public, secret):
            if path.is_symlink() or path.exists():
                raise _exists(path)
        _create(secret, secret_key, 0o600)
        try:
            _create(public, public_key, 0o644)
        except BaseException:
            secret.unlink()
            raise
    return public, secret


def fingerprint(public: bytes) -> str:
    """What a public key (40 bytes of Z85) is called in logs: the start of its SHA-256, for people to compare."""
    return hashlib.sha256(z85.decode(public)).hexdigest()[:16]


def had_since(keys: ServerKeys, notes: Path | None, now: float) -> float:
    """Since when the daemon has its keys, in seconds since 1970 UTC: when the file was changed, or when they were first
    noted, whichever is longer ago. systemd writes a credential anew at each start, and only the note knows better.

    notes: the file where the time is kept for each key that was ever used, by fingerprint; made if it is missing. One
        that cannot be read or written is as good as none
    """
    if notes is None:
        return keys.changed
    name = fingerprint(keys.public)
    try:
        lines = notes.read_text(encoding="ascii").splitlines() if notes.exists() else []
        known = {words[0]: float(words[1]) for line in lines if len(words := line.split()) == 2}
        if name not in known:
            with notes.open("a", encoding="ascii") as file:
                file.write(f"{name} {now:.0f}\n")
    except (OSError, ValueError):
        return keys.changed
    return min(keys.changed, known.get(name, now))


def read_public(path: Path) -> bytes:
    """The public key in a file, Z85; raises ConfigError, naming file and remedy."""
    return _read(path, "public", lambda _: None)


class ServerKeys:
    """The daemon's own: whoever has its public key can tell that they speak with it.

    changed: when its file was changed, in seconds since 1970 UTC
    """

    __slots__ = ("_secret", "changed", "public")

    def __init__(self, secret: bytes, changed: float = 0.0) -> None:
        self._secret = secret
        self.changed = changed
        self.public = zmq.curve_public(secret)

    @classmethod
    def load(cls, where: str) -> ServerKeys:
        """The keys in the file `where`, or in that which systemd laid out (`credential:PATH`); raises ConfigError."""
        path = Path(where.removeprefix(CREDENTIAL))
        return cls(_read_secret(path, where.startswith(CREDENTIAL)), path.stat().st_mtime)

    def __repr__(self) -> str:
        return f"ServerKeys({fingerprint(self.public)})"

    def arm(self, socket: zmq.Socket[bytes]) -> None:
        """Let `socket` take nothing but CURVE; before it binds. Who may connect is the guard's matter."""
        socket.setsockopt(zmq.CURVE_SERVER, 1)
        socket.setsockopt(zmq.CURVE_SECRETKEY, self._secret)


class ClientKeys:
    """A subscriber's own pair, and the public key of the one daemon that it speaks with."""

    __slots__ = ("_secret", "public", "server")

    def __init__(self, secret: bytes, server: bytes) -> None:
        self._secret = secret
        self.public = zmq.curve_public(secret)
        self.server = server

    @classmethod
    def load(cls, secret_file: Path, server_public_file: Path) -> ClientKeys:
        """The keys in two files, of the subscriber's secret and of the daemon's public key; raises ConfigError."""
        return cls(_read_secret(secret_file), read_public(server_public_file))

    @classmethod
    def chosen(cls, secret_file: Path | None, server_public_file: Path | None) -> ClientKeys | None:
        """The keys that a command line names (--secret, --server), None where it names none; raises ConfigError."""
        if secret_file is None and server_public_file is None:
            return None
        if secret_file is None or server_public_file is None:
            raise ConfigError(
                "--secret and --server belong together: this side's secret key and the other's public one"
            )
        return cls.load(secret_file, server_public_file)

    def __repr__(self) -> str:
        return f"ClientKeys({fingerprint(self.public)}, server={fingerprint(self.server)})"

    def arm(self, socket: zmq.Socket[bytes]) -> None:
        """Let `socket` speak CURVE, with that one daemon alone; before it connects."""
        socket.setsockopt(zmq.CURVE_SERVERKEY, self.server)
        socket.setsockopt(zmq.CURVE_PUBLICKEY, self.public)
        socket.setsockopt(zmq.CURVE_SECRETKEY, self._secret)


def _read_secret(path: Path, from_systemd: bool = False) -> bytes:
    """A secret key; where its public one lies beside it, as `generate` leaves them, they must belong together."""

    def check(mode: int) -> None:
        # systemd gives a credential to its service by an access list, whose mask stat shows as the group's rights.
        if mode & (0o007 if from_systemd else 0o077):
            raise ConfigError(
                f"secret key {path} has mode {mode:04o}, so that others than its owner can get at it; "
                f"chmod 600 {path}, and make new keys if a stranger may have read it"
            )

    secret = _read(path, "secret", check)
    public = path.with_suffix(PUBLIC)
    if path.suffix == SECRET and public.is_file() and read_public(public) != zmq.curve_public(secret):
        raise ConfigError(f"{public} does not belong to {path}; put the pair together as `inspector keygen` made it")
    return secret


def _read(path: Path, kind: str, check_mode: Callable[[int], None]) -> bytes:
    remedy = "make a pair of keys with `inspector keygen`, or copy it again"
    try:
        content, mode = files.read_private(path, _MOST_BYTES)
        check_mode(mode)
    except DataError as error:
        raise ConfigError(f"{kind} key {path} is {error}; {remedy}") from error
    except OSError as error:
        raise ConfigError(f"{kind} key {path} cannot be read ({error.strerror}); {remedy}") from error
    key = content.removesuffix(b"\n").removesuffix(b"\r")
    if not _is_key(key):
        # What is in it stays unsaid: it may be a secret, if a damaged one.
        raise ConfigError(f"{kind} key {path} is not one line of 40 characters of Z85; {remedy}")
    return key


def _is_key(text: bytes) -> bool:
    if not Z85_KEY.fullmatch(text.decode("latin-1")):
        return False
    try:
        z85.decode(text)
    except struct.error:  # five characters that stand for more than 32 bits
        return False
    return True


def _create(path: Path, key: bytes, mode: int) -> None:
    """Write a new file with the rights `mode`, which it never has wider."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    except FileExistsError as error:
        raise _exists(path) from error
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(descriptor, mode)  # whatever the umask: a public key that others may not read is of no use
            file.write(key + b"\n")
    except BaseException:
        path.unlink()
        raise


def _exists(path: Path) -> OutputError:
    return OutputError(f"{path} is there already and is not overwritten; choose another name or folder")
