"""The daemon's key, and those of its subscribers. What is wrong with them the configuration's check says."""

from __future__ import annotations

import stat
import time
from collections.abc import Iterator
from pathlib import Path

from inspector.allowlist import AllowList
from inspector.doctor.case import Case
from inspector.doctor.finding import Finding, fine, warning
from inspector.errors import ConfigError
from inspector.keys import ServerKeys, fingerprint
from inspector.values import CREDENTIAL

OLD_DAYS = 730
"""Days after which keys should be made anew."""
DAY = 86_400


def keys(case: Case) -> Iterator[Finding]:
    """Modes, age, and who may come."""
    security = case.line.security
    if security.secret_key is None or security.subscribers is None:
        yield fine("none: [security] is not set")
        return
    try:
        public = ServerKeys.load(security.secret_key).public
        listed = AllowList(security.subscribers)
    except ConfigError:
        return  # said already
    file = Path(security.secret_key.removeprefix(CREDENTIAL))
    state = file.stat()
    days, mode = (time.time() - state.st_mtime) / DAY, stat.S_IMODE(state.st_mode)
    text = f"the daemon's key {fingerprint(public)} in {file}, mode {mode:04o}, {days:.0f} day(s) old"
    if days > OLD_DAYS:
        yield warning(text, "make new keys with `inspector keygen`, and hand out the public one (docs/security.md)")
    else:
        yield fine(text)
    yield from _subscribers(security.subscribers, len(listed))


def _subscribers(folder: Path, count: int) -> Iterator[Finding]:
    if count == 0:
        yield warning(
            f"{folder} lists nobody, so nobody may subscribe", "put the subscribers' public keys there, NAME.pub each"
        )
        return
    loose = [str(path) for path in (folder, *sorted(folder.glob("*.pub"))) if path.stat().st_mode & 0o022]
    if loose:
        yield warning(
            f"others than the owner may write {', '.join(loose)}, and so let themselves in",
            f"chmod -R go-w {folder}",
        )
    else:
        yield fine(f"{count} subscriber(s) may come, listed in {folder}")
