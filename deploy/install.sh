#!/bin/sh
# Installs this checkout as a service, beside the version that runs; deploy/README.md has the steps around it.
#
#   sh deploy/install.sh [cpu|gpu|openvino][,EXTRA ...]   install or upgrade, with more of pyproject.toml's extras if
#                                                         named; without a word as before, at first for CPUs
#   sh deploy/install.sh rollback                         go back to the version before; once more goes forward again
#
# Lines that run are restarted. If one is not ready with the new version, the version before is put back.
set -eu
umask 022 # the service has a user of its own, who must be able to read what root makes here
cd "$(dirname "$0")/.."

root=/opt/inspector
config=/etc/inspector
units=/usr/local/lib/systemd/system
python=${PYTHON:-/usr/bin/python3}

say() { echo "install: $*"; }
fail() { echo "install: $*" >&2; exit 1; }

# The version that a link of $root names, or nothing.
named() { basename "$(readlink "$root/$1" || true)"; }

point() { ln -sfn "versions/$2" "$root/.$1" && mv -T "$root/.$1" "$root/$1"; }

# What this checkout is: its version, a checksum over all that is installed of it, the Python that runs it (a newer Debian
# has another, and takes the old one away), and the build of ONNX Runtime.
identity() {
    series=$("$python" -c 'import sys; print("py%d.%d" % sys.version_info[:2])')
    version=$(sed -n 's/^__version__ = "\(.*\)"$/\1/p' inspector/__init__.py)
    # shellcheck disable=SC2046 # one word a file
    sum=$(find inspector models systemd pyproject.toml $(constraints "$1") -type f ! -name '*.pyc' -print0 |
        sort -z | xargs -0 sha256sum | sha256sum | cut -c 1-8)
    echo "$version-$sum-$series-$1"
}

# The files that say which versions of other packages that build is installed with. PyTorch wants CUDA in its own.
constraints() {
    case $1 in
    *train*) echo constraints.txt ;;
    gpu*) echo constraints.txt deploy/constraints-gpu.txt ;;
    *) echo constraints.txt ;;
    esac
}

require() {
    [ "$(id -u)" -eq 0 ] || fail "only root can install a service; run it with sudo"
    [ -d /run/systemd/system ] || fail "systemd does not run here; deploy/README.md says how to use a container"
    [ "$(systemctl --version | awk 'NR == 1 { print $2 }')" -ge 252 ] || fail "systemd is older than 252"
    install -d "$root" "$root/versions"
    exec 9>"$root/.lock"
    flock -n 9 || fail "it runs already, in another terminal; wait for its end"
}

require_python() {
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
        fail "$python is no Python 3.11 or later; name one with PYTHON=/usr/bin/python3.N"
    "$python" -c 'import ensurepip, venv' 2>/dev/null ||
        fail "$python cannot make virtual environments; apt-get install python3-venv"
    case $("$python" -c 'import os, sys; print(os.path.realpath(sys.executable))') in
    /home/* | /root/*) fail "$python is in somebody's home, which the service cannot see; take the system's" ;;
    esac
}

# Of pip an extra that does not exist has a warning only.
require_extras() {
    unknown=$("$python" -c 'import sys, tomllib
known = tomllib.load(open("pyproject.toml", "rb"))["project"]["optional-dependencies"]
print(*(word for word in sys.argv[1].split(",") if word not in known))' "$1")
    [ -z "$unknown" ] || fail "there is no extra '$unknown'; pyproject.toml lists them"
}

build() {
    new=$root/versions/$1 runtime=$2
    rm -rf "$new"
    say "making $new with $("$python" --version), and $runtime from pip"
    "$python" -m venv "$new"
    # From a copy: pip leaves files in the folder that it builds from, and takes in what an older build left there.
    mkdir "$new/source"
    cp -r inspector pyproject.toml constraints.txt README.md LICENSE "$new/source"
    # shellcheck disable=SC2046 # one option a file
    "$new/bin/pip" install --quiet --disable-pip-version-check \
        $(printf -- '--constraint %s ' $(constraints "$runtime")) "$new/source[$runtime,view]" ||
        fail "pip could not install it; nothing has changed"
    rm -r "$new/source"
    cp -r models "$new/models"
    install -m 644 systemd/inspector.service "$new/inspector.service"
    "$new/bin/inspector" --version >/dev/null
    case $runtime in
    openvino*) say "the service needs more for OpenVINO, by systemctl edit: $new/inspector.service has it at its end" ;;
    esac
    chmod -R a+rX "$new" # a copy is as closed as the clone
    echo "$runtime" >"$new/runtime" # the last file: a version without it is not complete
}

# Folders and a first configuration; what is there already is left alone.
lay_out() {
    install -d "$config"
    install -d -m 700 "$config/credentials"
    if [ ! -e "$config/inspector.toml" ]; then
        say "writing $config/inspector.toml: one simulated camera, every key explained"
        sed -e "s#\"../models/#\"$root/current/models/#" -e 's/^#state = /state = /' \
            deploy/inspector.toml >"$config/inspector.toml"
    fi
    ln -sfn "$root/current/bin/inspector" /usr/local/bin/inspector
}

activate() {
    point current "$1"
    for unit in inspector.service inspector@.service; do
        install -D -m 644 "$root/current/inspector.service" "$units/$unit"
    done
    systemctl daemon-reload
}

# The lines that run now. One that systemd is about to start again is among them, as activating.
running() {
    systemctl list-units --plain --no-legend --state=active,activating,reloading \
        'inspector.service' 'inspector@*.service' | cut -d ' ' -f 1
}

# Restart the lines that are named; whether all of them are ready.
restart() {
    ready=true
    for unit in "$@"; do
        say "restarting $unit"
        systemctl restart "$unit" || { say "$unit is not ready; journalctl -u $unit says why"; ready=false; }
    done
    $ready
}

# Let $1 take over from the version that is current.
switch() {
    old=$(named current)
    # Looked up once: a line that the new version fails for good does not run any more, and shall again with the old one.
    lines=$(running)
    activate "$1"
    # shellcheck disable=SC2086 # one word a line
    if ! restart $lines; then
        [ -n "$old" ] || fail "$1 does not run"
        activate "$old"
        # shellcheck disable=SC2086
        restart $lines || fail "$1 does not run here; $old is back, but not ready either"
        fail "$1 does not run here; $old is back"
    fi
    [ -z "$old" ] || point previous "$old"
    say "$1 is current${old:+, $old the one before}"
}

clean() {
    for folder in "$root"/versions/*; do
        case $(basename "$folder") in
        "$(named current)" | "$(named previous)") ;;
        *) say "removing $folder" && rm -rf "$folder" ;;
        esac
    done
}

require
case ${1:-} in
rollback)
    [ -L "$root/previous" ] || fail "there is no version before this one"
    switch "$(named previous)"
    ;;
cpu | gpu | openvino | cpu,* | gpu,* | openvino,* | "")
    runtime=${1:-$(cat "$root/current/runtime" 2>/dev/null || echo cpu)}
    require_python
    wanted=$(identity "$runtime")
    if [ ! -e "$root/versions/$wanted/runtime" ]; then
        require_extras "$runtime"
        build "$wanted" "$runtime"
    fi
    lay_out
    if [ "$wanted" = "$(named current)" ]; then
        say "$wanted is current already"
    else
        switch "$wanted"
        clean
    fi
    ;;
*) fail "$1 is not cpu, gpu, openvino (with more extras behind commas) or rollback" ;;
esac
