"""The daemon beside the limit of the machine and a plain script: `python -m benchmarks --help`."""

import os

# Before anything imports onnxruntime: what it sends home would be measured with the rest.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
