"""Who may subscribe: a folder of public keys, NAME.pub each, read again whenever it changes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TypeAlias

from inspector.errors import ConfigError
from inspector.keys import PUBLIC, read_public
from inspector.values import NAME, NAME_RULE

Marks: TypeAlias = tuple[tuple[str, int, int, int], ...]
"""Of each key file its name, inode and times of change: different if any of them was touched."""


class AllowList:
    """The subscribers of a folder; for one thread. Files that do not end in .pub are let alone.

    wrong: how many key files cannot be used, or 1 for a folder that cannot be read, as of the last `refresh`
    oldest: when the oldest of the keys that can was put in, in seconds since 1970 UTC; 0 for none
    Raises ConfigError with a sentence for each key file that is wrong, and for a folder that is none.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.wrong, self.oldest = 0, 0.0
        self._names: dict[bytes, str] = {}
        self._seen: Marks | str | None = None  # or why nothing could be seen
        problems = self.refresh()
        if problems:
            raise ConfigError(*problems)

    def __len__(self) -> int:
        return len(self._names)

    def name(self, public: bytes) -> str | None:
        """Whose key that is (Z85), as of the last `refresh`; None for a stranger's."""
        return self._names.get(public)

    def refresh(self) -> list[str]:
        """Read the folder again if it has changed; one sentence for each key that cannot be used from now on.

        Whoever is in doubt is not on the list: a file that is wrong takes nobody in, and a folder that cannot be read
        takes in nobody at all.
        """
        try:
            marks = _marks(self._folder)
        except OSError as error:
            remedy = "give the folder that holds the subscribers' public keys, NAME.pub each"
            problem = f"subscribers {self._folder}: cannot be read ({error.strerror}); {remedy}"
            said, self._seen, self._names = self._seen == problem, problem, {}
            self.wrong, self.oldest = 1, 0.0
            return [] if said else [problem]
        if marks == self._seen:
            return []
        self._seen = marks
        self._names, problems = _read(self._folder, [name for name, *_ in marks])
        self.wrong = len(problems)
        taken = {f"{name}{PUBLIC}" for name in self._names.values()}
        self.oldest = min((changed_ns / 1e9 for name, _, changed_ns, _ in marks if name in taken), default=0.0)
        return problems


def _marks(folder: Path) -> Marks:
    found = []
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.endswith(PUBLIC):
                try:
                    status = entry.stat()
                except OSError:
                    found.append((entry.name, 0, 0, 0))  # a link to nowhere: reading it says so
                else:
                    found.append((entry.name, status.st_ino, status.st_mtime_ns, status.st_ctime_ns))
    return tuple(sorted(found))


def _read(folder: Path, files: list[str]) -> tuple[dict[bytes, str], list[str]]:
    names: dict[bytes, str] = {}
    problems = []
    for file in files:
        name, path = file.removesuffix(PUBLIC), folder / file
        if not NAME.fullmatch(name):
            problems.append(f"public key {path}: {name!r} cannot name a subscriber: {NAME_RULE}")
            continue
        try:
            public = read_public(path)
        except ConfigError as error:
            problems += error.problems
            continue
        if public in names:
            problems.append(f"public key {path} is that of {names[public]!r} too; give each subscriber its own")
        else:
            names[public] = name
    return names, problems
