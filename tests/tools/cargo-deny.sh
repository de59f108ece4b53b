#!/bin/sh
# usage: cargo-deny.sh VERSION FOLDER   Builds cargo-deny once, without its long optimisation: it runs for seconds.
set -eu
if [ "$("$2/bin/cargo-deny" --version 2>/dev/null)" = "cargo-deny $1" ]; then
    exit 0
fi
export CARGO_PROFILE_DEV_DEBUG=0 CARGO_INCREMENTAL=0
cargo install cargo-deny --locked --version "$1" --no-default-features --debug --root "$2" --target-dir "$2/build"
rm -rf "$2/build"
