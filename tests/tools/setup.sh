#!/bin/sh
# Installs what the tests need and this machine lacks, and nothing else.
set -u
missing=""

command -v python3 >/dev/null 2>&1 || missing="$missing python3"
# Debian ships `venv` without the part that puts pip into it.
python3 -c 'import ensurepip' >/dev/null 2>&1 || missing="$missing python3-venv"
command -v cc >/dev/null 2>&1 || missing="$missing build-essential"
# PHP as Laravel has it: with curl, and Guzzle from Debian.
php -r 'exit((int) !(extension_loaded("curl") && (@include "GuzzleHttp/autoload.php")));' >/dev/null 2>&1 ||
    missing="$missing php-cli php-curl php-guzzlehttp-guzzle"
command -v openssl >/dev/null 2>&1 || missing="$missing openssl"
command -v redis-server >/dev/null 2>&1 || missing="$missing redis-server"
[ -x /usr/sbin/nginx ] || command -v nginx >/dev/null 2>&1 || missing="$missing nginx"
command -v mariadb-install-db >/dev/null 2>&1 || missing="$missing mariadb-server"
command -v systemd-analyze >/dev/null 2>&1 || missing="$missing systemd"
[ -x "${CHROMIUM:-/usr/bin/chromium}" ] || missing="$missing chromium"

[ -n "$missing" ] || exit 0
fix="install by hand:$missing"
command -v apt-get >/dev/null 2>&1 || { echo "setup: this is no Debian (apt-get is missing): $fix." >&2; exit 1; }
as_root=""
if [ "$(id -u)" -ne 0 ]; then
    as_root=sudo
    command -v sudo >/dev/null 2>&1 || { echo "setup: neither root nor sudo: $fix." >&2; exit 1; }
fi

echo "setup: installing$missing"
# shellcheck disable=SC2086 # a list of packages is meant to be split
install() {
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
        -o DPkg::Lock::Timeout=300 $missing
}
# The package lists of a fresh machine are empty or old, so a first failure means nothing yet.
install || { $as_root apt-get update -o DPkg::Lock::Timeout=300 && install; } || {
    echo "setup: apt-get could not install$missing (see above): mend that, or $fix." >&2
    exit 1
}
