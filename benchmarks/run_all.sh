#!/usr/bin/env bash
# The canvas's benchmarks at full size, one after the other, then the page: at most 28 minutes. A failure or a timeout ends
# one of them, not all. Those of clips and single pictures take longer or want trained models: docs/benchmarks.md lists them.
# Run it on a machine that does nothing else. `bash benchmarks/run_all.sh --quick` only sees whether they work.
set -uo pipefail
cd "$(dirname "$0")/.."

python=${PYTHON:-python}
failed=()
bench() { # NAME SECONDS ARGUMENTS...
    local name=$1 limit=$2
    shift 2
    printf '\n== %s (at most %s s; %s s so far)\n' "$name" "$limit" "$SECONDS"
    timeout --signal=INT --kill-after=20 "$limit" "$python" "benchmarks/$name.py" "$@" || failed+=("$name")
}

bench panorama 300 "$@"
bench workers 120 "$@"
bench window_law 80 "$@"
bench crash 150 "$@"
bench training 90 "$@"
bench export 300 "$@"
bench view 300 "$@"
bench paper_presets 330 "$@"

[[ " $* " == *" --quick "* ]] || "$python" benchmarks/report.py || failed+=(report)
printf '\n%s s in all; failed: %s\n' "$SECONDS" "${failed[*]:-none}"
[[ ${#failed[@]} -eq 0 ]]
