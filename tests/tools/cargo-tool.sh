#!/bin/sh
# usage: cargo-tool.sh TOOL VERSION FOLDER   Builds a cargo subcommand once, without its long optimisation: what takes
# time is what it starts.
set -eu
if [ "$("$3/bin/$1" --version 2>/dev/null)" = "$1 $2" ]; then
    exit 0
fi
export CARGO_PROFILE_DEV_DEBUG=0 CARGO_INCREMENTAL=0
cargo install "$1" --locked --version "$2" --no-default-features --debug --root "$3" --target-dir "$3/build"
rm -rf "$3/build"
