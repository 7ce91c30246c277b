"""Answers browsers: the page's files, one message by its link, and the connection that updates come by."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import time
from contextlib import suppress
from http import HTTPStatus
from typing import Any
from urllib.parse import unquote

from websockets.asyncio.server import ServerConnection
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from inspector import address, wire
from inspector.codecs import PREVIEW_PIXELS
from inspector.messages import Message, ResultMessage, VerdictMessage
from inspector.view import pages, told
from inspector.view.access import Access
from inspector.view.packing import Parcel
from inspector.view.pictures import Defect
from inspector.view.recall import Recall
from inspector.view.shelf import Place
from inspector.view.state import State
from inspector.view.updates import Updates

SHORTEST_PAUSE = 0.05
"""Seconds between two updates of one browser."""
LONGEST_PAUSE = 1.0
"""Then it hears that nothing is new: it must never take silence for good."""
NEXT = "next"
"""What a browser says for each update that it wants."""

_MESSAGE = re.compile(r"/message/((?:verdict|result)/[A-Za-z0-9_-]{1,64}/[A-Za-z0-9_-]{1,64}/)(\d{1,19})/(\d{1,19})")


class Changes:
    """Wakes all who wait for something new."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def tell(self) -> None:
        """There is something new."""
        self._event.set()
        self._event = asyncio.Event()

    async def wait(self, seconds: float) -> None:
        """Until there is, or so long."""
        try:
            async with asyncio.timeout(seconds):
                await self._event.wait()
        except TimeoutError:
            pass


class Site:
    """state: what is shown;  changes: tell of it;  endpoint: where the daemon publishes."""

    def __init__(self, state: State, changes: Changes, access: Access, recall: Recall, endpoint: str) -> None:
        self._state, self._changes = state, changes
        self._access, self._recall, self._endpoint = access, recall, endpoint
        self._pages = pages.load()

    async def answer(self, connection: ServerConnection, request: Request) -> Response | None:
        """The answer to a request; None: let the page connect."""
        del connection
        headers, path = request.headers, request.path.partition("?")[0]
        if not self._access.knows_host(_only(headers, "Host")):
            return _text(HTTPStatus.MISDIRECTED_REQUEST, "this is no name of this server; see --name")
        if request.method != "GET":
            return _text(HTTPStatus.METHOD_NOT_ALLOWED, "there is nothing here but to look at")
        if (page := self._pages.get(path)) is not None:
            return _page(page, _only(headers, "If-None-Match"))
        if path == "/session":
            return self._session(headers)
        if not self._access.may_look(_only(headers, "Cookie")):
            return _text(HTTPStatus.UNAUTHORIZED, "the token is missing")
        if path == "/live":
            if self._access.is_same_origin(_only(headers, "Host"), _only(headers, "Origin")):
                return None
            return _text(HTTPStatus.FORBIDDEN, "only this server's own page may connect")
        return await self._message(path)

    async def attend(self, connection: ServerConnection) -> None:
        """Give a browser its updates, each when it asked for it."""
        updates = Updates(self._state)
        try:
            while await connection.recv() == NEXT:
                if not updates.is_due:
                    await self._changes.wait(LONGEST_PAUSE)
                began = time.monotonic()
                await connection.send(await updates.next())
                await asyncio.sleep(max(0.0, began + SHORTEST_PAUSE - time.monotonic()))
        except ConnectionClosed:
            pass

    def _session(self, headers: Headers) -> Response:
        """Whether this browser may look; who brings the token may from now on."""
        if self._access.may_look(_only(headers, "Cookie")):
            return _answer(HTTPStatus.NO_CONTENT)
        if self._access.is_token(_only(headers, "Authorization")):
            return _answer(HTTPStatus.NO_CONTENT, more={"Set-Cookie": self._access.cookie()})
        return _text(HTTPStatus.UNAUTHORIZED, "the token is missing or wrong")

    async def _message(self, path: str) -> Response:
        """One verdict or result with all that is known of it, from here or else from the daemon's journal."""
        found = _MESSAGE.fullmatch(unquote(path))
        if found is None or not wire.is_topic(found[1]):
            return _text(HTTPStatus.NOT_FOUND, "there is no such page")
        place = Place(found[1], int(found[2]), int(found[3]))
        kept: Message | Defect | None = self._state.defects.get(place) or self._state.verdicts.get(place)
        if kept is None and self._state.catchup is not None:
            endpoint = address.seen_from(self._state.catchup, self._endpoint)
            with suppress(TimeoutError):
                kept = await self._recall.message(endpoint, place)
        if isinstance(kept, ResultMessage):
            kept = Defect(kept)
        if isinstance(kept, VerdictMessage):
            kept = self._state.result_of(kept) or kept
        if not isinstance(kept, Defect | VerdictMessage):
            return _text(HTTPStatus.NOT_FOUND, "nobody has this message any more, or it cannot be reached now")
        packed = await asyncio.to_thread(_detail, kept)
        return _answer(HTTPStatus.OK, "application/octet-stream", packed)


def _detail(kept: Defect | VerdictMessage) -> bytes:
    parcel = Parcel()
    message = kept.message if isinstance(kept, Defect) else kept
    said: dict[str, Any] = {"row": told.row(message), "header": json.loads(message.raw), "raw": message.raw.decode()}
    if isinstance(kept, Defect):
        said["picture"] = parcel.picture(kept, kept.best)
        said["is_whole"] = kept.frame is not None or max(kept.message.size or (0,)) <= PREVIEW_PIXELS
    return parcel.packed(said)


def _only(headers: Headers, name: str) -> str | None:
    """A header that may be there once; several are as good as none."""
    values = headers.get_all(name)
    return values[0] if len(values) == 1 else None


def _page(page: pages.Page, known: str | None) -> Response:
    more = {"ETag": page.tag, "Cache-Control": "no-cache"}
    if known == page.tag:
        return _answer(HTTPStatus.NOT_MODIFIED, more=more)
    return _answer(HTTPStatus.OK, page.kind, page.content, more)


def _text(status: HTTPStatus, why: str) -> Response:
    return _answer(status, "text/plain; charset=utf-8", f"{why}\n".encode())


def _answer(
    status: HTTPStatus, kind: str | None = None, content: bytes = b"", more: dict[str, str] | None = None
) -> Response:
    said = {"Connection": "close", "Content-Length": str(len(content)), "Cache-Control": "no-store"}
    if kind is not None:
        said["Content-Type"] = kind
    return Response(status.value, status.phrase, Headers({**said, **pages.SECURITY, **(more or {})}), content)


quiet = logging.Logger("inspector.view", logging.CRITICAL)
"""For websockets: what a stranger sends is no trouble of ours, and requests are not to be in a log."""
