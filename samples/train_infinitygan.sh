#!/usr/bin/env bash
# Trains the landscape model that ships with mediagen, growing it from scenes of 32 rows to scenes of 512.
#
#   bash samples/train_infinitygan.sh PICTURES RUNS
#
# PICTURES holds the pictures named in samples/landscapes.txt (credits: mediagen/weights/infinitygan.md). Each stage starts
# from the one before; stop it at any time and say it again. On two CPU cores without AMX it takes about two hours.
# The stages are those the shipped weights went through: noise was tried first (noise_from=0), painted grain into the skies,
# and was switched off; the critics kept what they had learnt.
set -euo pipefail
pictures=$1 runs=$2
mkdir -p "$runs"
stage() { # NAME PRESET BATCH ITERATIONS START [SETTINGS...]
    local name=$1 preset=$2 batch=$3 iterations=$4 start=$5
    shift 5
    mediagen train infinitygan "$pictures" --out "$runs/$name" --preset "$preset" --batch "$batch" \
        --iterations "$iterations" ${start:+--start-from "$runs/$start"} "$@"
}
stage 32 small-32 16 4243 "" --set noise_from=0
stage 64-noise small-64 16 2209 32 --set noise_from=0
stage 64 small-64 16 1000 64-noise
stage 128 small-128 8 1772 64
stage 512-noise small 8 926 128 --set noise_from=4 --set frozen_blocks=4
stage 512 small 8 3000 512-noise --set frozen_blocks=2
python -c 'import sys; from mediagen.checkpoint import repack; repack(*sys.argv[1:])' "$runs/512/best.safetensors" "$runs/infinitygan.safetensors"
