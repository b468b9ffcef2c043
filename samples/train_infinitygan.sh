#!/usr/bin/env bash
# Trains the landscape model that ships with mediagen, growing it from scenes of 32 rows to scenes of 512.
#
#   bash samples/train_infinitygan.sh PICTURES RUNS
#
# PICTURES holds the pictures named in samples/landscapes.txt (credits: mediagen/weights/infinitygan.md). Each stage starts
# from the one before; stop it at any time and say it again. On two CPU cores without AMX it takes about two hours.
set -euo pipefail
pictures=$1 runs=$2
mkdir -p "$runs"
mediagen train infinitygan "$pictures" --out "$runs/32" --preset small-32 --iterations "${STAGE1:-4243}"
mediagen train infinitygan "$pictures" --out "$runs/64" --preset small-64 --iterations "${STAGE2:-3500}" --start-from "$runs/32"
mediagen train infinitygan "$pictures" --out "$runs/128" --preset small-128 --batch 8 --iterations "${STAGE3:-2500}" --start-from "$runs/64"
mediagen train infinitygan "$pictures" --out "$runs/512" --preset small --batch 8 --iterations "${STAGE4:-1500}" --start-from "$runs/128"
python - "$runs/512" "$runs/infinitygan.safetensors" <<'PY'
import sys
from mediagen.checkpoint import repack
repack(sys.argv[1], sys.argv[2])  # half precision: what ships
PY
