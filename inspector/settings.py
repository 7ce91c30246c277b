"""The configuration: a TOML file, and `INSPECTOR_` environment variables over it.

Nothing else in the package reads either. What is loaded is frozen; docs/config.md is generated from the descriptions
below. Settings opens nothing itself: whoever wants cameras and models looked at hands in probes.
"""

from __future__ import annotations

import hashlib
import json
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias
from urllib.parse import quote, unquote

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, ValidationInfo
from pydantic_core import PydanticCustomError
from pydantic_settings import BaseSettings, EnvSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

from inspector import address
from inspector.condition.checks import CHECKS
from inspector.condition.presence import SHORTEST_SILENCE
from inspector.errors import ConfigError
from inspector.mistakes import Probe, duplicates, label, misplaced, probed, sentence
from inspector.redact import redact
from inspector.shifts import Shifts
from inspector.values import CREDENTIAL, HIDDEN, Z85_KEY, CameraName, Device, Endpoint, Host, Name, SecretKey, Sources

Table: TypeAlias = dict[str, Any]

ENVIRONMENT = "INSPECTOR_"

_OPEN_TO_OTHERS: Mapping[str, tuple[str, ...]] = {
    "publish": ("endpoint", "catchup"),
    "trigger": ("endpoint",),
    "security": (),
}
"""By table, the addresses that other machines may reach; `security` says how."""

_LOGIN = re.compile(r"(?i)(^rtsps?:[^?]*\?(?:.*&)?credentials=)([^&]+)")
"""The file of user and password that a camera's URL names."""


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


def _some(cameras: tuple[Any, ...]) -> tuple[Any, ...]:
    # Not min_length: pydantic would report that as well where a camera is wrong.
    if not cameras:
        raise ValueError("add a [[camera]] table for each camera")
    return cameras


def _checks(names: tuple[str, ...]) -> tuple[str, ...]:
    for name in names:
        if name not in CHECKS:
            raise ValueError(f"{name!r} is no check; the checks are {', '.join(CHECKS)}")
    return names


def _several(cameras: tuple[str, ...]) -> tuple[str, ...]:
    if not cameras or len(set(cameras)) < len(cameras):
        raise ValueError("name each camera that sees the part, once")
    return cameras


def _shifts(starts: tuple[str, ...]) -> tuple[str, ...]:
    Shifts(starts)
    return starts


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False)


class Workers(_Part):
    """What runs the models."""

    device: Device = "auto"
    """Where the models run: `cpu`, `cuda:N`, `tensorrt:N`, `openvino:cpu`, `openvino:gpu`, `openvino:npu`, or `auto`
    for the best that works here. Any but `auto` refuses to start where it would really run elsewhere."""
    precision: Literal["fp32", "bf16", "fp16", "int8", "auto"] = "fp32"
    """What detectors compute with: `fp32` anywhere, as trained; `bf16` on `openvino:cpu`; `int8` on CPUs, with bundles
    that have it; `fp16` on GPUs; or `auto` for the fastest in which each bundle proves itself here. Any but `auto`
    refuses to start where that is not what would really run."""
    cache: Path | None = None
    """Folder where TensorRT keeps the engines that it built, relative to the configuration file. Without it, they are
    built anew at each start, which takes minutes."""
    count: Annotated[int, Field(ge=0, le=256)] = 0
    """Workers, each with a session of its own. 0: one a core on a CPU, one on a GPU."""
    max_batch: Annotated[int, Field(ge=0, le=1024)] = 0
    """Most frames in one batch. 0: 1 on a CPU, where batches do not pay, 16 on a GPU."""
    max_wait: Annotated[float, Field(ge=0, le=10)] = 0.005
    """Seconds that a worker lingers for a batch to fill once it has a first frame; less where a frame would be late."""


def _repeated(overlap: int, info: ValidationInfo) -> int:
    rows, size = info.data.get("scan_rows"), info.data.get("size")
    if rows is not None and size is not None and size[1] != rows:
        raise ValueError(f"scan_rows = {rows} makes frames of so many rows, and size = {list(size)}; mend either")
    if rows is not None and overlap > rows // 2:
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


class Camera(_Part):
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
    scan_rows: Annotated[int | None, Field(ge=16, le=16_384)] = None
    """For a line-scan camera, whose source gives strips of a few rows: they are gathered into frames of so many."""
    scan_overlap: Annotated[int, Field(ge=0, le=8192), AfterValidator(_repeated), Field(validate_default=True)] = 64
    """Rows at the end of a frame of `scan_rows` that the next one repeats: a defect of up to so many rows is whole in
    one of them, which alone reports it. At most half of `scan_rows`."""
    threshold: Annotated[float | None, Field(gt=0, lt=1)] = None
    """Probability above which a pixel is defective. Without it, the bundle's own."""
    min_area: Annotated[int | None, Field(ge=1, le=67_108_864)] = None
    """Smallest defect, in pixels of the model's input. Without it, the bundle's own."""
    calibration: Annotated[Path | None, AfterValidator(_alone)] = None
    """A file of `inspector calibrate`, relative to the configuration file: threshold and min_area with a guarantee. It
    must be of this bundle. Scores are then told so that 0.5 is the threshold."""
    deadline: Annotated[float, Field(ge=0.001, le=3600)] = 1.0
    """Seconds from capture within which a live camera's frame gets its verdict; past it, that is `unknown`. Frames of
    files and folders have no deadline: no part passes by."""
    queue: Annotated[int, Field(ge=1, le=1000)] = 4
    """Frames that may wait for a worker. A live camera then pushes out its oldest (`unknown`), a file waits."""
    repair: bool = True
    """Whether defects are repaired, if the bundle can."""
    isolate: bool = False
    """Whether its source runs in a process of its own, which is killed and started anew when it hangs or crashes: for
    cameras whose driver may. It costs two copies of each picture. Linux only."""
    hangs_after: Annotated[float, Field(ge=1, le=86_400)] = 30.0
    """Seconds without a picture after which an isolated camera's process is taken to hang. Longer than its device takes
    to open, and than the longest pause between two parts."""
    max_rate: Annotated[float | None, Field(gt=0, le=100_000)] = None
    """Frames a second of a live camera that are judged, so that one that floods takes nothing from the others; those
    beyond it are `unknown: overload` at once. Without it, as many as there is time for."""
    health: Annotated[tuple[str, ...], AfterValidator(_checks)] = tuple(cause.value for cause in CHECKS)
    """Which checks of its pictures make a verdict `unknown: camera`; the others are only measured. Without a
    calibration that has learnt them, only `black`, `saturated` and, of a live camera, `frozen` can fail."""
    silence: Annotated[float, Field(ge=0.02, le=86_400)] = SHORTEST_SILENCE
    """Seconds without a frame before a live camera counts as stalled, at the least; where its own pace is slow, 8 of
    its usual periods. For a camera that waits for parts: longer than the longest pause between them."""
    trigger_window: Annotated[float | None, Field(gt=0, le=3600)] = None
    """Seconds in which the frame of a trigger is captured; the camera is then triggered: its parts' ids are those of
    the triggers (docs/parts.md). Keep it below the time between two parts."""
    trigger_delay: Annotated[float, Field(ge=-10, le=3600)] = 0.0
    """Seconds from a trigger until its window opens, as where the part has a way to go; below 0 where triggers are told
    late."""


class Station(_Part):
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


class Trigger(_Part):
    """Where triggers come in: who fires the cameras says here which part is there. docs/parts.md tells how."""

    endpoint: Endpoint | None = None
    """ZeroMQ address that is bound for them: `tcp://HOST:PORT` or `ipc://PATH`."""


class Publish(_Part):
    """What subscribers get, and where."""

    allow_plaintext: bool = False
    """Whether `endpoint` may be reached from other machines though nothing is encrypted, as `[security]` is not set."""
    endpoint: Endpoint = "tcp://127.0.0.1:5600"
    """ZeroMQ address that the publisher binds: `tcp://HOST:PORT` (port * for any free one) or `ipc://PATH`."""
    catchup: Endpoint | None = None
    """ZeroMQ address where subscribers ask for what they missed: `tcp://HOST:PORT` or `ipc://PATH`. It needs a journal,
    which it answers from. Without it what a subscriber misses is lost to it."""
    buffer_mb: Annotated[int, Field(ge=1, le=65_536)] = 64
    """Megabytes that may wait for one slow subscriber before its messages are dropped."""
    mask: Literal["png", "rle", "raw"] = "png"
    """Codec of defect masks."""
    repaired: Literal["patch", "jpeg", "png", "raw", "none"] = "patch"
    """Codec of repaired frames: `patch` is the repaired pieces alone, lossless, to be laid over the frame; `none`
    leaves them out."""
    source: Literal["none", "jpeg", "png", "raw"] = "none"
    """Codec of the source frame in a result's message; `none` leaves it out."""
    jpeg_quality: Annotated[int, Field(ge=1, le=100)] = 90
    """Quality wherever the codec is `jpeg`."""


def _both(subscribers: Path | None, info: ValidationInfo) -> Path | None:
    if "secret_key" in info.data and (info.data["secret_key"] is None) != (subscribers is None):
        raise ValueError("secret_key and subscribers belong together; give both or neither")
    return subscribers


class Security(_Part):
    """Who may subscribe. With both keys, connections are encrypted and closed to all but those listed (ZeroMQ's CURVE);
    without, whoever can reach the endpoint can read it. docs/security.md has the steps.
    """

    secret_key: SecretKey | None = None
    """The daemon's secret key: a file of mode 600 that `inspector keygen` made, relative to the configuration file, or
    `credential:NAME` for one that systemd lays out (LoadCredential=)."""
    subscribers: Annotated[Path | None, AfterValidator(_both), Field(validate_default=True)] = None
    """The folder of the subscribers' public keys, NAME.pub each, relative to the configuration file. It is looked at
    for every connection: put a key in and its owner may come, take it out and they are refused from then on."""


class Journal(_Part):
    """Where every message is kept before it is published, so that none is lost."""

    path: Path | None = None
    """The file, relative to the configuration file; made if it is missing. Without it nothing is kept: what a
    subscriber misses is lost to it."""
    keep_days: Annotated[float, Field(gt=0, le=36_500)] = 30.0
    """Days after which messages are deleted. The ledger's counts stay."""
    max_gb: Annotated[float, Field(ge=0.001, le=100_000)] = 10.0
    """Gigabytes that the file may hold; then the oldest messages are deleted."""
    results: bool = True
    """Whether results are kept too, with the masks and pictures that `[publish]` says; else verdicts and events."""
    sync: Literal["normal", "full"] = "normal"
    """What verdicts survive: `normal` the death of the daemon, and all but the last second or so a power cut; `full` a
    power cut too, but then each waits for the disk."""
    memory_mb: Annotated[int, Field(ge=1, le=65_536)] = 64
    """Megabytes of messages that may wait in memory while the disk is full or fails."""
    shifts: Annotated[tuple[str, ...], AfterValidator(_shifts)] = ("00:00",)
    """When shifts begin, as local times; the ledger counts frames by shift."""


class Http(_Part):
    """Where `/metrics`, `/healthz` and `/readyz` are served."""

    host: Host = "127.0.0.1"
    """Address to listen on; `0.0.0.0` for all of this machine's."""
    port: Annotated[int, Field(ge=0, le=65_535)] = 9600
    """TCP port. 0: any free one, named in the log."""


class Daemon(_Part):
    """The process itself."""

    memory_mb: Annotated[int | None, Field(ge=64, le=16_777_216)] = None
    """Megabytes that it may need at the most, with all queues full. Where this configuration could need more it does
    not start, and says what needs most. Every camera then needs a `size`. Without it, nothing is checked."""
    drain: Annotated[float, Field(ge=0, le=600)] = 10.0
    """Seconds after SIGTERM in which captured frames are still judged; the rest become `unknown`. Keep it below the
    unit's TimeoutStopSec."""
    stall: Annotated[float, Field(ge=1, le=3600)] = 30.0
    """Seconds without progress after which a stage counts as hung: health fails and systemd's watchdog is not fed."""
    log: Literal["auto", "text", "json"] = "auto"
    """Format of the log on stderr; `auto` is text on a terminal and JSON lines elsewhere."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """Least level that is logged."""


class Settings(BaseSettings):
    """The whole configuration. Building one directly reads no environment; `load` does."""

    model_config = SettingsConfigDict(
        frozen=True,
        extra="forbid",
        use_attribute_docstrings=True,
        env_prefix=ENVIRONMENT,
        env_nested_delimiter="__",
    )

    line: Name = "line1"
    """The production line's name, a part of every topic. Letters, digits, - and _."""
    workers: Workers = Workers()
    camera: Annotated[tuple[Camera, ...], AfterValidator(_some)]
    """One `[[camera]]` table for each camera."""
    station: tuple[Station, ...] = ()
    """One `[[station]]` table for each place where several cameras see the same part."""
    trigger: Trigger = Trigger()
    publish: Publish = Publish()
    security: Security = Security()
    journal: Journal = Journal()
    http: Http = Http()
    daemon: Daemon = Daemon()

    @classmethod
    def settings_customise_sources(  # noqa: D102
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return (init_settings,)


def load(path: Path, probes: Mapping[str, Probe]) -> Settings:
    """Read `path`, lay the environment over it and check everything.

    probes: by key of a camera; each is called once for every value of its key, also where other keys are wrong
    Raises ConfigError with one sentence for each mistake.
    """
    given, variables, credentials = _with_environment(_read(path))
    cameras = _anchored(given, path.absolute().parent, credentials)
    settings, mistakes = None, []
    try:
        settings = Settings(**given)
    except ValidationError as error:
        mistakes = error.errors()
    problems = [sentence(Settings, given, mistake, variables) for mistake in mistakes]
    problems += duplicates(cameras, "camera")
    problems += misplaced(given.get("station"), cameras) + _untriggered(given, cameras)
    problems += _exposed(given)
    wrong = {mistake["loc"] for mistake in mistakes}
    for key, probe in probes.items():
        problems += probed(cameras, key, probe, skip=wrong)
    if settings is None or problems:
        raise ConfigError(*(f"{path}: {problem}" for problem in problems))
    return settings


def config_sha256(settings: Settings) -> str:
    """The sha256 (hex) over the effective settings, passwords left out; tells two configurations apart."""
    dump = settings.model_dump(mode="json")
    for camera in dump["camera"]:
        camera["source"] = camera["source"] and redact(camera["source"])
        if camera["sources"] is not None:  # in their order, which is that of the channels
            camera["sources"] = [(name, redact(url)) for name, url in camera["sources"].items()]
    return hashlib.sha256(json.dumps(dump, sort_keys=True).encode()).hexdigest()


def _read(path: Path) -> Table:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ConfigError(
            f"{path}: there is no such file; give a configuration such as deploy/inspector.toml"
        ) from error
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}); give a readable TOML file") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: is not UTF-8 (byte {error.start}); save it as UTF-8 text") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: is not TOML: {error}; mend it there") from error


class _Environment(EnvSettingsSource):
    """Leaves a value that should be JSON and is not to the model, which reports it like any other."""

    def decode_complex_value(self, field_name: str, field: Any, value: Any) -> Any:
        try:
            return super().decode_complex_value(field_name, field, value)
        except ValueError:
            return value


def _with_environment(given: Table) -> tuple[Table, dict[tuple[str, ...], str], str | None]:
    """`given` under the environment, which variable each key came from, and systemd's folder of credentials."""
    source = _Environment(Settings)
    prefix = ENVIRONMENT.lower()
    variables = {
        tuple(name.removeprefix(prefix).split("__")): name.upper()
        for name in source.env_vars
        if name.startswith(prefix)
    }
    unknown = {keys[:1]: name for keys, name in variables.items() if keys[0] not in Settings.model_fields}
    given = _overlay(given, source() | {key: {} for (key,) in unknown})
    return given, variables | unknown, source.env_vars.get("credentials_directory")


def _overlay(below: Any, above: Any) -> Any:
    """`above` over `below`, key by key; an item of a list is named by its index, from 0."""
    if isinstance(below, list) and isinstance(above, dict) and all(key.isdigit() for key in above):
        items = {str(index): item for index, item in enumerate(below)}
        return list(_overlay(items, above).values())
    if isinstance(below, dict) and isinstance(above, dict):
        return below | {key: _overlay(below.get(key), value) for key, value in above.items()}
    return above


def _exposed(given: Table) -> list[str]:
    """What would be published in plaintext to other machines without leave."""
    tables = {key: table if isinstance(table := given.get(key), dict) else {} for key in _OPEN_TO_OTHERS}
    if tables["publish"].get("allow_plaintext") is True or tables["security"].get("secret_key") is not None:
        return []
    return [
        f"{table}.{key} = {value!r}: {problem}"
        for table, keys in _OPEN_TO_OTHERS.items()
        for key in keys
        if isinstance(value := tables[table].get(key), str) and (problem := address.exposure(value)) is not None
    ]


def _untriggered(given: Table, cameras: list[Table]) -> list[str]:
    """Triggers for no camera, or cameras that wait for triggers which cannot come."""
    trigger = given.get("trigger")
    has_endpoint = isinstance(trigger, dict) and trigger.get("endpoint") is not None
    triggered = [index for index, camera in enumerate(cameras) if camera.get("trigger_window") is not None]
    if has_endpoint and not triggered:
        return ["trigger.endpoint is there for no camera; give those that are triggered a trigger_window"]
    if triggered and not has_endpoint:
        who = ", ".join(label(index, cameras[index]) for index in triggered)
        return [f"{who}: trigger_window is set, but no trigger can come in; set trigger.endpoint"]
    return []


def _anchored(given: Table, folder: Path, credentials: str | None) -> list[Table]:
    """The camera tables; relative paths are now relative to `folder` and not to wherever the daemon starts."""
    listed = given.get("camera")
    for table, key in (
        ("workers", "cache"),
        ("journal", "path"),
        ("security", "subscribers"),
        ("security", "secret_key"),
    ):
        if isinstance(part := given.get(table), dict) and isinstance(value := part.get(key), str):
            is_key = key == "secret_key" and Z85_KEY.fullmatch(value) and not (folder / value).exists()
            part[key] = HIDDEN if is_key else _placed(value, folder, credentials)
    cameras = [camera if isinstance(camera, dict) else {} for camera in listed] if isinstance(listed, list) else []
    for camera in cameras:
        for key in ("bundle", "reference", "calibration", "ignore"):
            if isinstance(path := camera.get(key), str):
                camera[key] = str(folder / path)
        if isinstance(source := camera.get("source"), str):
            camera["source"] = _placed_url(source, folder, credentials)
        if isinstance(sources := camera.get("sources"), dict):
            camera["sources"] = {
                name: _placed_url(url, folder, credentials) if isinstance(url, str) else url
                for name, url in sources.items()
            }
    return cameras


def _placed_url(source: str, folder: Path, credentials: str | None) -> str:
    """A source's URL, whose paths are relative to `folder`."""
    base = quote(str(folder))
    source = re.sub(r"(?i)^(file|folder):(?=[^/?])", lambda scheme: f"{scheme[0]}{base}/", source)
    return _LOGIN.sub(lambda key: f"{key[1]}{quote(_placed(unquote(key[2]), folder, credentials))}", source)


def _placed(value: str, folder: Path, credentials: str | None) -> str:
    """A path, relative to `folder`; of `credential:NAME` the path is where systemd laid it, if it did."""
    name = value.removeprefix(CREDENTIAL)
    if name == value:
        return str(folder / value)
    if credentials is None or "/" in name or name in ("", ".", ".."):
        return f"{CREDENTIAL}{name.lstrip('/')}"  # which is refused, as no path
    return f"{CREDENTIAL}{Path(credentials, name)}"
