"""A source's URL: what is taken from it, and the sentence that each mistake gets."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspector.errors import ConfigError
from inspector.extras import remedy
from inspector.sources import aravis, file, folder, open_source, producers, rtsp, sim
from inspector.sources.rtsp import Address, RtspCamera
from inspector.sources.url import Url


def problems(url: str) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        open_source(url)
    return caught.value.problems


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("video0", "it has no scheme; write for example camera:0"),
        (
            "http://host/",
            "'http' is not a kind of source; a URL starts with one of camera:, file:, folder:, genicam:, ",
        ),
        ("sim://lane", "write sim://line"),
        ("sim:line", "write sim://line"),
        ("sim://line?seed=-1", "seed = '-1' is not allowed; give a whole number from 0 to 4294967295"),
        ("sim://line?seed=1_0", "seed = '1_0' is not allowed; give a whole number"),
        ("sim://line?seed=%C2%B2", "seed = '²' is not allowed; give a whole number"),
        ("sim://line?width=95", "width = '95' is not allowed; give a whole number from 96 to 8192"),
        ("sim://line?defects=1.1", "defects = '1.1' is not allowed; give a number from 0 to 1"),
        ("sim://line?channels=2", "channels = '2' is not allowed; give '1' or '3'"),
        ("sim://line?defect=500", "a defect of 500 pixels cannot be drawn on the simulated line's plate of 640x480"),
        ("sim://line?columns=3&defect=75", "plate of 214x480; give 8 to 25"),
        ("sim://line?columns=14", "columns = 14 leaves a plate of the simulated line 46 of 640 pixels"),
        ("sim://line?rows=2&width=8192", "give more columns or a smaller width"),
        ("sim://line?rat=5", "'rat' is not an option of sim:; did you mean 'rate'?"),
        (
            "sim://line?zoom=5",
            "seed, width, height, columns, rows, defect, defects, channels, light, rate, first, frames, strip",
        ),
        ("sim://line?seed=1&seed=1", "seed is given 2 times; give it once"),
        ("sim://line?=5", "'' is not an option of sim:"),
        ("file:", "the path is missing; write file:PATH"),
        ("file:clip%00.mp4", "no path or address has a NUL (%00) in it; take it out"),
        ("folder:pictures%00", "no path or address has a NUL (%00) in it"),
        ("rtsp://host/live?credentials=/a%00b", "no path or address has a NUL (%00) in it"),
        ("file:///no/such/clip.mp4", "'/no/such/clip.mp4' is not a file"),
        ("file://clip.mp4", "write file:relative/path or file:///absolute/path"),
        ("file:clip.mp4?loop=yes", "loop = 'yes' is not allowed; give '0' or '1'"),
        ("file:clip.mp4?rate=0", "give a number from 0.001 to 10000 or 'native' or 'max'"),
        ("folder:/no/such/folder", "'/no/such/folder' is not a folder"),
        ("folder:pictures?rate=native", "rate = 'native' is not allowed"),
        ("camera:", "write camera:0 (its index) or camera:/dev/video0 (its device)"),
        ("camera:front", "write camera:0 (its index) or camera:/dev/video0 (its device)"),
        ("camera:0?width=0", "width = '0' is not allowed"),
        ("camera:0?fourcc=MJPEG", "fourcc = 'MJPEG' is not allowed; give 4 printable characters"),
        ("genicam:40012345", "write genicam://SERIAL, the camera's serial number or name"),
        ("genicam://a/b", "write genicam://SERIAL, the camera's serial number or name"),
        ("genicam://7?timeout=0", "timeout = '0' is not allowed; give a number from 0.1 to 600"),
        ("genicam://7?buffers=0&Width=3", "buffers = '0' is not allowed; give a whole number from 1 to 1000"),
        ("genicam://7?width=640", "'width' is not an option; the camera's own settings begin with a capital letter"),
        ("gige:192.0.2.20", "write gige://NAME, the camera's IP address or serial number"),
        ("gige://", "write gige://NAME, the camera's IP address or serial number"),
        ("gige://192.0.2.20?timeout=soon", "timeout = 'soon' is not allowed; give a number from 0.1 to 600"),
        ("gige://192.0.2.20?exposure=3", "'exposure' is not an option; the camera's own settings begin with"),
        ("rtsp:///stream", "the host is missing; write rtsp://host/path"),
        ("rtsp://user:s3cret@/stream", "the host is missing; write rtsp://host/path"),
        ("rtsp:host/stream", "the host is missing; write rtsp://host/path"),
        ("rtsp://host:99999/", "no such host or port can be; write HOST or HOST:PORT, a port from 1 to 65535"),
        ("rtsp://host:0/", "no such host or port can be"),
        ("rtsp://host:654321/", "no such host or port can be"),
        ("rtsp://host:/", "no such host or port can be"),
        ("rtsp://host:live/", "no such host or port can be"),
        ("rtsp://fe80::1/live", "a port from 1 to 65535, IPv6 in brackets, and / and ? in a password as %2F and %3F"),
        ("rtsp://host/?transport=http", "transport = 'http' is not allowed; give 'tcp' or 'udp'"),
        ("rtsps://host/?open_timeout=0", "open_timeout = '0' is not allowed; give a number from 0.1 to 600"),
    ],
)
def test_a_mistake_gets_one_sentence(url: str, expected: str) -> None:
    (problem,) = problems(url)
    assert expected in problem
    assert problem.startswith(url.replace("s3cret", "***"))
    assert "\n" not in problem


@pytest.mark.parametrize("password", ["s3/cret", "s3?cret"])
def test_a_password_that_hides_the_host_is_refused_and_not_shown(password: str) -> None:
    (problem,) = problems(f"rtsp://user:{password}@host/live")
    assert "no such host or port can be" in problem
    assert not any(piece in problem for piece in ("s3", "cret"))


def test_every_mistake_is_named() -> None:
    found = problems("sim://line?seed=x&width=1&colour=red")
    assert [word in problem for word, problem in zip(("seed", "width", "colour"), found, strict=True)] == [True] * 3


@pytest.mark.parametrize("scheme", ["SIM", "Sim"])
def test_the_scheme_is_read_in_any_case(scheme: str) -> None:
    assert isinstance(open_source(f"{scheme}://line"), sim.Simulation)


@pytest.mark.parametrize(
    "form", ["{scheme}:{name}", "{scheme}:{path}", "{scheme}://{path}", "{scheme}:{escaped}?loop=1"]
)
@pytest.mark.parametrize(("scheme", "kind"), [("file", file.VideoFile), ("folder", folder.Folder)])
def test_a_path_may_be_relative_absolute_or_escaped(
    form: str, scheme: str, kind: type, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "a b#c"
    if scheme == "file":
        path.touch()
    else:
        path.mkdir()
    url = form.format(scheme=scheme, name=path.name, path=path, escaped="a%20b%23c")
    assert isinstance(open_source(url), kind)


def test_our_options_stay_here_and_the_cameras_go_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[tuple[Any, ...]] = []
    monkeypatch.setattr(rtsp, "RtspCamera", lambda *given: made.append(given))
    rtsp.from_url(Url("rtsp://u:p%40w@host:5554/live?channel=1&transport=udp&name=a%26b&open_timeout=3&flag"))
    rtsp.from_url(Url("rtsps://[::1]?read_timeout=0.5&stamps=arrival"))
    shown = "rtsp://u:***@host:5554/live?channel=1&transport=udp&name=a%26b&open_timeout=3&flag"
    first = Address("rtsp", "host", 5554, "u:p%40w@host:5554/live?channel=1&name=a%26b&flag", "", shown)
    second = Address("rtsps", "::1", 322, "[::1]", "", "rtsps://[::1]?read_timeout=0.5&stamps=arrival")
    assert made == [(first, "udp", 3.0, 2.0, True), (second, "tcp", 2.0, 0.5, False)]
    assert first.whole() == "rtsp://u:p%40w@host:5554/live?channel=1&name=a%26b&flag"
    assert second.whole() == "rtsps://[::1]"


def login_file(folder: Path, content: str = "front:p@ss/w:rd%\n", mode: int = 0o600) -> Path:
    path = folder / "front camera.login"
    path.write_text(content)
    path.chmod(mode)
    return path


@pytest.mark.parametrize("before", ["", "credential:"])
def test_user_and_password_come_from_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: str) -> None:
    made: list[tuple[Any, ...]] = []
    monkeypatch.setattr(rtsp, "RtspCamera", lambda *given: made.append(given))
    path = login_file(tmp_path, mode=0o440 if before else 0o600)
    rtsp.from_url(Url(f"rtsp://host/live?credentials={before}{quote(str(path))}&channel=1"))
    address = made[0][0]
    assert address.whole() == "rtsp://front:p%40ss%2Fw%3Ard%25@host/live?channel=1"
    assert "p@ss" not in str(made)
    assert "%40" not in str(made)
    login_file(tmp_path, "front:changed")
    assert address.whole() == "rtsp://front:changed@host/live?channel=1"


@pytest.mark.parametrize(
    ("content", "mode", "expected"),
    [
        ("front:s3cret", 0o640, "has mode 0640, so that others can read it; chmod 600"),
        ("s3cret", 0o600, "is not one line of user:password; write that into it"),
        ("front:", 0o600, "is not one line of user:password"),
        (":s3cret", 0o600, "is not one line of user:password"),
        ("front:s3cret\nand more", 0o600, "is not one line of user:password"),
        ("front:" + "s3cret" * 200, 0o600, "is not one line of user:password"),
    ],
)
def test_a_file_that_will_not_do_is_refused_unseen(tmp_path: Path, content: str, mode: int, expected: str) -> None:
    (problem,) = problems(f"rtsp://host/live?credentials={quote(str(login_file(tmp_path, content, mode)))}")
    assert expected in problem
    assert "s3cret" not in problem


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("credentials=/no/such/file", "credentials /no/such/file cannot be read (No such file or directory); write"),
        ("credentials=/dev", "credentials /dev "),
        ("credentials=credential:front", "no credential has such a name; credential:NAME is the file"),
        ("stamps=mine", "stamps = 'mine' is not allowed; give 'stream' or 'arrival'"),
    ],
)
def test_a_mistake_of_a_network_camera_gets_one_sentence(options: str, expected: str) -> None:
    (problem,) = problems(f"rtsp://host/live?{options}")
    assert expected in problem


def test_a_password_has_one_place(tmp_path: Path) -> None:
    (problem,) = problems(f"rtsp://front:s3cret@host/live?credentials={quote(str(login_file(tmp_path)))}")
    assert "take them out of the URL" in problem
    assert "s3cret" not in problem


def test_a_network_camera_is_live() -> None:
    source = open_source("rtsp://host/path")
    assert isinstance(source, RtspCamera)
    assert source.live


PASSWORDS = st.text(st.characters(codec="ascii", exclude_categories=("Cc", "Zs"), exclude_characters="?"), min_size=1)


@given(
    PASSWORDS, st.sampled_from(["rtsp://", "rtsps://", "rtsp:/", "rtsp:", "RTSP//", "file://", "sim://", "other://"])
)
def test_no_password_is_shown(password: str, start: str) -> None:
    secret = f"<{password}>"
    url = f"{start}user:{secret}@/path?transport=wrong"
    assert not any(secret in problem for problem in problems(url))
    assert secret not in str(Url(url))


@pytest.mark.parametrize(
    ("url", "module", "remedy"),
    [
        ("genicam://7?producer=/x.cti", "harvesters.core", f"; {remedy('genicam')}"),
        ("gige://192.0.2.20", "gi", f"; apt-get install gir1.2-aravis-0.8, and {remedy('gige')}"),
    ],
)
def test_a_library_that_is_missing_is_named_with_its_extra(
    url: str, module: str, remedy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    producers.harvesters.cache_clear()
    aravis.library.cache_clear()
    monkeypatch.setitem(sys.modules, module, None)  # as if it were not installed
    (problem,) = problems(url)
    assert problem.startswith(f"{url}: ")
    assert problem.endswith(remedy)


def test_no_library_is_loaded_for_another_kind_of_source() -> None:
    script = "import sys; from inspector.sources import open_source; open_source('sim://line'); print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    assert not {"harvesters", "genicam", "gi"} & set(run.stdout.split())
