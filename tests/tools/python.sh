#!/bin/sh
# usage: python.sh SCRIPT [ARGUMENT...]   Runs a script of ours with python3, after installing that if it is missing.
set -eu
command -v python3 >/dev/null 2>&1 || "$(dirname "$0")/setup.sh"
exec python3 "$@"
