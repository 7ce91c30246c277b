"""A camera's user and password in a file of their own, so that the configuration names no secret."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

from inspector import files
from inspector.errors import ConfigError, DataError
from inspector.values import CREDENTIAL

_MOST_BYTES = 1000


def read(where: str) -> str:
    """`user:password` of the file `where`, escaped for a URL; the file is one line, `user:password` as they are.

    where: a path, or `credential:` and the path of a file that systemd laid out
    Raises ConfigError in a sentence without what is in the file.
    """
    path = Path(where.removeprefix(CREDENTIAL))
    from_systemd = where.startswith(CREDENTIAL)
    if from_systemd and not path.is_absolute():
        raise ConfigError(
            f"credentials {where!r}: no credential has such a name; credential:NAME is the file NAME in the folder "
            "credentials beside the configuration, or what the unit lays out by LoadCredential=NAME:FILE; no slash"
        )
    try:
        content, mode = files.read_private(path, _MOST_BYTES)
    except DataError as error:
        raise ConfigError(f"credentials {path} is {error}; write user:password into one") from error
    except OSError as error:
        remedy = "write user:password into it, and let this user read it"
        raise ConfigError(f"credentials {path} cannot be read ({error.strerror}); {remedy}") from error
    # systemd gives a credential to its service by an access list, whose mask stat shows as the group's rights.
    if mode & (0o007 if from_systemd else 0o077):
        raise ConfigError(f"credentials {path} has mode {mode:04o}, so that others can read it; chmod 600 {path}")
    try:
        line = content.decode().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        line = ""
    user, colon, password = line.partition(":")
    if not (user and colon and password and line.isprintable()) or len(content) == _MOST_BYTES:
        raise ConfigError(f"credentials {path} is not one line of user:password; write that into it")
    return f"{quote(user, safe='')}:{quote(password, safe='')}"
