#!/usr/bin/env bash
# Prove the wheel: installed in an empty environment, used from an empty folder, without torch, with and without a broker.
# Usage: tools/check_wheel.sh PYTHON
set -euo pipefail
root="$(cd "$(dirname "$0")/.." && pwd)"
python="${1:-python3}"
cd "$root"
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT

"$python" tools/step.py "make an empty environment" "$python" -m venv "$work/venv"
"$python" tools/step.py "build the wheel" "$work/venv/bin/python" -m pip wheel --quiet --no-deps --wheel-dir "$work/dist" .
"$python" tools/step.py "install the wheel" "$work/venv/bin/python" -m pip install --quiet "$work"/dist/edgesnn-*.whl
mkdir "$work/empty"
cd "$work/empty"
edgesnn="$work/venv/bin/edgesnn"
unset PYTHONPATH

say() { printf '%s\n' "$*"; }
if "$work/venv/bin/python" -c 'import torch' 2>/dev/null; then
    say "wheel: torch is installed here, so this proves nothing"
    exit 1
fi
"$edgesnn" --version
"$edgesnn" doctor >"$work/doctor.txt" || { cat "$work/doctor.txt"; exit 1; }
"$edgesnn" doctor --json >"$work/doctor.json"
"$work/venv/bin/python" -m json.tool "$work/doctor.json" >/dev/null

mosquitto="$(sh "$root/tools/get_mosquitto.sh")"
if [ -n "$mosquitto" ]; then
    EDGESNN_MOSQUITTO="$mosquitto" "$edgesnn" demo >"$work/with.txt" </dev/null
    grep -q 'over MQTT' "$work/with.txt" || { say "wheel: the demo did not publish"; cat "$work/with.txt"; exit 1; }
    say "wheel: demo with mosquitto, $(wc -l <"$work/with.txt") lines"
fi
EDGESNN_MOSQUITTO= "$edgesnn" demo >"$work/without.txt" </dev/null
grep -q 'without publishing' "$work/without.txt" || { say "wheel: no word about publishing"; cat "$work/without.txt"; exit 1; }
say "wheel: demo without a broker, $(wc -l <"$work/without.txt") lines"
[ -z "$(ls -A "$work/empty")" ] || { say "wheel: the commands left files in the current folder"; exit 1; }
say "wheel: ok ($(du -h "$work"/dist/edgesnn-*.whl | cut -f1), no torch)"
