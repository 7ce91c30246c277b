#!/bin/sh
# Trains the bundles that ship anew, from nothing: remake.sh OUT [DEEPPCB]
#
# OUT      a folder for the pictures, the bundles and their evaluations
# DEEPPCB  DeepPCB in the folders that README.md describes; without it only the simulated line's bundle is made
#
# One to two hours of one core each. A run that was stopped goes on where it was when this is called again.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
out=$1
deeppcb=${2:-}
mkdir -p "$out"

# Defects as they come, and small ones, in one folder.
[ -d "$out/all" ] || inspector simulate "$out/all" --seed 1000 --good 480 --defective 720
[ -d "$out/small" ] || inspector simulate "$out/small" --seed 2000 --good 120 --defective 480 --defect 24
mkdir -p "$out/sim"
cp -R "$out/all/." "$out/small/." "$out/sim/"
{ cat "$out/all/MANIFEST.tsv"; tail -n +2 "$out/small/MANIFEST.tsv"; } > "$out/sim/MANIFEST.tsv"
inspector train "$out/sim" --out "$out/simulated-line" --mode masks --detector closeup --size 240x320 \
    --epochs 50 --repair-epochs 20 --adversarial-epochs 5 --seed 1 --resume \
    --licence "Apache-2.0; holds weights of EfficientNet-Lite0: Apache-2.0, see NOTICE.txt" \
    --description "Machined cover plates of the simulated line (inspector simulate), 640x480 colour."
cp "$here/simulated-line/NOTICE.txt" "$out/simulated-line/"
inspector evaluate "$out/simulated-line" "$out/sim" --card

[ -n "$deeppcb" ] || exit 0
python "$here/draw_board.py" "$out/board"
inspector train "$deeppcb" --out "$out/pcb" --mode masks --detector closeup --size 640x640 \
    --epochs 50 --repair-epochs 110 --seed 1 --resume \
    --golden "$out/board" \
    --licence "Apache-2.0; trained on DeepPCB: MIT, Copyright (c) 2018 tangsanli5201, see NOTICE.txt; holds weights of EfficientNet-Lite0: Apache-2.0, see NOTICE.txt" \
    --description "Bare printed circuit boards, binarised line scan of about 48 pixels a millimetre, 640x640 grey."
cp "$here/pcb/NOTICE.txt" "$out/pcb/"
inspector evaluate "$out/pcb" "$deeppcb" --card
