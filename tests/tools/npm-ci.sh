#!/bin/sh
# usage: npm-ci.sh FOLDER   Installs the locked packages of a folder, unless they are there already.
set -eu
cd "$1"
if [ node_modules/.package-lock.json -nt package-lock.json ]; then
    exit 0
fi
npm ci --no-audit --no-fund
touch node_modules/.package-lock.json
