from __future__ import annotations

import pytest

from inspector.errors import ConfigError, SourceError
from inspector.sources import features
from inspector.sources.url import Url


class Setting:
    """One that a camera holds, with the camera's own idea of what it was told."""

    def __init__(self, answers: str | None, fractional: bool = False, refuses: str | None = None) -> None:
        self.answers, self.fractional, self.refuses = answers, fractional, refuses
        self.written: list[str] = []

    def write(self, text: str) -> None:
        self.written.append(text)
        if self.refuses:
            raise SourceError(self.refuses)

    def read(self) -> str | None:
        return self.answers

    def allowed(self) -> str:
        return "1 to 9"


def test_settings_keep_the_urls_order_and_may_come_twice() -> None:
    url = Url("genicam://x?GainSelector=Red&Gain=1&timeout=3&GainSelector=Blue&Gain=2%2E5")
    assert url.number("timeout", 2.0, 0.1, 600) == 3
    assert features.from_url(url) == (
        ("GainSelector", "Red"), ("Gain", "1"), ("GainSelector", "Blue"), ("Gain", "2.5"),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("option", "expected"),
    [
        ("timeot=3", "'timeot' is not an option; the camera's own settings begin with a capital letter"),
        ("Gain", "Gain has no value; write Gain=VALUE"),
        ("Gain=", "Gain has no value; write Gain=VALUE"),
        ("Ga-in=3", "'Ga-in' is not an option"),
    ],
)
def test_what_is_no_setting_is_refused(option: str, expected: str) -> None:
    with pytest.raises(ConfigError, match=expected):
        features.from_url(Url(f"genicam://x?{option}"))


def test_each_is_set_in_turn_and_read_back() -> None:
    settings = {"Gain": Setting("2.002", fractional=True), "Width": Setting("640"), "Start": Setting(None)}
    features.apply("camera 'x'", (("Gain", "2"), ("Width", "640"), ("Start", "1")), settings.__getitem__)
    assert [setting.written for setting in settings.values()] == [["2"], ["640"], ["1"]]


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        (Setting("636"), "camera 'x' was asked for Width=640 and answers 636; it takes 1 to 9"),
        (Setting("640", refuses="it is locked"), "camera 'x' does not take Width=640; it takes 1 to 9 (it is locked)"),
        (Setting("650", fractional=True), "was asked for Width=640 and answers 650"),
    ],
)
def test_what_a_camera_does_not_take_is_named(setting: Setting, expected: str) -> None:
    with pytest.raises(SourceError) as caught:
        features.apply("camera 'x'", (("Width", "640"),), {"Width": setting}.__getitem__)
    assert expected in str(caught.value)


@pytest.mark.parametrize(
    ("text", "found", "fractional", "expected"),
    [
        ("On", "On", False, True),
        ("true", "1", False, True),
        ("Off", "0", False, True),
        ("On", "Off", False, False),
        ("640", "640", False, True),
        ("0x280", "640", False, False),
        ("5000", "4998.7", True, True),
        ("0", "0.1", True, False),
        ("Mono8", "Mono12", False, False),
    ],
)
def test_agreeing(text: str, found: str, fractional: bool, expected: bool) -> None:
    assert features.agrees(text, found, fractional) is expected
