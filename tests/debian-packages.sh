#!/bin/sh
# Debian packages of the real counterparts in `make test-all`. Without root nothing is installed, and the tests that
# need what is missing are skipped, each with its reason.
set -eu
missing=""
need() { command -v "$1" >/dev/null 2>&1 || missing="$missing $2"; }
need promtool prometheus
need systemd-analyze systemd
need systemd-nspawn systemd-container
need shellcheck shellcheck
need ip iproute2
need node nodejs
need npm npm
need chromium chromium
need cc "gcc libc6-dev"
# The virtual machine that has a camera (tests/guest).
need qemu-system-x86_64 qemu-system-x86
need busybox busybox-static
need cpio cpio
/usr/bin/python3 -c 'import gi; gi.require_version("GstRtspServer", "1.0")' 2>/dev/null ||
    missing="$missing python3-gi gir1.2-gst-rtsp-server-1.0 gstreamer1.0-plugins-base gstreamer1.0-plugins-good"
need arv-fake-gv-camera-0.8 "aravis-tools gir1.2-aravis-0.8"
# The service is installed by the system's Python, in a container.
/usr/bin/python3 -c 'import ensurepip' 2>/dev/null || missing="$missing python3-venv"
# What pip builds the tests' PyGObject with, where it has none for this Python.
need pkg-config pkg-config
pkg-config --exists gobject-introspection-1.0 2>/dev/null || missing="$missing libgirepository1.0-dev"
pkg-config --exists cairo 2>/dev/null || missing="$missing libcairo2-dev"
[ -z "$missing" ] && exit 0
if [ "$(id -u)" -ne 0 ]; then
    echo "not installed, and only root could:$missing" >&2
    exit 0
fi
apt-get update -qq
# shellcheck disable=SC2086
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
