"""What checks look at: the configuration, the machine, and what earlier checks learnt."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from inspector.doctor.finding import Finding
from inspector.doctor.looking import Seen
from inspector.doctor.machine import Machine
from inspector.doctor.prediction import Prediction
from inspector.judging import Judging
from inspector.settings import Settings


@dataclass(frozen=True, slots=True)
class Wish:
    """What was asked for on the command line.

    cameras, benchmark: whether cameras are opened, and the line is tried
    rate: frames a second of cameras whose rate nobody knows;  ng: share of frames with defects;  unit: of systemd
    """

    cameras: bool = True
    benchmark: bool = True
    rate: float | None = None
    ng: float = 0.05
    unit: str = "inspector.service"


@dataclass
class Case:
    """One examination. settings: None where the configuration is no TOML of ours at all; once the models are looked at,
    with those that were chosen in earlier runs

    broken: whether the configuration names what is not right, so that nothing of it is opened
    seen: by camera, what it delivered;  judging: the models, once they are proven
    resident: bytes that this process had with them;  spare: those of a second set, beside the first in an exchange
    prediction: of a trial
    began: wall clock (nanoseconds) minus monotonic clock, at the beginning
    """

    config: Path
    wish: Wish = field(default_factory=Wish)
    machine: Machine = field(default_factory=Machine)
    settings: Settings | None = None
    broken: bool = False
    seen: dict[str, Seen] = field(default_factory=dict)
    judging: Judging | None = None
    resident: int = 0
    spare: int = 0
    prediction: Prediction | None = None
    began: int = field(default_factory=lambda: time.time_ns() - time.monotonic_ns())

    @property
    def line(self) -> Settings:
        """The settings, for checks that need some."""
        if self.settings is None:
            raise ValueError("a check that needs settings was asked without")
        return self.settings

    @property
    def cores(self) -> float:
        """Cores that the line may really use."""
        quota = self.machine.quota()
        return float(self.machine.allowed()) if quota is None else min(quota, self.machine.allowed())


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that is looked at.

    name: a word or two;  looks_at: what at, in a sentence;  warns, fails: when, empty for never;  remedy: what then
    needs: "" for nothing, "settings", or "models" for those that are proven as well
    """

    name: str
    looks_at: str
    warns: str
    fails: str
    remedy: str
    run: Callable[[Case], Iterable[Finding]]
    needs: str = "settings"
