#!/bin/sh
# usage: base-images.sh   Makes images that stand in for those that Dockerfile and compose.yml begin from, under the same
# names, out of Debian's packages and this machine's Rust and Node.js. For machines that reach no registry of images; they
# are for tests: versions are Debian's, and of the entry points there is only what compose.yml uses. As root, with debootstrap.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# build NAME CONTEXT: from the Dockerfile on standard input.
build() {
    docker build --quiet --network host --tag "$1" --file - "$2"
}

# with_packages NAME PACKAGES: the Dockerfile on standard input follows.
with_packages() {
    { echo "FROM debian:bookworm-slim
RUN apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $2"; cat; } |
        build "$1" "$3"
}

debootstrap --variant=minbase --include=ca-certificates,tzdata bookworm "$work/root"
# Whom this machine trusts.
cp /etc/ssl/certs/ca-certificates.crt "$work/root/etc/ssl/certs/"
tar -C "$work/root" -c . | docker import - debian:bookworm-slim
rm -rf "$work/root"

mkdir "$work/files"
cat >"$work/files/docker-entrypoint.sh" <<'END'
#!/bin/sh
# The part of MariaDB's own script that compose.yml needs.
set -eu
mysql_socket=/run/mysqld/mysqld.sock
docker_process_sql() { mariadb --socket="$mysql_socket" -uroot; }
docker_sql_escape_string_literal() { printf %s "$1" | sed "s/[\\\\']/\\\\&/g"; }
if [ ! -d /var/lib/mysql/mysql ]; then
    chown mysql: /var/lib/mysql
    mariadb-install-db --user=mysql --auth-root-authentication-method=normal --skip-test-db >/dev/null
    mariadbd --user=mysql --skip-networking --socket="$mysql_socket" &
    first=$!
    until mariadb-admin --socket="$mysql_socket" ping >/dev/null 2>&1; do sleep 0.2; done
    echo "CREATE DATABASE \`$MARIADB_DATABASE\`;" | docker_process_sql
    for script in /docker-entrypoint-initdb.d/*.sh; do . "$script"; done
    password=$(docker_sql_escape_string_literal "$MARIADB_ROOT_PASSWORD")
    host=${MARIADB_ROOT_HOST:-%}
    { [ "$host" = localhost ] || echo "CREATE USER root@'$host' IDENTIFIED BY '$password';
        GRANT ALL ON *.* TO root@'$host' WITH GRANT OPTION;"
      echo "ALTER USER root@localhost IDENTIFIED BY '$password';"; } | docker_process_sql
    kill "$first"
    wait "$first" || exit
fi
exec "$@" --user=mysql --bind-address=0.0.0.0
END
cat >"$work/files/healthcheck.sh" <<'END'
#!/bin/sh
# Well is who listens on the network and knows that we are nobody.
mariadb -h 127.0.0.1 -u nobody 2>&1 | grep -q 'Access denied'
END
chmod +x "$work/files"/*
with_packages mariadb:10.11 mariadb-server "$work/files" <<'END'
COPY . /usr/local/bin/
RUN rm -rf /var/lib/mysql && install -d -o mysql /var/lib/mysql /run/mysqld
END
with_packages redis:7.2 redis-server "$work/files" </dev/null
with_packages nginx:1.28 'nginx-light curl' "$work/files" <<'END'
RUN rm -rf /var/lib/nginx && ln -s /var/cache/nginx /var/lib/nginx && \
    ln -sf /dev/stdout /var/log/nginx/access.log && ln -sf /dev/stderr /var/log/nginx/error.log
STOPSIGNAL SIGQUIT
CMD ["nginx", "-g", "daemon off;"]
END
with_packages node:20-bookworm-slim libstdc++6 /usr <<'END'
ENV NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt
COPY bin/node /usr/local/bin/
COPY lib/node_modules/npm /usr/local/lib/node_modules/npm
RUN ln -s ../lib/node_modules/npm/bin/npm-cli.js /usr/local/bin/npm
END
with_packages rust:1.95-bookworm 'gcc libc6-dev make' "$(rustc --print sysroot)" <<'END'
ENV CARGO_HOME=/usr/local/cargo
COPY bin /usr/local/bin
COPY lib /usr/local/lib
END
