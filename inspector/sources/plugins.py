"""Sources of other packages: entry points of the group `inspector.sources`, looked for by a URL's scheme alone."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from inspector.errors import ConfigError
from inspector.sources.url import Url

GROUP = "inspector.sources"


def factory(url: Url) -> Callable[[Url], Any] | None:
    """Who makes sources of that scheme, loaded now; None if no package says it does.

    Raises ConfigError where two packages say so, or the one that does cannot be loaded.
    """
    found = list(entry_points(group=GROUP, name=url.scheme))
    if not found:
        return None
    if len(found) > 1:
        url.refuse(f"{' and '.join(map(_whose, found))} each offer {url.scheme}:; uninstall all but one")
    try:
        make = found[0].load()
    except Exception as error:  # it is another's code, so this may be anything
        raise _broken(url, found[0], error) from error
    if not callable(make):
        url.refuse(f"{_whose(found[0])} offers {url.scheme}: as {found[0].value}, which cannot be called; mend it")

    def checked(given: Url) -> Any:
        try:
            source = make(given)
        except ConfigError:
            raise
        except Exception as error:
            raise _broken(url, found[0], error) from error
        missing = [name for name in ("live", "frames", "close") if not hasattr(source, name)]
        if missing:
            url.refuse(f"{_whose(found[0])} makes a source without {', '.join(missing)}; docs/sources.md says what is")
        return source

    return checked


def _whose(point: EntryPoint) -> str:
    return f"package {point.dist.name!r}" if point.dist is not None else f"entry point {point.value!r}"


def _broken(url: Url, point: EntryPoint, error: Exception) -> ConfigError:
    why = " ".join(f"{type(error).__name__}: {error}".split())
    return ConfigError(f"{url}: {_whose(point)}, which offers {url.scheme}:, fails ({why}); mend or reinstall it")
