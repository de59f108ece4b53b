#!/bin/sh
# usage: node-tests.sh FOLDER [OPTION...]   Runs the tests of a folder; versions of Node disagree on what a folder means.
# A pusher-js that was sent away keeps a timer of 30 s on a socket that is closed already; nobody has to wait for that.
set -eu
folder=$1
shift
exec node --test --test-force-exit --test-reporter=spec "$@" "$folder"/*.test.mjs
