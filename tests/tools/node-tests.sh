#!/bin/sh
# usage: node-tests.sh FOLDER   Runs the tests of a folder; Node 20 and later versions disagree on what a folder means.
exec node --test --test-reporter=spec "$1"/*.test.mjs
