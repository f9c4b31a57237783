#!/bin/sh
# Check what a build needs (C++ compiler, Python >= 3.10 with headers and venv); print the one apt line for what is missing.
# Usage: tools/check_system.sh PYTHON
python=${1:-python3}
missing=""
notes=""

if ! command -v "$python" >/dev/null 2>&1; then
    missing="$missing python3 python3-dev python3-venv"
elif ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 10))'; then
    notes="$python is $("$python" -V 2>&1), edgesnn needs 3.10 or later: name another one with make PYTHON=python3.11"
else
    header='import os, sys, sysconfig; sys.exit(not os.path.exists(os.path.join(sysconfig.get_paths()["include"], "Python.h")))'
    "$python" -c "$header" || missing="$missing python3-dev"
    "$python" -c 'import ensurepip, venv' >/dev/null 2>&1 || missing="$missing python3-venv"
fi
command -v "${CXX:-c++}" >/dev/null 2>&1 || command -v g++ >/dev/null 2>&1 || missing="$missing g++"

if [ -n "$notes" ]; then
    echo "$notes" >&2
fi
if [ -n "$missing" ]; then
    echo "missing on this system; install it with:" >&2
    echo "    sudo apt install$missing" >&2
fi
[ -z "$missing$notes" ]
