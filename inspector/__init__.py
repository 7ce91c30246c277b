"""inspector: a daemon that inspects a factory's production line.

Importing the package switches ONNX Runtime's telemetry off, before anything can import
onnxruntime: since 1.29 it writes files into the home and starts an uploader at the first
session, and only this variable stops it. A factory daemon phones nobody.
"""

import os

os.environ["ORT_DISABLE_TELEMETRY"] = "1"

__version__ = "0.1.0"
