#!/bin/sh
# usage: need.sh TOOL...   Ends with one sentence per tool that is missing or too old, and for a folder that is read-only:
# what, and what to do about it.
set -u
bad=0

# complain TEXT
complain() {
    echo "make: $1" >&2
    bad=1
}

# at_least HAVE WANT: compares versions such as 20.19.2.
at_least() {
    [ "$(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n 1)" = "$2" ]
}

[ -w "$(dirname "$0")/../.." ] ||
    complain "this folder cannot be written to: let this user write to it, or work in a copy elsewhere."

for tool in "$@"; do
    if ! command -v "$tool" >/dev/null 2>&1; then
        case $tool in
            cargo) complain "cargo is missing: install Rust 1.95 or newer with rustup (https://rustup.rs)." ;;
            node | npm) complain "$tool is missing: install Node.js 20.19 or newer, with npm (https://nodejs.org)." ;;
            cc) complain "a C compiler is missing: run \`apt-get install build-essential\` as root." ;;
            *) complain "$tool is missing: install it and start again." ;;
        esac
        continue
    fi
    case $tool in
        cargo)
            have=$(cargo --version | cut -d ' ' -f 2)
            at_least "$have" 1.95 || complain "cargo $have is too old: run \`rustup update\` to get 1.95 or newer."
            ;;
        node)
            have=$(node --version | tr -d v)
            at_least "$have" 20.19 || complain "Node.js $have is too old: install 20.19 or newer (https://nodejs.org)."
            ;;
    esac
done
exit $bad
