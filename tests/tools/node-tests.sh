#!/bin/sh
# usage: node-tests.sh FOLDER   Runs the tests of a folder; Node 20 and later versions disagree on what a folder means.
# A pusher-js that was sent away keeps a timer of 30 s on a socket that is closed already; nobody has to wait for that.
exec node --test --test-force-exit --test-reporter=spec "$1"/*.test.mjs
