#!/usr/bin/env bash
# Trains the lava lamps that ship with mediagen: MoCoGAN on clips that samples/lava.py makes, so there is nobody to credit.
#
#   bash samples/train_lava.sh RUNS
#
# Each stage starts from the one before; stop it at any time and say it again. The stages are those the shipped weights went
# through: more single frames for the image critic made the colours, every second frame made it move, and clips of up to
# 128 frames, of which the critic sees any 16, keep it moving after the first ones. A blur after each deconvolution, which has no
# parameters, took away the checkerboard that was left, and made the largest difference of all.
set -euo pipefail
runs=$1
mkdir -p "$runs"
[ -d "$runs/lava" ] || python "$(dirname "$0")/lava.py" "$runs/lava" --videos 3000 --size 64 --frames 32
stage() { # NAME ITERATIONS START [SETTINGS...]
    local name=$1 iterations=$2 start=$3
    shift 3
    mediagen train mocogan "$runs/lava" --out "$runs/$name" --preset small --batch 4 --iterations "$iterations" \
        ${start:+--start-from "$runs/$start"} --set instance_noise=0.1 "$@"
}
stage 1 3096 "" --set stride=1 --set ema_half_life=2000
stage 2 2437 1 --set stride=1 --set images=10 --set ema_half_life=1000
stage 3 1756 2 --set stride=2 --set images=8 --set ema_half_life=1000 --set video_fps=16
stage 4 978 3 --set stride=2 --set images=8 --set ema_half_life=1000 --set video_fps=16 --set 'lengths=[16,32,64,128]'
stage 5 4092 4 --set stride=2 --set images=8 --set ema_half_life=1000 --set video_fps=16 --set 'lengths=[16,32,64,128]' \
    --set upsample=blur
python -c 'import sys; from mediagen.checkpoint import repack; repack(*sys.argv[1:])' "$runs/5" "$runs/lava.safetensors"
