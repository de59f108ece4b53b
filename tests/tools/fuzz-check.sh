#!/bin/sh
# Checks that the fuzz targets compile, with the rules of the other crates. libFuzzer itself, which is C++ and takes long,
# is not built: a check links nothing, so any path will do for it.
set -eu
manifest=tests/fuzz/Cargo.toml
cargo fmt --manifest-path "$manifest" --check
CUSTOM_LIBFUZZER_PATH=/none/none.a exec cargo clippy --locked --manifest-path "$manifest" \
    --target-dir "${CARGO_TARGET_DIR:-target}" --all-targets -- -D warnings
