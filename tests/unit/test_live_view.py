"""The page's server without sockets: what is added up, kept and packed, and who may look."""

from __future__ import annotations

import ast
import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import inspector
from inspector import codecs, wire
from inspector.codecs import Formats
from inspector.condition.presence import State as Presence
from inspector.errors import ConfigError, OutputError
from inspector.messages import Gone, Latency
from inspector.types import Cause, Event, Inspection, Patch, Reason, Receipt, Verdict
from inspector.view import pages
from inspector.view.access import Access, read_token
from inspector.view.history import BUCKET_SECONDS, BUCKETS, RECENT, History, Pace, Spread
from inspector.view.packing import Parcel
from inspector.view.pictures import MOST_OUTLINES, Defect, outlines
from inspector.view.shelf import Place, Shelf
from inspector.view.state import SILENCE_SECONDS, State
from inspector.view.updates import Updates
from inspector.wire import Encoder
from tests.inspections import few, ng, ok, part
from tests.viewing import unpack

PACKAGE = Path(inspector.__file__).parent
STATIC = PACKAGE / "view" / "static"
ENCODER = Encoder("line1", 17, "c0" * 32, catchup="tcp://127.0.0.1:5601")
SECOND = 10**9


def verdict(inspection: Inspection, sequence: int = 1) -> object:
    return wire.decode(ENCODER.verdict(inspection, sequence, 0.001))


def result(inspection: Inspection, sequence: int = 1, formats: Formats | None = None) -> object:
    payloads = codecs.encode(inspection, formats or Formats())
    return wire.decode(ENCODER.result(inspection, sequence, payloads, 0.001, 0.002))


def preview(inspection: Inspection) -> object:
    return wire.decode(ENCODER.preview(inspection, codecs.preview(inspection.frame.image)))


def beat(at_ns: int = 5, final: bool = False, session: int = 17, **sequences: int) -> object:
    topics = {f"event/line1/{name}/": last for name, last in sequences.items()}
    return wire.decode(Encoder("line1", session, "c0" * 32, catchup="tcp://127.0.0.1:5601").beat(topics, at_ns, final))


def event(subject: str, state: str, sequence: int = 1, at_ns: int = 5, session: int = 17) -> object:
    encoder = Encoder("line1", session, "c0" * 32)
    return wire.decode(encoder.event(Event(subject, state, "a sentence", at_ns), sequence))


def told(state: State, camera: str = "cam1") -> str | None:
    return state.brief(1.0)[camera]["state"]


def unknown(number: int = 1, cause: Cause | None = Cause.BLACK) -> Inspection:
    return replace(ok(number=number), verdict=Verdict.UNKNOWN, reason=Reason.CAMERA, cause=cause, score=None)


# ---- what is added up


def test_verdicts_are_counted_by_camera_and_listed():
    state = State()
    for sequence, inspection in enumerate([ok(number=1), ng(number=2), unknown(3), ok("cam2", 1)], 1):
        state.take(verdict(inspection, sequence), 10.0)
    brief = state.brief(12.5)
    assert {name: [one["ok"], one["ng"], one["unknown"]] for name, one in brief.items()} == {
        "cam1": [1, 1, 1],
        "cam2": [1, 0, 0],
    }
    assert brief["cam1"]["age"] == 2.5
    assert brief["cam1"]["last"] == {
        "frame": 3, "verdict": "unknown", "reason": "camera", "cause": "black", "score": None,
    }  # fmt: skip
    assert [(row["camera"], row["frame"], row["verdict"]) for row in state.rows] == [
        ("cam1", 1, "ok"), ("cam1", 2, "ng"), ("cam1", 3, "unknown"), ("cam2", 1, "ok"),
    ]  # fmt: skip
    assert state.rows[1]["link"] == "verdict/line1/cam1/17/2"
    ids = [row["id"] for row in state.rows]
    assert ids == sorted(set(ids))
    survey = state.survey(12.5)["cameras"]["cam1"]
    assert (survey["reasons"], survey["threshold"]) == ({"camera": 1}, 0.5)
    assert {each: sum(bins) for each, bins in survey["scores"].items()} == {"ok": 1, "ng": 1, "unknown": 0}


def test_a_silent_daemon_is_told_after_some_seconds_and_a_goodbye_at_once():
    state = State()
    assert state.daemon(0.0)["state"] == "waiting"
    state.take(verdict(ok()), 9.0)
    assert state.daemon(9.0)["state"] == "waiting"
    state.take(beat(), 10.0)
    state.take(verdict(ok()), 10.0 + SILENCE_SECONDS + 1)
    assert state.daemon(10.0 + SILENCE_SECONDS)["state"] == "running"
    assert state.daemon(10.1 + SILENCE_SECONDS)["state"] == "silent"
    state.take(beat(final=True), 20.0)
    assert state.daemon(20.0) == {"state": "stopped", "heard": 0.0, "line": "line1", "restarts": 0, "missing": 0}


def test_a_restart_is_counted_and_nothing_is_forgotten():
    state = State()
    state.take(beat(session=17), 1.0)
    state.take(verdict(ok()), 1.0)
    state.take(beat(session=18), 2.0)
    state.take(Gone("line1", "verdict/line1/cam1/", 17, 3, 7), 2.0)
    assert (state.daemon(2.0)["restarts"], state.daemon(2.0)["missing"]) == (1, 5)
    assert state.brief(2.0)["cam1"]["ok"] == 1


def test_the_state_of_a_camera_is_what_its_newest_event_said():
    state = State()
    state.take(beat(cam1=4, cam2=1, cam3=0, daemon=2), 1.0)
    assert {place.topic for place in state.unheard_states()} == {"event/line1/cam1/", "event/line1/cam2/"}
    state.take(event("cam1", "lost", 5), 1.0)
    state.take(event("cam1", "streaming", 4), 1.0)  # asked for, and older
    state.take(event("cam1", "unreadable", 6), 1.0)  # happened once, is no state
    assert told(state) == "lost"
    assert [place.topic for place in state.unheard_states()] == ["event/line1/cam2/"]
    assert [one["state"] for one in state.survey(1.0)["events"]] == ["lost", "streaming", "unreadable"]


def test_a_camera_s_state_is_what_came_last_though_the_clock_was_set_back():
    state = State()
    state.take(event("cam1", "streaming", 1, at_ns=3600 * SECOND), 1.0)
    state.take(event("cam1", "lost", 2, at_ns=5), 2.0)
    assert told(state) == "lost"
    state.take(event("cam1", "streaming", 1, at_ns=4, session=16), 3.0)  # of a daemon that knows no other time
    assert told(state) == "streaming"


def test_a_camera_s_state_is_untold_where_another_one_may_have_been_missed():
    state = State()
    state.take(event("cam1", "streaming", 3), 1.0)
    for gone in (
        Gone("line1", "event/line1/cam1/", 16, 7, 9),
        Gone("line1", "event/line1/cam1/", 17, 1, 2),
        Gone("line1", "verdict/line1/cam1/", 17, 4, 4),
        Gone("line1", "event/line1/cam2/", 17, 4, 4),
    ):
        state.take(gone, 1.0)
    assert told(state) == "streaming"
    state.take(Gone("line1", "event/line1/cam1/", 17, 4, 4), 1.0)
    assert told(state) is None
    state.take(event("cam1", "lost", 5), 1.0)
    assert told(state) == "lost"


def test_a_camera_s_state_ends_with_its_session():
    state = State()
    state.take(beat(), 1.0)
    state.take(event("cam1", "streaming", 3), 1.0)
    state.take(beat(), 2.0)
    assert told(state) == "streaming"
    state.take(beat(session=18), 3.0)
    assert told(state) is None
    state.take(event("cam1", "ended", 4), 3.0)  # fetched from the journal
    state.take(beat(session=18), 4.0)
    assert told(state) is None


def test_the_events_are_asked_for_back_to_the_one_that_told_a_state():
    state = State()
    asked = lambda: [(place.topic, place.sequence) for place in state.unheard_states()]  # noqa: E731
    state.take(beat(cam1=6, cam2=3, daemon=4), 1.0)
    assert asked() == [("event/line1/cam1/", 6), ("event/line1/cam2/", 3)]
    state.take(event("cam1", "challenge_overdue", 7), 1.0)
    assert asked() == [("event/line1/cam1/", 6), ("event/line1/cam2/", 3)]
    for sequence, word in ((6, "model"), (5, "unreadable"), (4, "lost")):
        assert asked()[0] == ("event/line1/cam1/", sequence)
        state.recall(state.unheard_states()[0], event("cam1", word, sequence))
    assert told(state) == "lost"
    assert asked() == [("event/line1/cam2/", 3)]
    state.recall(state.unheard_states()[0], None)
    assert (told(state, "cam2"), asked()) == (None, [])
    assert [one["state"] for one in state.survey(1.0)["events"]] == ["challenge_overdue", "lost"]


def test_what_was_asked_of_a_daemon_that_is_gone_says_nothing():
    state = State()
    state.take(beat(cam1=6), 1.0)
    (place,) = state.unheard_states()
    state.take(beat(session=18, cam1=2), 2.0)
    state.recall(place, event("cam1", "streaming", 6))
    assert told(state) is None
    assert state.unheard_states() == [Place("event/line1/cam1/", 18, 2)]


def test_nothing_is_asked_for_before_what_is_gone():
    state = State()
    state.take(beat(cam1=6), 1.0)
    state.take(Gone("line1", "event/line1/cam1/", 17, 7, 8), 1.0)
    state.take(event("cam1", "model", 9), 1.0)
    assert state.unheard_states() == []


def test_a_camera_of_which_nothing_comes_is_known_by_the_beats():
    state = State()
    topics = {"verdict/line1/cam1/": 900, "verdict/line1/cam2/": 0, "event/line1/daemon/": 1, "verdict/line1/": 1}
    state.take(wire.decode(ENCODER.beat(topics, 5, False)), 1.0)
    assert list(state.brief(1.0)) == list(state.survey(1.0)["cameras"]) == ["cam1", "cam2"]
    assert (state.brief(1.0)["cam2"]["last"], state.brief(1.0)["cam2"]["state"]) == (None, None)


def test_parts_are_counted_by_station():
    state = State()
    for number, word in enumerate([Verdict.OK, Verdict.NG], 1):
        state.take(wire.decode(ENCODER.part(part(number=number, verdict=word), number, 0.1)), 1.0)
    assert state.parts() == {"gate": {"ok": 1, "ng": 1, "unknown": 0, "part": "part-2", "verdict": "ng"}}


def test_a_preview_belongs_to_the_defect_of_its_frame_alone():
    state = State()
    defective = ng(number=5)
    state.take(result(defective), 1.0)
    state.take(preview(ok(number=4)), 1.0)
    camera = state.cameras["cam1"]
    assert (camera.live_is_defect, camera.defect.quick) == (False, None)
    state.take(preview(defective), 1.0)
    assert camera.live_is_defect
    assert camera.defect.quick == camera.live.jpeg


def test_a_preview_is_found_its_defect_whichever_comes_first_and_though_a_newer_one_came():
    state = State()
    one, other, last = (ng(number=number) for number in (5, 6, 7))
    for message in (result(one, 1), result(other, 2), preview(one), preview(last), result(last, 3)):
        state.take(message, 1.0)
    assert [defect.preview is not None for defect in state.defects.newest()] == [True, False, True]
    assert state.cameras["cam1"].defect_version == 3  # the newest one's pictures did not change in between


def test_what_was_fetched_later_is_as_old_as_it_is():
    state = State()
    state.take(beat(at_ns=1000 * SECOND), 50.0)
    late = replace(ng(), frame=replace(ng().frame, captured_ns=400 * SECOND), receipt=Receipt(infer=20.0))
    for message in (verdict(late), result(late), preview(late)):
        state.take(message, 51.0)
    camera = state.cameras["cam1"]
    assert (camera.last_at, camera.live_at) == (-550.0, -550.0)
    assert camera.defect_at == pytest.approx(-530.0, abs=0.1)  # it was told then
    assert state.brief(52.0)["cam1"]["age"] == 602.0
    ahead = replace(ok(), frame=replace(ok().frame, captured_ns=2000 * SECOND))  # the clock was set back
    state.take(verdict(ahead), 53.0)
    assert state.brief(53.0)["cam1"]["age"] == 0.0


def test_the_clock_of_the_bars_is_the_daemons():
    state = State()
    state.take(beat(at_ns=1000 * SECOND), 50.0)
    late = replace(ok(), frame=replace(ok().frame, captured_ns=998 * SECOND))
    state.take(verdict(late), 50.0)
    assert state.survey(53.0)["now"] == 1_003_000
    bars = state.survey(53.0)["cameras"]["cam1"]["history"]["ok"]
    assert (len(bars), bars[-2:], sum(bars)) == (BUCKETS, [1, 0], 1)


@few
@given(st.lists(st.tuples(st.sampled_from(Verdict), st.integers(0, BUCKETS * BUCKET_SECONDS - 1)), max_size=80))
def test_every_verdict_stands_in_the_bar_of_its_capture(verdicts):
    history = History()
    now = 10_000 * BUCKET_SECONDS + BUCKET_SECONDS - 1
    for word, age in verdicts:
        history.add(word, (now - age) * SECOND)
    bars = history.until(now * SECOND)
    expected = Counter((word, BUCKETS - 1 - age // BUCKET_SECONDS) for word, age in verdicts)
    found = {(Verdict(word), at): count for word, counts in bars.items() for at, count in enumerate(counts) if count}
    assert found == expected


def test_history_and_spreads_are_bounded():
    history, spread = History(), Spread((1, 2))
    for number in range(10 * RECENT):
        history.add(Verdict.OK, number * BUCKET_SECONDS * SECOND)
        spread.add(Verdict.OK if number % 2 else Verdict.NG, number % 3)
    assert len(history._counts) <= 2 * BUCKETS
    assert sum(map(sum, spread.counts().values())) == RECENT
    assert (spread.quantile(0.0), spread.quantile(0.99)) == (0, 2)
    assert Spread((1, 2)).quantile(0.5) is None


def test_bars_go_on_after_the_clock_was_set_back():
    history = History()
    for number in range(2 * BUCKETS):
        history.add(Verdict.OK, (86_400 + number * BUCKET_SECONDS) * SECOND)
    for number in range(2 * BUCKETS):
        history.add(Verdict.OK, number * BUCKET_SECONDS * SECOND)
        assert sum(history.until(number * BUCKET_SECONDS * SECOND)["ok"]) == min(number + 1, BUCKETS)


def test_a_value_on_a_bound_lies_below_it():
    spread = Spread((1, 2))
    for value in (0.5, 1, 1.5, 2, 2.5):
        spread.add(Verdict.OK, value)
    assert spread.counts()["ok"] == [2, 2, 1]


@pytest.mark.parametrize("rate", [1, 10, 40])
def test_the_rate_is_that_of_the_last_seconds(rate):
    pace = Pace()
    assert pace.rate(100.0) == 0
    for number in range(20 * rate):
        pace.add(100 + number / rate)
    assert pace.rate(120.0) == rate
    assert pace.rate(200.0) == 0


# ---- what is kept


def test_the_shelf_keeps_the_newest_within_number_and_budget():
    shelf: Shelf[int] = Shelf(3, 100)
    places = [Place("verdict/l/c/", 1, number) for number in range(6)]
    for number, place in enumerate(places[:4]):
        shelf.put(place, number, 10)
    assert (shelf.get(places[0]), list(shelf.newest())) == (None, [3, 2, 1])
    shelf.put(places[4], 4, 90)
    assert list(shelf.newest()) == [4, 3]
    shelf.put(places[5], 5, 1000)
    assert list(shelf.newest()) == [5]
    shelf.put(places[5], 6, 1)
    shelf.put(places[0], 7, 1)
    assert (list(shelf.newest()), len(shelf)) == ([7, 6], 2)


def test_a_verdict_is_found_again_with_its_result():
    state = State()
    state.take(verdict(ng(number=3), 7), 1.0)
    state.take(result(ng(number=3), 2), 1.0)
    kept = state.verdicts.get(Place("verdict/line1/cam1/", 17, 7))
    assert kept is not None
    assert state.result_of(kept).message.sequence == 2
    assert state.defects.get(Place("result/line1/cam1/", 17, 2)) is state.result_of(kept)


# ---- pictures


@pytest.mark.parametrize("mask", ["png", "rle", "raw"])
def test_outlines_surround_the_mask(mask):
    defect = Defect(result(ng(), formats=Formats(mask=mask)))
    filled = np.zeros((48, 64), np.uint8)
    cv2.fillPoly(filled, [np.array(line, np.int32).reshape(-1, 2) for line in defect.outlines], 255)
    assert np.array_equal(filled, ng().mask)


def test_the_largest_regions_are_outlined_first_and_not_too_many():
    mask = np.zeros((100, 400), np.uint8)
    mask[::4, ::4] = 255
    mask[10:30, 10:90] = 255
    lines = outlines(mask)
    assert len(lines) == MOST_OUTLINES
    assert cv2.boundingRect(np.array(lines[0], np.int32).reshape(-1, 2)) == (10, 10, 80, 20)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("repaired", ["patch", "png", "raw", "none"])
@pytest.mark.parametrize("source", ["none", "png", "raw"])
def test_browsers_can_lay_the_pieces_over_the_frame(channels, repaired, source):
    inspection = ng(size=(48, 64, channels))
    defect = Defect(result(inspection, formats=Formats(repaired=repaired, source=source))).make()
    assert defect.is_ready
    shown = 3 if channels >= 3 else 1
    whole = codecs.overlay(inspection.frame.image, inspection.patches)[:, :, :shown]
    canvas = inspection.frame.image[:, :, :shown].copy()
    for piece in defect.pieces:
        x, y, width, height = piece.box
        canvas[y : y + height, x : x + width] = decoded(piece.data, shown)
    assert np.array_equal(canvas, whole if repaired != "none" else inspection.frame.image[:, :, :shown])
    if source == "none":
        assert defect.frame is None
    else:
        assert np.array_equal(decoded(defect.frame, shown), inspection.frame.image[:, :, :shown])


def decoded(data: bytes, channels: int) -> np.ndarray:
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    return image.reshape(*image.shape[:2], -1)[:, :, :channels]


def test_a_damaged_picture_is_not_shown_and_hurts_nothing_else():
    message = result(ng(), formats=Formats(mask="rle", repaired="raw", source="png"))
    damaged = tuple(replace(one, data=b"{" * len(one.data)) if one.name == "mask" else one for one in message.payloads)
    defect = Defect(replace(message, payloads=damaged)).make()
    assert defect.outlines == []
    assert len(defect.pieces) == 1
    assert defect.frame is not None


def test_a_parcel_is_unpacked_as_it_was_packed():
    parcel = Parcel()
    inspection = replace(ng(), patches=(Patch((0, 0, 4, 4), np.zeros((4, 4, 3), np.uint8)), *ng().patches))
    picture = parcel.picture(Defect(result(inspection)), b"base")
    told, parts = unpack(parcel.packed({"picture": picture, "word": "工件"}))
    assert told["word"] == "工件"
    assert parts[told["picture"]["base"]] == b"base"
    assert [(piece["box"], decoded(parts[piece["part"]], 3).shape) for piece in told["picture"]["pieces"]] == [
        ([0, 0, 4, 4], (4, 4, 3)),
        ([8, 8, 32, 32], (32, 32, 3)),
    ]


def test_the_first_update_of_a_connection_says_that_it_is_whole():
    state = State()
    updates = Updates(state)
    assert [unpack(updates._packed(1.0))[0]["whole"] for _ in range(2)] == [True, False]
    assert unpack(Updates(state)._packed(1.0))[0]["whole"]


# ---- who may look


@pytest.mark.parametrize(
    ("host", "known"),
    [
        ("127.0.0.1:9680", True),
        ("[::1]:9680", True),
        ("192.168.7.9", True),
        ("localhost:9680", True),
        ("LOCALHOST.", True),
        ("line-pc:9680", True),
        ("evil.example:9680", False),
        ("127.0.0.1.evil.example", False),
        ("localhost.evil.example", False),
        ("", False),
        (None, False),
        ("[::1", False),
        ("127.0.0.1:port", True),
    ],
)
def test_only_names_of_this_server_are_known(host, known):
    assert Access(None, ["Line-PC"]).knows_host(host) is known


@pytest.mark.parametrize(
    ("origin", "same"),
    [
        ("http://127.0.0.1:9680", True),
        ("https://127.0.0.1:9680", True),
        ("http://127.0.0.1:9681", False),
        ("http://127.0.0.1", False),
        ("http://localhost:9680", False),
        ("http://evil.example", False),
        ("null", False),
        ("file://127.0.0.1:9680", False),
        ("http://[", False),
        (None, False),
    ],
)
def test_only_our_own_page_may_connect(origin, same):
    assert Access(None).is_same_origin("127.0.0.1:9680", origin) is same


def test_the_token_is_asked_for_and_the_cookie_does_not_hold_it():
    token = "correct-horse-battery-staple"
    access = Access(token)
    assert access.is_token(f"Bearer {token}")
    for wrong in (None, "", token, f"Basic {token}", "Bearer ", f"Bearer {token}x", "Bearer \u00e9"):
        assert not access.is_token(wrong)
    cookie = access.cookie()
    assert token not in cookie + repr(access)
    assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= set(cookie.split("; "))
    value = cookie.split(";")[0]
    assert access.may_look(value)
    assert access.may_look(f"other=1; {value}")
    name = value.partition("=")[0]
    for wrong in (None, "", f"{name}=", f"{name}={token}", f"{value}0", "=;;\x00", f"{name}=\u00e9"):
        assert not access.may_look(wrong)
    assert not Access("another-token-of-some-length").may_look(value)
    assert Access(token).may_look(value)  # after a restart
    assert Access(None).may_look(None)


def test_two_views_of_one_machine_have_a_cookie_each():
    one, other = Access("a" * 30), Access("b" * 30)
    kept = dict(access.cookie().split(";")[0].split("=") for access in (one, other))  # as browsers do, for all ports
    cookies = "; ".join("=".join(pair) for pair in kept.items())
    assert one.may_look(cookies)
    assert other.may_look(cookies)


def test_a_token_is_made_once_and_for_its_owner_alone(tmp_path: Path):
    path = tmp_path / "token"
    token = read_token(path)
    assert len(token) >= 22
    assert path.stat().st_mode & 0o777 == 0o600
    assert read_token(path) == token
    path.chmod(0o644)
    with pytest.raises(ConfigError, match="mode 0644") as error:
        read_token(path)
    assert token not in str(error.value)
    with pytest.raises(OutputError, match="cannot be written"):
        read_token(tmp_path / "missing" / "token")
    with pytest.raises(ConfigError, match="cannot be read"):
        read_token(tmp_path)


@pytest.mark.parametrize("content", ["", "short", "two words that are long enough", "x" * 21, "é" * 30, "a\nb" * 20])
def test_a_token_that_is_none_is_refused_without_telling_it(tmp_path: Path, content: str):
    path = tmp_path / "token"
    path.write_text(content)
    path.chmod(0o600)
    with pytest.raises(ConfigError, match="is not one line") as error:
        read_token(path)
    assert not content or content not in str(error.value)


# ---- the page's own files


def test_every_file_of_the_page_is_served_and_nothing_else():
    served = pages.load()
    files = {f"/{path.relative_to(STATIC)}" for path in STATIC.rglob("*") if path.is_file()}
    assert set(served) == {"/", *files}
    assert served["/"].content == (STATIC / "index.html").read_bytes()
    assert all(page.kind for page in served.values())


class _Texts(HTMLParser):
    """What stands in the page by itself, and what it refers to."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.inline: list[str] = []
        self.loaded: list[str] = []
        self._in: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._in.append(tag)
        self.inline += [name for name, _ in attrs if name == "style" or name.startswith("on")]
        self.loaded += [value or "" for name, value in attrs if name in ("src", "href")]
        self.texts += [value or "" for name, value in attrs if name in ("title", "alt", "aria-label", "placeholder")]

    def handle_data(self, data: str) -> None:
        if data.strip() and self._in[-1] != "title":  # which is the program's name until the line's is known
            self.texts.append(data)


def test_the_page_holds_no_words_nothing_inline_and_nothing_from_elsewhere():
    found = _Texts()
    found.feed((STATIC / "index.html").read_text())
    assert found.texts == []
    assert found.inline == []
    assert {link for link in found.loaded if not link.startswith("#")} <= set(pages.load())
    for path in STATIC.rglob("*.*"):
        text = path.read_text().replace("http://www.w3.org/2000/svg", "")
        assert not re.search(r"https?://|@import|url\(", text), path
    for path in STATIC.glob("*.js"):
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(", path.read_text()), path


def test_every_module_is_loaded_ahead():
    page = (STATIC / "index.html").read_text()
    assert {path.name for path in STATIC.glob("*.js")} == set(re.findall(r'"/(\w+\.js)"', page))


LANGUAGES = {path.stem: json.loads(path.read_text()) for path in (STATIC / "lang").glob("*.json")}
SCRIPTS = "".join(path.read_text() for path in [*STATIC.glob("*.js"), STATIC / "index.html"])


def test_both_languages_say_the_same_things():
    assert set(LANGUAGES) == {"en", "zh"}
    one, other = LANGUAGES["en"], LANGUAGES["zh"]
    assert list(one) == list(other) == sorted(one)
    places = re.compile(r"\{(\w+)\}")
    for key, words in one.items():
        assert words
        assert other[key]
        assert sorted(places.findall(words)) == sorted(places.findall(other[key])), key
    latin = {key for key, words in other.items() if words.isascii()}
    assert latin == {"language", "verdict.ok", "verdict.ng"}


def test_what_the_page_says_is_in_the_dictionaries_and_the_other_way_round():
    asked = set(re.findall(r'\bt\(\s*"([\w.]+)"', SCRIPTS)) | set(re.findall(r'data-t(?:-\w+)?="([\w.]+)"', SCRIPTS))
    assert asked <= set(LANGUAGES["en"])
    families = set(re.findall(r"\bt\(`(\w+)\.\$", SCRIPTS)) | set(re.findall(r'\bsaid\("(\w+)"', SCRIPTS))
    families |= {"repaired", "outline", "event", "field"}  # whose name is made as well
    words = set(re.findall(r"\b\w+\b", SCRIPTS))
    for key in LANGUAGES["en"]:
        assert key in asked or key.partition(".")[0] in families or key in words, f"{key} is never said"


def test_there_is_a_word_for_all_that_the_daemon_says():
    families = {"verdict": Verdict, "reason": Reason, "cause": Cause, "state": Presence}
    for name, words in families.items():
        assert family(name) - {"untold"} == set(words)
    assert family("stage") == set(Latency.__dataclass_fields__)
    names = set(events()) - {"daemon"}
    assert family("event") <= names <= family("event") | family("state") | family("cause")


def test_there_is_a_word_for_each_field_of_a_verdict_and_a_result():
    kinds = json.loads((PACKAGE / "message.schema.json").read_text())["$defs"]
    parts = ("every", "judged", "defect", "model", "calibration", "payload")
    assert family("field") == {name for part in parts for name in kinds[part]["properties"]}


def family(name: str) -> set[str]:
    return {key.partition(".")[2] for key in LANGUAGES["en"] if key.startswith(f"{name}.")}


def events() -> Iterator[str]:
    """The events' names that stand in the code: what an event is made of, and what is handed to it with a sentence."""
    makers = ("Event", "announce", "tell", "tell_all", "report", "append")
    for path in (path for path in PACKAGE.rglob("*.py") if path.parent.name not in ("view", "doctor", "training")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call):
                name = getattr(node.func, "attr", getattr(node.func, "id", "")).lstrip("_")
                said = node.args if name in makers else []
            elif isinstance(node, ast.Tuple) and len(node.elts) == 2 and isinstance(node.elts[1], ast.JoinedStr):
                said = node.elts
            else:
                continue
            for one in said[:2]:
                for word in (one.body, one.orelse) if isinstance(one, ast.IfExp) else (one,):
                    if isinstance(word, ast.Constant) and re.fullmatch(r"[a-z_-]{4,}", str(word.value)):
                        yield str(word.value)


# ---- seen by everybody: contrast as WCAG 2 computes it

PALETTE = {
    name: pair
    for name, *pair in re.findall(r"--([\w-]+): light-dark\((#\w{6}), (#\w{6})\)", (STATIC / "style.css").read_text())
}


def luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    light, dark = sorted([luminance(one), luminance(other)], reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("mode", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize(
    ("one", "other", "least"),
    [
        ("text", "back", 7), ("text", "card", 7), ("dim", "card", 4.5), ("dim", "back", 4.5),
        ("ok-sign", "ok", 4.5), ("ng-sign", "ng", 4.5), ("unknown-sign", "unknown", 4.5), ("off-sign", "off", 4.5),
        ("ok", "card", 3), ("ng", "card", 3), ("off", "card", 3), ("focus", "back", 3),
    ],
)  # fmt: skip
def test_colours_stand_out(mode, one, other, least):
    assert contrast(PALETTE[one][mode], PALETTE[other][mode]) >= least
