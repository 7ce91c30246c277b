"""inspector: a daemon that inspects a factory's production line.

Importing the package settles what libraries read from the environment only once, when they are loaded:

- ONNX Runtime's telemetry is off. Since 1.29 it writes files into the home and starts an uploader at the first
  session, and only this variable stops it. A factory daemon phones nobody.
- OpenCV decodes no picture of more than 100 megapixels: a decompression bomb is an error, not the end of the memory.
- OpenCV and its FFmpeg do not write to stderr on their own: they would put URLs, passwords and all, between the
  lines of a structured log. What matters of their errors is in ours. To hear them, set the variables yourself.
"""

import os

os.environ["ORT_DISABLE_TELEMETRY"] = "1"
os.environ.setdefault("OPENCV_IO_MAX_IMAGE_PIXELS", "100000000")
os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")

__version__ = "0.1.0"
