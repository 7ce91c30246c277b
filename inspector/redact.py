"""Passwords out of text: camera URLs carry them, and logs, errors and hashes are read by many."""

from __future__ import annotations

import re

# Greedy up to the last @ of the word: a password may hold an @, and hiding too much is the safe side.
_USERINFO = re.compile(r"(://[^\s/@:]*):\S*@")
# Some recorders have it in the path: /user=admin_password=secret_channel=1_stream=0.sdp; all behind it is hidden.
_SECRETS = "password|passwd|pass|pwd|psw|pw|secret|token|api_?key|auth"
_QUERY = re.compile(rf"([?&;/_](?:{_SECRETS})=)[^&#\s'\"]+", re.IGNORECASE)
_WHOLE = re.compile(r":.*@", re.DOTALL)


def redact(text: str) -> str:
    """`text` with each URL's password replaced by ***, both of `user:password@` and of `?password=`."""
    return _QUERY.sub(r"\1***", _USERINFO.sub(r"\1:***@", text))


def redact_url(url: str) -> str:
    """A URL alone, however odd: nothing is shown between the first : of its body and its last @, blanks or not."""
    scheme, slashes, body = url.partition("://") if "://" in url else ("", "", url)
    return _QUERY.sub(r"\1***", f"{scheme}{slashes}{_WHOLE.sub(':***@', body)}")
