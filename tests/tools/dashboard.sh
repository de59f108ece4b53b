#!/bin/sh
# Builds examples/dashboard/dist, if it is older than its sources.
set -eu
tools=$(cd "$(dirname "$0")" && pwd)
"$tools/need.sh" node npm
cd "$tools/../../examples/dashboard"
"$tools/npm-ci.sh" .
if [ -f dist/index.html ] && [ -z "$(find . -path ./node_modules -prune -o -path ./dist -prune -o -type f \
    -newer dist/index.html -print | head -n 1)" ]; then
    exit 0
fi
npm run build
# Vite keeps the time of files it copies; this is what the comparison above looks at.
touch dist/index.html
