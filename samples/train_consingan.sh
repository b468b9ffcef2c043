#!/usr/bin/env bash
# Learns one photograph, and shows what can be done with it.
#
#   bash samples/train_consingan.sh PHOTO RUNS
#
# Some twenty minutes of one CPU core that multiplies in bf16 (AVX512-bf16 or AMX); say it again after an interruption.
set -euo pipefail
photo=$1 runs=$2
mkdir -p "$runs"
# A panorama: 160 rows, endless along x. RUN/previews shows it growing.
mediagen train consingan "$photo" --out "$runs/panorama"
mediagen canvas "$runs/panorama.zarr" --model "$runs/panorama" --width 8000
# The photograph comes alive: the noise of all but the coarsest stage walks.
mediagen video "$runs/panorama.mp4" --model "$runs/panorama" --frames 100
# Variations of any size.
python - "$runs" <<'PY'
import sys
from PIL import Image
from mediagen.checkpoint import load
from mediagen.nn.picture_tasks import vary

model = load(f"{sys.argv[1]}/panorama")
for seed in range(4):
    Image.fromarray(vary(model, width=512, seed=seed)).save(f"{sys.argv[1]}/variation-{seed}.png")
PY
# Small enough to give away: floats as fp16.
python -c 'import sys; from mediagen.checkpoint import repack; repack(*sys.argv[1:])' "$runs/panorama" "$runs/panorama.safetensors"
