"""The page in a real Chromium, at a real daemon on the simulated line.

1. what it shows is what was published: counts, rows, bars, the newest picture, the last defect
2. the daemon is killed and comes back: a banner appears and goes, and no verdict is missing from the counts
3. the server of the page goes away and comes back
4. everything by the keyboard
5. a permanent link shows the same in another browser, also after the server of the page was restarted
6. both languages, light and dark; no word that is not in the dictionaries; what axe-core finds
7. the token; and strange pages cannot connect
8. a file of the page does not arrive
9. what the page makes of updates, and of connections that come and go; the test plays the server's part
"""

from __future__ import annotations

import base64
import functools
import http.server
import json
import re
import shutil
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Literal

import cv2
import numpy as np
import pytest

from inspector import codecs, wire
from inspector.client import Subscriber
from inspector.codecs import Formats
from inspector.journal.reading import Choice, Reader
from inspector.messages import Item, Message, PreviewMessage, ResultMessage, VerdictMessage
from inspector.types import Inspection
from inspector.view.pictures import Defect
from inspector.view.site import _detail
from inspector.view.state import State
from inspector.view.updates import Updates
from inspector.wire import Encoder
from tests.daemon import Process
from tests.inspections import ng, part
from tests.viewing import View
from tests.waiting import PATIENCE, free_port, turn, until

playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright")
CHROMIUM = shutil.which("chromium")
pytestmark = [
    pytest.mark.full,
    pytest.mark.skipif(CHROMIUM is None, reason="needs chromium (tests/debian-packages.sh)"),
]

BUNDLE = Path(__file__).parents[2] / "models" / "simulated-line"
VERDICTS = ("ok", "ng", "unknown")
MILLISECONDS = PATIENCE * 1000


@pytest.fixture(scope="module")
def browser() -> Iterator[playwright.Browser]:
    # Chromium cuts what is on its way when a cable comes or goes, and complains of it
    with turn("cable"), playwright.sync_playwright() as maker:
        browser = maker.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


class Shown:
    """A page, and whatever it complained of."""

    def __init__(self, browser: playwright.Browser, url: str, **how: object) -> None:
        self.context = browser.new_context(**({"locale": "en-US", "viewport": {"width": 1600, "height": 1200}} | how))
        self.page = self.context.new_page()
        self.page.set_default_timeout(MILLISECONDS)
        self.complaints: list[str] = []
        self.page.on("console", lambda said: self.complaints.append(said.text) if said.type == "error" else None)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.goto(url)

    def __enter__(self) -> Shown:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is not None:
            error.add_note(f"{self.page.url} complains: {self.complaints}; its detail: {self._detail()!r}")
        self.context.close()

    def _detail(self) -> str | None:
        found = self.page.query_selector("#detail[open]")
        return None if found is None else found.inner_text()

    def has(self, selector: str, state: Literal["visible", "hidden", "attached"] = "visible") -> None:
        self.page.wait_for_selector(selector, state=state)

    def figure(self, name: str) -> float:
        return float(self.page.get_attribute(f'[data-figure="{name}"]', "data-value") or 0)

    def counts(self) -> dict[str, dict[str, int]]:
        """By camera, what its tile counts."""
        tiles = self.page.eval_on_selector_all(".tile", "tiles => tiles.map(tile => ({...tile.dataset}))")
        return {tile["camera"]: {each: int(tile[each]) for each in VERDICTS} for tile in tiles}

    def place(self, of: str) -> tuple[float, float]:
        """The left upper corner of an element, pixels."""
        box = self.page.eval_on_selector(of, "element => element.getBoundingClientRect().toJSON()")
        return box["x"], box["y"]

    def rows(self, of: str) -> list[str]:
        found: list[str] = self.page.eval_on_selector_all(f"#{of} a", "rows => rows.map(row => row.dataset.link)")
        return found

    def pixels(self, canvas: str) -> np.ndarray:
        """What a canvas shows, uint8 [height, width, 3], blue-green-red."""
        url = self.page.eval_on_selector(canvas, "canvas => canvas.toDataURL('image/png')")
        return cv2.imdecode(np.frombuffer(base64.b64decode(url.partition(",")[2]), np.uint8), cv2.IMREAD_COLOR)

    def bars(self, figure: str) -> dict[str, list[int]]:
        told = self.page.eval_on_selector(f"#{figure}", "figure => ({...figure.dataset})")
        return {each: [int(count) for count in told[each].split()] for each in VERDICTS}


class Factory:
    """The simulated line, with a journal, at an address that stays the same over restarts."""

    def __init__(self, folder: Path, frames: int = 0, more: str = "", cameras: int = 2, rate: int = 5) -> None:
        self.port, self.journal = free_port(), folder / "journal.sqlite"
        self.endpoint = f"tcp://127.0.0.1:{self.port}"
        self.config = folder / "line.toml"
        tables = "".join(
            f'[[camera]]\nname = "cam{index}"\ndeadline = 30.0\nbundle = "{BUNDLE}"\n'
            f'source = "sim://line?seed={index}&rate={rate}&defects=0.4&frames={frames}"\n'
            for index in range(1, cameras + 1)
        )
        self.config.write_text(
            f'line = "press"\n{tables}[publish]\nendpoint = "{self.endpoint}"\n'
            f'catchup = "tcp://127.0.0.1:{free_port()}"\n{more}\n[journal]\npath = "{self.journal}"\n[http]\nport = 0\n'
        )

    def kept(self, kind: str) -> list[Message]:
        """All that was published of a kind, over all runs, in the order that it was kept in."""
        reader = Reader(self.journal)
        messages = [wire.decode(one.kept.parts) for one in reader.messages(Choice(f"{kind}/"))]
        reader.close()
        return messages


def counted(messages: list[Message]) -> dict[str, dict[str, int]]:
    of = Counter((message.camera, message.verdict.value) for message in messages)
    return {camera: {each: of[camera, each] for each in VERDICTS} for camera in sorted({name for name, _ in of})}


def link(message: VerdictMessage | ResultMessage) -> str:
    return f"{message.kind}/press/{message.camera}/{message.session}/{message.sequence}"


def since(messages: list[Message], rows: list[dict]) -> list[Message]:
    """From the first on that was heard of each camera; a page that came late has none before."""
    first: dict[str, str] = {}
    for row in rows:
        first.setdefault(row["camera"], row["link"])
    begun: set[str] = set()
    chosen = []
    for message in messages:
        if first.get(message.camera) == link(message):
            begun.add(message.camera)
        if message.camera in begun:
            chosen.append(message)
    return chosen


# ---- 1


def test_what_is_shown_is_what_was_published(browser, tmp_path: Path) -> None:
    factory = Factory(tmp_path, frames=25)
    previews: dict[str, PreviewMessage] = {}
    with (
        View(factory.endpoint) as view,
        view.page() as told,
        Subscriber(factory.endpoint, kinds=["preview", "beat"]) as subscriber,
        Shown(browser, view.url) as shown,
    ):
        shown.has('#banner[data-what="waiting"]:not([hidden])')
        shown.page.keyboard.press("o")  # the outline would lie over the pixels
        with Process(factory.config) as daemon:
            daemon.keep_reading()
            for message in subscriber:
                if isinstance(message, PreviewMessage):
                    previews[message.camera] = message
                elif message.final:
                    break
                told.next()
            assert daemon.wait() == 0
        shown.has('#banner[data-what="stopped"]:not([hidden])')
        while told.next()["daemon"]["state"] != "stopped":
            pass
        verdicts = since(factory.kept("verdict"), told.rows)
        results = factory.kept("result")
        expected = counted(verdicts)
        until(lambda: shown.counts() == expected, f"{shown.counts()} is not {expected}")
        for each in VERDICTS:
            assert shown.figure(each) == sum(of[each] for of in expected.values())
        assert shown.figure("missing") == 0
        rows = [link(message) for message in reversed(_as_told(verdicts, told.rows))][:60]
        defects = [row["link"] for row in reversed(told.defects)]
        until(lambda: shown.rows("rows") == rows and shown.rows("defects") == defects, "the lists are not drawn")
        assert {link(message) for message in results} >= set(defects)
        assert len(defects) >= 5
        _compare_bars(shown, verdicts)
        for camera, preview in previews.items():
            tile = f'.tile[data-camera="{camera}"]'
            shown.has(f'{tile}[data-frame="{preview.frame}"][data-shown="{preview.verdict.value}"]')
            expected_pixels = cv2.imdecode(np.frombuffer(preview.jpeg, np.uint8), cv2.IMREAD_COLOR)
            assert np.abs(shown.pixels(f"{tile} canvas").astype(int) - expected_pixels).max() <= 3
        assert shown.complaints == []


def _as_told(verdicts: list[Message], rows: list[dict]) -> list[Message]:
    """In the order in which they came to the page's server; topics are independent of each other."""
    by_link = {link(message): message for message in verdicts}
    return [by_link[row["link"]] for row in rows]


def _compare_bars(shown: Shown, verdicts: list[Message]) -> None:
    """The bars hold each verdict once, and each score in its bin."""
    names = Counter(message.verdict.value for message in verdicts)
    until(
        lambda: (
            {each: sum(shown.bars("timeline")[each]) for each in VERDICTS} == {each: names[each] for each in VERDICTS}
        ),
        "the bars over time hold other verdicts",
    )
    scores = Counter(
        (message.verdict.value, int(np.ceil(round(message.score / 0.04, 6))) - 1 if message.score > 0 else 0)
        for message in verdicts
        if message.score is not None
    )
    found = Counter(
        {(each, at): n for each, counts in shown.bars("scores").items() for at, n in enumerate(counts) if n}
    )
    assert found == scores
    assert {each: sum(counts) for each, counts in shown.bars("latencies").items()} == {n: names[n] for n in VERDICTS}


# ---- 2 and 3


def test_a_killed_daemon_is_told_and_nothing_is_missing_when_it_is_back(browser, tmp_path: Path) -> None:
    factory = Factory(tmp_path)
    with View(factory.endpoint) as view, view.page() as told, Shown(browser, view.url) as shown:
        with Process(factory.config) as daemon:
            daemon.keep_reading()
            shown.has('.tile[data-frame]:not([data-frame=""])')
            shown.page.wait_for_selector("#banner", state="hidden")
            until(lambda: told.next() and len(told.rows) > 10)
            daemon.send(signal.SIGKILL)
            daemon.wait()
        where = shown.place("main")
        shown.has('#banner[data-what="silent"]:not([hidden])')
        assert shown.place("main") == where  # or a press that had begun would end on something else
        assert shown.page.evaluate("document.body.classList.contains('stale')")
        before = shown.counts()
        with Process(factory.config) as daemon:
            daemon.keep_reading()
            shown.page.wait_for_selector("#banner", state="hidden")
            until(lambda: told.next() and sum(map(sum, _values(shown.counts()))) > sum(map(sum, _values(before))) + 10)
            daemon.send(signal.SIGTERM)
            assert daemon.wait() == 0
        shown.has('#banner[data-what="stopped"]:not([hidden])')
        expected = counted(since(factory.kept("verdict"), told.rows))
        until(lambda: shown.counts() == expected, f"{shown.counts()} is not {expected}")
        assert (shown.figure("restarts"), shown.figure("missing")) == (1, 0)
        assert shown.complaints == []


def _values(counts: dict[str, dict[str, int]]) -> list[list[int]]:
    return [list(of.values()) for of in counts.values()]


def test_a_page_that_lost_its_server_says_so_and_goes_on_when_it_is_back(browser, tmp_path: Path) -> None:
    factory = Factory(tmp_path, cameras=1)
    with Process(factory.config) as daemon:
        daemon.keep_reading()
        with View(factory.endpoint) as view, Shown(browser, view.url) as shown:
            shown.has('.tile[data-frame]:not([data-frame=""])')
            shown.page.wait_for_selector("#banner", state="hidden")
            view.stop()
            shown.has('#banner[data-what="cut"]:not([hidden])')
            with View(factory.endpoint, "--port", view.address.rpartition(":")[2]):
                shown.page.wait_for_selector("#banner", state="hidden")
                shown.has('.tile[data-frame]:not([data-frame=""])')


# ---- 4 and 5


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Factory]:
    """A line that runs while the tests do that only look."""
    factory = Factory(tmp_path_factory.mktemp("running"), more='source = "png"')
    with Process(factory.config) as daemon:
        daemon.keep_reading()
        yield factory


def test_everything_is_reached_by_the_keyboard(browser, running: Factory) -> None:
    with View(running.endpoint) as view, Shown(browser, view.url) as shown:
        press = shown.page.keyboard.press
        shown.has('.tile[data-camera="cam2"][data-frame]:not([data-frame=""])')
        shown.has("#defects a")
        press("2")
        shown.has('.tile.chosen[data-camera="cam2"]')
        until(lambda: shown.page.inner_text("#chosen") == "cam2")
        press("0")
        until(lambda: shown.page.inner_text("#chosen") == "all cameras")
        press("d")
        shown.has('.tile[data-camera="cam1"][data-shown="ng"]')
        before = shown.page.inner_text("#repaired")
        press("r")
        until(lambda: shown.page.inner_text("#repaired") != before)
        assert shown.page.get_attribute("#repaired", "aria-pressed") == "true"
        press("?")
        shown.has("#help[open]")
        press("Escape")
        shown.page.wait_for_selector("#help", state="hidden")
        for _ in range(20):  # by Tab to a tile
            press("Tab")
            if shown.page.evaluate("document.activeElement.dataset.camera"):
                break
        assert shown.page.evaluate("document.activeElement.dataset.camera") == "cam1"
        assert shown.page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
        press("Space")
        shown.has('.tile.chosen[data-camera="cam1"]')
        press("Enter")
        shown.has("#detail[open] canvas")
        assert "cam1" in shown.page.inner_text("#detail h2")
        at = float(shown.page.input_value("#slider"))
        press("ArrowRight")
        assert float(shown.page.input_value("#slider")) == at + 5
        opened = shown.page.get_attribute("#detail", "data-link")
        until(lambda: opened in shown.rows("defects")[1:])  # a newer one comes; an older one there need not be
        press("n")
        until(lambda: shown.page.get_attribute("#detail", "data-link") != opened)
        press("p")
        until(lambda: shown.page.get_attribute("#detail", "data-link") == opened)
        press("Escape")
        shown.page.wait_for_selector("#detail", state="hidden")
        until(lambda: shown.page.evaluate("location.hash") == "")  # put back after the dialog is hidden
        assert shown.complaints == []


def test_a_permanent_link_shows_frame_and_repair_anywhere(browser, running: Factory) -> None:
    with View(running.endpoint) as view, Shown(browser, view.url) as shown:
        shown.has("#defects a")
        where = shown.rows("defects")[0]
        running_message = next(message for message in running.kept("result") if link(message) == where)
    assert isinstance(running_message, ResultMessage)
    # Another browser at another server, which never heard that message.
    with View(running.endpoint) as view, view.page() as told:
        until(lambda: told.next()["daemon"]["state"] == "running")
        with Shown(browser, f"{view.url}#/{where}") as shown:
            shown.has("#detail[open] canvas")
            shown.page.keyboard.press("o")
            facts = dict(
                shown.page.eval_on_selector_all(
                    "#detail [data-fact]", "facts => facts.map(f => [f.dataset.fact, f.querySelector('dd').innerText])"
                )
            )
            assert facts["score"] == f"{running_message.score:.4f}"
            assert facts["part"] == running_message.part
            raw = shown.page.text_content("#detail pre")
            assert raw is not None
            assert json.loads(raw) == json.loads(running_message.raw)
            source = running_message.source()
            repaired = running_message.repaired()
            assert source is not None
            assert repaired is not None
            for value, expected in ((0, source), (100, repaired)):
                shown.page.fill("#slider", str(value))
                outside = running_message.mask() == 0 if value == 0 else np.ones(source.shape[:2], bool)
                edge = _outlines(running_message)
                assert np.array_equal(shown.pixels("#detail canvas")[~edge & outside], expected[~edge & outside])
            assert not np.array_equal(source, repaired)
            assert shown.complaints == []


def test_a_row_that_is_pressed_while_new_ones_come_is_clicked(browser, running: Factory) -> None:
    with View(running.endpoint) as view, Shown(browser, view.url) as shown:
        shown.page.hover("#defects a")
        shown.page.mouse.down()
        before, verdicts = shown.rows("rows"), sum(map(sum, _values(shown.counts())))
        until(lambda: sum(map(sum, _values(shown.counts()))) > verdicts + 20)  # more than two of the lists' pauses
        assert shown.rows("rows") == before
        shown.page.mouse.up()
        shown.has("#detail[open] canvas")
        shown.page.keyboard.press("Escape")
        until(lambda: shown.rows("rows") != before)


def test_a_link_that_was_cut_on_its_way_is_asked_for_again(browser, running: Factory) -> None:
    cut: list[str] = []
    with View(running.endpoint) as view, Shown(browser, view.url) as shown:
        shown.page.route("**/message/**", functools.partial(_cut_once, cut))
        shown.page.click("#defects a")
        shown.has("#detail[open] canvas")
        assert len(cut) == 1


def test_what_never_arrives_is_told_in_a_sentence(browser) -> None:
    with View("tcp://127.0.0.1:1") as view, Shown(browser, view.url) as shown:
        shown.page.route("**/message/**", lambda route: route.abort("internetdisconnected"))
        shown.page.evaluate("location.hash = '#/result/line1/cam1/17/1'")
        shown.has("#detail[open] .gone")


def _cut_once(cut: list[str], route: playwright.Route) -> None:
    if cut:
        route.continue_()
    else:
        cut.append(route.request.url)
        route.abort("internetdisconnected")


def _outlines(message: ResultMessage) -> np.ndarray:
    """Where outlines may be drawn, bool [height, width]."""
    mask = message.mask()
    assert mask is not None
    near = np.ones((9, 9), np.uint8)
    return (cv2.dilate(mask, near) > 0) & (cv2.erode(mask, near) == 0)


# ---- 6


def test_no_word_of_the_page_is_outside_of_the_dictionaries(browser, running: Factory) -> None:
    """All words of a made-up language are in brackets; what is left is what the daemon said, and numbers."""
    allowed = re.compile(r"\b[0-9a-f]{12}\b|simulated-line|CPUExecutionProvider|fp32|press|cam\d|中文|English|[\W\d_]")

    def bracketed(route) -> None:  # type: ignore[no-untyped-def]
        words = json.loads(route.fetch().text())
        route.fulfill(json={key: f"⟦{text}⟧" for key, text in words.items()})

    with View(running.endpoint) as view, Shown(browser, view.url) as shown:
        shown.page.route("**/lang/*.json", bracketed)
        shown.page.reload()
        shown.has('.tile[data-frame]:not([data-frame=""])')
        shown.has("#defects a")
        shown.has("#scores svg text")
        shown.page.click("#defects a")
        shown.has("#detail[open] canvas")
        texts = shown.page.evaluate("""() => {
            const found = [];
            const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
            while (walker.nextNode()) {
                const of = walker.currentNode.parentElement;
                if (!of.matches("#events li, pre, pre *, title, script")) found.push(walker.currentNode.data);
            }
            for (const field of document.querySelectorAll("pre .field")) found.push(field.dataset.word);
            for (const each of document.querySelectorAll("[title], [aria-label]"))
                for (const name of ["title", "aria-label"])
                    if (each.hasAttribute(name) && !each.closest("#health td")) found.push(each.getAttribute(name));
            return found;
        }""")
        left = [re.sub(r"⟦[^⟧]*⟧", "", text) for text in texts]
        strange = {text for text in left if allowed.sub("", text)}
        assert strange == set()
        assert sum("⟦" in text for text in texts) > 60
        assert not shown.page.evaluate("""() => document.querySelector("#detail pre").innerHTML.replace(
            /<span class="field"[^>]*>[^<]*<.span>/g, "").match(/"\\w+":/)""")  # each field has its word


@pytest.mark.parametrize(
    ("locale", "word", "lang"),
    [("zh-CN", "最近缺陷", "zh-CN"), ("en-GB", "Last defects", "en"), ("fr-FR", "Last defects", "en")],
)
def test_the_language_is_the_browsers_and_can_be_changed(browser, locale: str, word: str, lang: str) -> None:
    with View("tcp://127.0.0.1:1") as view, Shown(browser, view.url, locale=locale) as shown:
        shown.page.wait_for_selector(f"#defects h2:text-is('{word}')")
        assert shown.page.get_attribute("html", "lang") == lang
        shown.page.keyboard.press("l")
        other = "Last defects" if lang == "zh-CN" else "最近缺陷"
        shown.page.wait_for_selector(f"#defects h2:text-is('{other}')")
        shown.page.reload()
        shown.page.wait_for_selector(f"#defects h2:text-is('{other}')")


@pytest.mark.parametrize(("scheme", "dark"), [("light", False), ("dark", True)])
def test_light_and_dark_are_the_systems_and_can_be_changed(browser, scheme: str, dark: bool) -> None:
    def is_dark() -> bool:
        colour = shown.page.evaluate("getComputedStyle(document.body).backgroundColor")
        return sum(map(int, re.findall(r"\d+", colour)[:3])) < 3 * 128

    with View("tcp://127.0.0.1:1") as view, Shown(browser, view.url, color_scheme=scheme) as shown:
        shown.has('#banner[data-what="waiting"]:not([hidden])')
        assert is_dark() is dark
        shown.page.keyboard.press("t")
        until(lambda: shown.page.get_attribute("html", "data-theme") == "light")
        assert is_dark() is False
        shown.page.keyboard.press("t")
        until(lambda: shown.page.get_attribute("html", "data-theme") == "dark")
        assert is_dark() is True


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nobody_is_shut_out(browser, running: Factory, axe: str, scheme: str) -> None:
    with View(running.endpoint) as view, Shown(browser, view.url, color_scheme=scheme) as shown:
        shown.has('.tile[data-frame]:not([data-frame=""])')
        shown.has("#scores svg text")
        shown.has("#defects a")
        shown.page.evaluate(axe)
        for place, key in (("body", None), ("#detail[open] canvas", "n"), ("#help[open]", "?")):
            if key is not None:
                shown.page.keyboard.press(key)
            shown.has(place)
            found = shown.page.evaluate("axe.run()")["violations"]
            assert [(one["id"], one["nodes"][0]["html"]) for one in found] == []
            shown.page.keyboard.press("Escape")


# ---- 7


def test_the_token_is_asked_for_once(browser, tmp_path: Path) -> None:
    path = tmp_path / "token"
    with View("tcp://127.0.0.1:1", "--token", path) as view, Shown(browser, view.url) as shown:
        token = path.read_text().strip()
        shown.page.fill("#token", "a wrong one")
        shown.page.keyboard.press("Enter")
        shown.has(".wrong:not(:empty)")
        shown.page.fill("#token", token)
        shown.page.keyboard.press("Enter")
        shown.has('#banner[data-what="waiting"]:not([hidden])')
        shown.page.wait_for_selector("#login", state="hidden")
        shown.page.reload()
        shown.has('#banner[data-what="waiting"]:not([hidden])')
        assert not shown.page.is_visible("#login")
        with Shown(browser, f"{view.url}#token={token}") as other:
            other.has('#banner[data-what="waiting"]:not([hidden])')
            assert token not in other.page.evaluate("location.href")
            assert not other.page.is_visible("#login")


def test_a_strange_page_can_neither_connect_nor_read_nor_frame_it(browser, tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("<!doctype html><title>strange</title>")
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as strange, View("tcp://127.0.0.1:1") as view:
        threading.Thread(target=strange.serve_forever, daemon=True).start()
        with Shown(browser, f"http://127.0.0.1:{strange.server_address[1]}/") as shown:
            connected = shown.page.evaluate(
                """url => new Promise(tell => {
                    const socket = new WebSocket(url);
                    socket.onopen = () => tell("open");
                    socket.onerror = () => tell("refused");
                })""",
                f"ws://{view.address}/live",
            )
            read = shown.page.evaluate("url => fetch(url).then(() => 'read', () => 'refused')", f"{view.url}session")
            assert (connected, read) == ("refused", "refused")
            shown.page.evaluate(
                "url => new Promise(tell => { const frame = document.createElement('iframe'); frame.src = url;"
                "frame.onload = tell; document.body.append(frame); })",
                view.url,
            )
            assert not any(frame.url.startswith(view.url) for frame in shown.page.frames)
        strange.shutdown()


# ---- 8


@pytest.mark.parametrize("path", ["/style.css", "/app.js", "/charts.js", "/lang/en.json", "/session"])
def test_a_file_that_did_not_arrive_is_asked_for_again(browser, path: str) -> None:
    cut: list[str] = []
    with View("tcp://127.0.0.1:1") as view, Shown(browser, "about:blank") as shown:
        shown.page.route(f"**{path}", functools.partial(_cut_once, cut))
        shown.page.goto(view.url)
        shown.has('#banner[data-what="waiting"]:not([hidden])')
        assert len(cut) == 1
        assert shown.page.evaluate("document.styleSheets.length") == 1


# ---- 9

ENCODER = Encoder("press", 17, "c0" * 32)


def beat(*cameras: str) -> Item:
    return wire.decode(ENCODER.beat({f"verdict/press/{name}/": 1 for name in cameras}, time.time_ns(), False))


def verdict(inspection: Inspection) -> VerdictMessage:
    return wire.decode(ENCODER.verdict(inspection, inspection.frame.number, 0.001))


def result(inspection: Inspection) -> ResultMessage:
    payloads = codecs.encode(inspection, Formats())
    return wire.decode(ENCODER.result(inspection, inspection.frame.number, payloads, 0.001, 0.002))


def preview(inspection: Inspection) -> Item:
    assert inspection.frame.image is not None
    return wire.decode(ENCODER.preview(inspection, codecs.preview(inspection.frame.image)))


class Played(Shown):
    """A page that has its files of a server, and its updates of the test.

    sockets: its connections, the newest last;  state: what the server heard
    """

    def __init__(self, browser: playwright.Browser, url: str) -> None:
        super().__init__(browser, "about:blank")
        self.sockets: list[playwright.WebSocketRoute] = []
        self._asked: list[playwright.WebSocketRoute] = []
        self.state = State()
        self.page.route_web_socket("**/live", self._connected)
        self.page.goto(url)

    def cut(self) -> None:
        """The connection ends, and the next one begins."""
        ended = len(self.sockets)
        self.sockets[-1].close()
        self.wait(lambda: len(self.sockets) > ended)

    def tell(self, *items: Item) -> None:
        """Have the server hear them, and the page told of it once it asks."""
        for item in items:
            self.state.take(item, time.monotonic())
        self.wait(lambda: self._asked and self._asked[-1] is self.sockets[-1])
        self._asked.clear()
        for camera in self.state.cameras.values():
            if camera.defect is not None:
                camera.defect.make()
        self.sockets[-1].send(self._updates._packed(time.monotonic()))

    def wait(self, happened: Callable[[], object]) -> None:
        """Until then; what the page does arrives here while it is asked for something."""
        until(lambda: self.page.evaluate("true") and bool(happened()))

    def _connected(self, socket: playwright.WebSocketRoute) -> None:
        self._updates = Updates(self.state)
        self.sockets.append(socket)
        socket.on_message(lambda _: self._asked.append(socket))


@pytest.fixture
def played(browser) -> Iterator[Played]:
    with View("tcp://127.0.0.1:1") as view, Played(browser, view.url) as played:
        yield played
        assert played.complaints == []


def test_a_camera_whose_state_nobody_told_is_not_shown_as_well(played: Played) -> None:
    played.tell(beat("cam1", "cam2"))
    played.has('#health tr[data-camera="cam2"][data-state="untold"] .shape.unknown')
    played.has('.tile[data-camera="cam2"]')


def test_a_page_that_comes_back_shows_what_there_is_and_nothing_twice(played: Played) -> None:
    defects = [ng(number=number) for number in (1, 2, 3, 4)]
    played.tell(*map(verdict, defects[:3]), *map(result, defects[:3]))
    played.wait(lambda: len(played.rows("defects")) == 3)
    played.cut()
    played.tell(verdict(defects[3]), result(defects[3]))
    links = [link(result(one)) for one in reversed(defects)]
    played.wait(lambda: played.rows("defects") == links)
    assert played.rows("rows") == [link(verdict(one)) for one in reversed(defects)]


def test_what_the_server_does_not_know_any_more_is_not_shown(played: Played) -> None:
    for camera in ("cam1", "cam2"):
        played.tell(verdict(ng(camera)), result(ng(camera)), preview(ng(camera)))
    played.tell(wire.decode(ENCODER.part(part(), 1, 0.1)))
    played.has('.tile[data-camera="cam1"][data-verdict="ng"][data-shown="ng"] .badge .shape', "attached")
    played.has('[data-figure="station-gate"]')
    played.state = State()  # the server was started again
    played.cut()
    played.tell(beat("cam1"))
    played.has('.tile[data-camera="cam1"][data-verdict=""][data-shown=""][data-ng="0"] .stamp', "hidden")
    assert played.page.query_selector('.badge .shape, .tile[data-camera="cam2"], [data-figure="station-gate"]') is None
    assert not played.pixels(".tile canvas").any()
    played.wait(lambda: played.rows("defects") == [])


def test_what_came_while_the_page_was_hidden_is_as_old_as_it_is(played: Played) -> None:
    """No frame is drawn while it is hidden, and time passes."""
    first, last = ng(number=1), ng(number=2)
    played.tell(verdict(first), result(first), preview(first))
    played.has('.tile[data-frame="1"]')
    played.page.evaluate("held = []; requestAnimationFrame = (then) => held.push(then); null")
    played.tell()  # is drawn, and holds up what follows
    played.wait(lambda: played.page.evaluate("held.length") == 1)
    played.tell(verdict(last), result(last), preview(last))
    played.page.evaluate("since = performance.now.bind(performance); performance.now = () => since() + 3_600_000; null")
    played.page.evaluate("requestAnimationFrame = () => null; held[0]()")
    played.has('.tile[data-frame="2"]:not(.fresh)')
    assert re.search(r"3,[67]\d\d s", played.page.inner_text(".stamp"))
    played.has('#banner[data-what="cut"]')


def test_an_update_of_a_connection_that_is_over_is_not_drawn_after_one_of_the_next(played: Played) -> None:
    played.tell(verdict(ng(number=1)))
    played.wait(lambda: len(played.rows("rows")) == 1)
    played.page.evaluate("held = []; requestAnimationFrame = (then) => held.push(then); null")
    played.tell()
    played.wait(lambda: played.page.evaluate("held.length") == 1)
    played.tell(verdict(ng(number=2)))
    played.state = State()  # the server was started again
    played.cut()
    played.tell(verdict(ng(number=3)))
    played.page.evaluate("requestAnimationFrame = (then) => setTimeout(then, 0); held[0]()")
    played.tell(verdict(ng(number=4)))
    links = [link(verdict(ng(number=number))) for number in (4, 3)]
    played.wait(lambda: played.rows("rows") == links)


SLOW_PICTURES = """() => {
    const decode = createImageBitmap;
    held = [];
    released = 0;
    createImageBitmap = async (bytes) => {
        await new Promise((go) => held.push(go));
        const image = await decode(bytes);
        const close = image.close.bind(image);
        image.close = () => { released += 1; close(); };
        return image;
    };
}"""


def test_a_defect_that_is_decoded_late_is_shown_neither_for_the_next_nor_once_it_was_closed(played: Played) -> None:
    messages = {link(message): message for message in (result(ng(number=1)), result(ng(number=2)))}
    played.page.route(
        "**/message/**",
        lambda route: route.fulfill(body=_detail(Defect(messages[route.request.url.partition("/message/")[2]]))),
    )
    played.page.evaluate(SLOW_PICTURES)
    one, other = messages
    for number, where in enumerate((one, other), 1):
        played.page.evaluate("where => { location.hash = `#/${where}` }", where)
        played.wait(lambda number=number: played.page.evaluate("held.length") == number)
    played.page.evaluate("held[1]()")
    played.has(f'#detail[open][data-link="{other}"] canvas')
    played.page.evaluate("held[0]()")
    played.wait(lambda: played.page.evaluate("released") == 1)
    assert played.page.get_attribute("#detail", "data-link") == other
    assert "frame 2" in played.page.inner_text("#detail h2")
    played.page.evaluate("where => { location.hash = `#/${where}` }", one)
    played.wait(lambda: played.page.evaluate("held.length") == 3)
    played.page.keyboard.press("Escape")
    played.wait(lambda: played.page.evaluate("released") == 2)
    played.page.evaluate("held[2]()")
    played.wait(lambda: played.page.evaluate("released") == 3)
    assert not played.page.is_visible("#detail")


def test_what_a_proxy_answers_while_the_server_is_started_again_is_no_refusal(played: Played) -> None:
    played.tell()
    answers = [502, 503, 504]
    played.page.route("**/session", lambda route: route.fulfill(status=answers.pop()) if answers else route.continue_())
    played.cut()
    assert answers == []
    assert not played.page.is_visible("#login")
    answers += [502]
    played.page.reload()
    played.tell()
    played.has('#banner[data-what="waiting"]')
    assert not played.page.is_visible("#login")
    played.complaints.clear()  # Chromium's, of these answers


@pytest.mark.parametrize(("of", "message"), [("defects", result), ("rows", verdict)])
def test_the_keyboard_keeps_its_place_in_a_list_while_new_rows_come(
    played: Played, of: str, message: Callable[[Inspection], VerdictMessage | ResultMessage]
) -> None:
    links = [link(message(ng(number=number))) for number in range(1, 63)]

    def tell(*numbers: int) -> None:
        played.tell(*(message(ng(number=number)) for number in numbers))

    tell(1, 2)
    played.wait(lambda: played.rows(of) == [links[1], links[0]])
    played.page.focus(f'#{of} a[data-link="{links[0]}"]')
    tell(*range(3, 62))
    played.wait(lambda: played.rows(of) == links[60::-1])  # one more than there are in a list
    assert played.page.evaluate("document.activeElement.dataset.link") == links[0]
    played.page.evaluate("document.activeElement.blur()")
    tell(62)
    played.wait(lambda: played.rows(of) == links[61:1:-1])
