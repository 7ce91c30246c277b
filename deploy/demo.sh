#!/bin/sh
# Runs the daemon on the simulated line and a subscriber beside it, in one terminal. Called by `make run` with the
# folder that holds the program `inspector`.
set -eu
bin=$1
log=run/daemon.log
mkdir -p run
# In a session of its own, Ctrl-C reaches the subscriber alone, and the daemon is asked to stop below, once.
setsid "$bin/inspector" run deploy/demo.toml 2>"$log" &
daemon=$!
view=
trap 'kill -TERM $view $daemon 2>/dev/null || true; wait $daemon || true; tail -n 1 "$log"' EXIT
trap 'exit 0' INT TERM

# Its own log says so: at the port another daemon may answer.
until grep -q "publishing at" "$log"; do
    kill -0 $daemon 2>/dev/null || { cat "$log" >&2; exit 1; }
    sleep 0.2
done
echo "The daemon runs; its log is $log, its metrics are at http://127.0.0.1:9600/metrics"
setsid "$bin/inspector" view tcp://127.0.0.1:5600 &  # says where the page is
view=$!
echo "Newest defects: $PWD/run/defects (before | mask | repaired). Ctrl-C stops both."
"$bin/inspector" listen tcp://127.0.0.1:5600 --save run/defects
