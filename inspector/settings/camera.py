"""The tables of cameras, and of the parts that they see."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import AfterValidator, Field, ValidationInfo
from pydantic_core import PydanticCustomError

from inspector.condition.checks import CHECKS
from inspector.condition.presence import SHORTEST_SILENCE
from inspector.settings.part import Part
from inspector.types import MAX_AREA
from inspector.values import CameraName, Endpoint, Name, Sources


def _alone(calibration: Path | None, info: ValidationInfo) -> Path | None:
    if calibration is not None and any(info.data.get(key) is not None for key in ("threshold", "min_area")):
        raise ValueError("threshold and min_area come from the calibration; take them out of this table")
    return calibration


def _one_or_more(sources: dict[str, str] | None, info: ValidationInfo) -> dict[str, str] | None:
    if "source" in info.data and (info.data["source"] is None) == (sources is None):
        if sources is None:
            raise PydanticCustomError("missing", "neither", {"key": "source"})
        raise ValueError("source is there too; keep source for one camera, or sources for the modalities of a part")
    return sources


def _checks(names: tuple[str, ...]) -> tuple[str, ...]:
    for name in names:
        if name not in CHECKS:
            raise ValueError(f"{name!r} is no check; the checks are {', '.join(CHECKS)}")
    return names


def _high(rows: int | None, info: ValidationInfo) -> int | None:
    size = info.data.get("size")
    if rows is not None and size is not None and size[1] != rows:
        raise ValueError(f"it makes frames of so many rows, and size = {list(size)}; mend either")
    return rows


def _repeated(overlap: int | None, info: ValidationInfo) -> int | None:
    rows = info.data.get("scan_rows")
    if rows is not None and overlap is not None and overlap > rows // 2:
        raise ValueError(f"at most half of scan_rows = {rows} may be repeated; use 0 to {rows // 2}")
    return overlap


def _tiled(overlap: int | None, info: ValidationInfo) -> int | None:
    if overlap is not None and info.data.get("fit") == "resize":
        raise ValueError('only tiles overlap; set fit = "tile", or take this key out')
    return overlap


Pixels: TypeAlias = Annotated[int, Field(ge=1, le=65_535)]
Coordinate: TypeAlias = Annotated[int, Field(ge=0, le=65_535)]


def _within(region: tuple[int, int, int, int] | None, info: ValidationInfo) -> tuple[int, int, int, int] | None:
    size = info.data.get("size")
    if region is not None and size is not None and (region[0] + region[2] > size[0] or region[1] + region[3] > size[1]):
        raise ValueError(f"it reaches beyond size = {list(size)}; mend either")
    return region


def _corners(polygons: tuple[Any, ...], info: ValidationInfo) -> tuple[Any, ...]:
    size = info.data.get("size") or (65_535, 65_535)
    for polygon in polygons:
        if len(polygon) < 3:
            raise ValueError(f"{[list(corner) for corner in polygon]} has fewer than 3 corners [x, y]; add some")
        if any(x > size[0] or y > size[1] for x, y in polygon):
            raise ValueError(f"{[list(corner) for corner in polygon]} reaches beyond size = {list(size)}; mend either")
    return polygons


class Camera(Part):
    """One camera; there is one `[[camera]]` table for each."""

    name: CameraName
    """Its name in topics, metrics and logs: letters, digits, - and _. Unique."""
    source: Annotated[str | None, Field(min_length=1, repr=False)] = None
    """Where frames come from, a URL. Paths of `file:` and `folder:`, and of an `rtsp:` camera's credentials, are
    relative to the configuration file."""
    sources: Annotated[Sources, AfterValidator(_one_or_more), Field(repr=False, validate_default=True)] = None
    """Instead of `source`: several, by the modality that each shows, for a bundle of stacked modalities. Their pictures
    of a part become one frame, in this order; which belong together, part ids tell, or else the times of capture. One
    that does not come within half of the deadline makes the part `unknown: camera`."""
    pair_within: Annotated[float | None, Field(gt=0, le=60)] = None
    """Seconds between the captures of one part's pictures, at the most, where `sources` tell no part ids. Without it,
    half of the time from part to part, as it is seen; give it where parts come irregularly."""
    bundle: Path
    """The folder of the model bundle that judges its frames, relative to the configuration file."""
    reference: Path | None = None
    """How its frames should look, for a bundle that compares: a picture, or a folder with one for each position;
    relative to the configuration file."""
    size: tuple[Pixels, Pixels] | None = None
    """Width and height of its frames in pixels, where that is known: what does not fit is then found at the start, the
    memory that they need can be told (`daemon.memory_mb`), and a frame of another size is `unknown`."""
    fit: Literal["resize", "tile"] = "resize"
    """How frames become the model's input: `resize`, or `tile`: cut at their own resolution into overlapping tiles of
    the input's size, for defects that resizing would lose."""
    overlap: Annotated[int | None, Field(ge=0, le=4096), AfterValidator(_tiled)] = None
    """Pixels by which tiles overlap at least, up to half of the input's shorter side. Without it, an eighth of that."""
    region: Annotated[tuple[Coordinate, Coordinate, Pixels, Pixels] | None, AfterValidator(_within)] = None
    """What alone is looked at: x, y, width, height in pixels of the frame. Nothing outside of it is a defect."""
    ignore: Path | None = None
    """A PNG of the frame's size, white where nothing is a defect; relative to the configuration file."""
    ignore_polygons: Annotated[tuple[tuple[tuple[Coordinate, Coordinate], ...], ...], AfterValidator(_corners)] = ()
    """Areas where nothing is a defect, each a list of corners [x, y] in pixels of the frame."""
    scan_rows: Annotated[int | None, Field(ge=16, le=16_384), AfterValidator(_high)] = None
    """For a line-scan camera, whose source gives strips of a few rows: they are gathered into frames of so many."""
    scan_overlap: Annotated[int | None, Field(ge=0, le=8192), AfterValidator(_repeated)] = None
    """Rows at the end of a frame of `scan_rows` that the next one repeats: a defect of up to so many rows is whole in
    one of them, which alone reports it. At most half of `scan_rows`. Without it, 64, or that half if it is less."""
    threshold: Annotated[float | None, Field(gt=0, lt=1)] = None
    """Probability above which a pixel is defective. Without it, the bundle's own."""
    min_area: Annotated[int | None, Field(ge=1, le=MAX_AREA)] = None
    """Smallest defect, in pixels of the model's input. Without it, the bundle's own."""
    calibration: Annotated[Path | None, AfterValidator(_alone)] = None
    """A file of `inspector calibrate`, relative to the configuration file: threshold and min_area with a guarantee. It
    must be of this bundle. Scores are then told so that 0.5 is the threshold."""
    deadline: Annotated[float, Field(ge=0.001, le=3600)] = 1.0
    """Seconds from capture within which a live camera's frame gets its verdict; past it, that is `unknown`, made then
    and received some milliseconds later. Frames of files and folders have no deadline: no part passes by."""
    queue: Annotated[int, Field(ge=1, le=1000)] = 4
    """Frames that may wait for a worker. When it is full, a file waits; of a live camera the new frame is `unknown`,
    or, when half of its time is over, the oldest that waits."""
    repair: bool = True
    """Whether defects are repaired, if the bundle can. A frame whose verdict is due, or that holds a worker for half of
    the shortest `deadline` of the live cameras, is not; those of files and folders have the time that it takes."""
    isolate: bool = False
    """Whether its source runs in a process of its own, which is killed and started anew when it hangs or crashes: for
    cameras whose driver may. It costs two copies of each picture. Linux only."""
    hangs_after: Annotated[float, Field(ge=1, le=86_400)] = 30.0
    """Seconds without a picture after which an isolated camera's process is taken to hang. Longer than its device takes
    to open, and than the longest pause between two parts."""
    max_rate: Annotated[float | None, Field(gt=0, le=100_000)] = None
    """Frames a second of a live camera that are judged, so that one that floods does not keep the workers busy; those
    beyond it are `unknown: overload` at once. While it sends more, other cameras' frames go before its own
    (docs/cameras.md). Without it, as many as the other cameras leave time for."""
    challenges: Path | None = None
    """A folder of known parts, as the camera sees them, in `defective/` and `good/`: they are judged like its frames
    where there is time, and counted nowhere, so that the line proves all day that its detector sees what it must
    (docs/challenges.md). Relative to the configuration file."""
    challenge_every: Annotated[float, Field(ge=1, le=86_400)] = 600.0
    """Seconds in which each of its `challenges` is judged once. A round that is not complete by
    then, since frames left no time, is overdue."""
    challenge_strict: bool = True
    """Whether its `ok` becomes `unknown: model` when a challenge shows that it misses defects, until it finds them
    again. Else that is only told."""
    health: Annotated[tuple[str, ...], AfterValidator(_checks)] = tuple(cause.value for cause in CHECKS)
    """Which checks of its pictures make a verdict `unknown: camera`; the others are only measured. Without a
    calibration that has learnt them, only `black`, `saturated` and, of a live camera, `frozen` can fail."""
    silence: Annotated[float, Field(ge=0.02, le=86_400)] = SHORTEST_SILENCE
    """Seconds without a frame before a live camera counts as stalled, at the least; where its own pace is slow, 8 of
    its usual periods. For a camera that waits for parts: longer than the longest pause between them. Set to more than
    0.15, it also holds before the second frame, when a camera that hangs would else be taken to stream."""
    trigger_window: Annotated[float | None, Field(gt=0, le=3600)] = None
    """Seconds in which the frame of a trigger is captured; the camera is then triggered: its parts' ids are those of
    the triggers (docs/parts.md). Keep it below the time between two parts."""
    trigger_delay: Annotated[float, Field(ge=-10, le=3600)] = 0.0
    """Seconds from a trigger until its window opens, as where the part has a way to go; below 0 where triggers are told
    late. A camera that the daemon fires (`TriggerSource=Software`, docs/cameras.md) is fired then."""


def _several(cameras: tuple[str, ...]) -> tuple[str, ...]:
    if not cameras or len(set(cameras)) < len(cameras):
        raise ValueError("name each camera that sees the part, once")
    return cameras


class Station(Part):
    """A place where several cameras see the same part, whose verdict is then published too; one `[[station]]` table for
    each.
    """

    name: Name
    """Its name in topics and metrics: letters, digits, - and _. Unique."""
    cameras: Annotated[tuple[CameraName, ...], AfterValidator(_several)]
    """The cameras' names, like `["top", "side"]`. Each is at one station at most, and knows its parts' ids: by triggers
    or by its source."""
    deadline: Annotated[float, Field(ge=0.001, le=86_400)] = 5.0
    """Seconds from a part's first capture within which it gets its verdict; past it, a camera that has not spoken is
    `unknown`. A station of files and folders alone has none."""


class Trigger(Part):
    """Where triggers come in: who fires the cameras says here which part is there. docs/parts.md tells how."""

    endpoint: Endpoint | None = None
    """ZeroMQ address that is bound for them: `tcp://HOST:PORT` or `ipc://PATH`."""
