#!/bin/sh
# Builds everything and serves it on this machine only. The pages are built beside the server.
set -eu
tools=$(cd "$(dirname "$0")" && pwd)
cd "$tools/../.."
"$tools/need.sh" cargo cc node npm

log=$(mktemp)
trap 'rm -f "$log"' EXIT
"$tools/dashboard.sh" >"$log" 2>&1 &
pages=$!
cargo build --release --locked -p gema
wait "$pages" || {
    cat "$log" >&2
    echo "make: the pages could not be built (see above); \`make dashboard\` tries again." >&2
    exit 1
}

gema=${CARGO_TARGET_DIR:-target}/release/gema
[ -f .env ] || "$gema" init
"$gema" migrate --seed
rm -f "$log"
exec "$gema" serve --host 127.0.0.1
