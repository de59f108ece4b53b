#!/bin/sh
# usage: venv.sh FOLDER   A Python environment with the locked packages of the tests: Debian keeps its own closed.
set -eu
here=$(cd "$(dirname "$0")/.." && pwd)
wanted="$here/python/requirements.txt"
if [ "$1/.installed" -nt "$wanted" ]; then
    exit 0
fi
python3 -m venv "$1"
"$1/bin/pip" install --quiet --disable-pip-version-check --requirement "$wanted"
touch "$1/.installed"
