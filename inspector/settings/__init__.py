"""The configuration: a TOML file, and `INSPECTOR_` environment variables over it.

Nothing else in the package reads either. What is loaded is frozen; docs/config.md is generated from the descriptions
of the keys. Settings opens nothing itself: whoever wants cameras and models looked at hands in probes.
"""

from inspector.settings.camera import Camera, Station, Trigger
from inspector.settings.changed import changed
from inspector.settings.load import load, state
from inspector.settings.operation import Daemon, Http, Journal, Models, Publish, Recorder, Security, Workers
from inspector.settings.whole import ENVIRONMENT, Settings, config_sha256, effective

__all__ = [
    "ENVIRONMENT",
    "Camera",
    "Daemon",
    "Http",
    "Journal",
    "Models",
    "Publish",
    "Recorder",
    "Security",
    "Settings",
    "Station",
    "Trigger",
    "Workers",
    "changed",
    "config_sha256",
    "effective",
    "load",
    "state",
]
