"""A live camera for RTSP over UDP, GStreamer's own server, which rtsp-server is not: `python3 udp_camera.py PORT`.

It is run by the system's Python, whose packages of Debian it needs: python3-gi, gir1.2-gst-rtsp-server-1.0,
gstreamer1.0-plugins-base and -good.
"""

import sys

import gi  # type: ignore[import-not-found,unused-ignore]

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # type: ignore[import-not-found,unused-ignore]  # noqa: E402

PIPELINE = (
    "( videotestsrc is-live=1 pattern=smpte75 horizontal-speed=8"
    " ! video/x-raw,width=320,height=240,framerate=25/1"
    " ! vp8enc deadline=1 keyframe-max-dist=25 ! rtpvp8pay name=pay0 )"
)


def main() -> None:
    """Serve until it is killed."""
    Gst.init(None)
    factory = GstRtspServer.RTSPMediaFactory()
    factory.set_shared(True)
    factory.set_launch(PIPELINE)
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service(sys.argv[1])
    server.get_mount_points().add_factory("/cam", factory)
    server.attach(None)
    GLib.MainLoop().run()


if __name__ == "__main__":
    main()
