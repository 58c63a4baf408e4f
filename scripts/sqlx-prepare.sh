#!/bin/sh
# Rewrites .sqlx, the description of every query that the compile-time checks use when there is no
# database: starts a throw-away PostgreSQL, applies the migrations, compiles against it.
set -eu
cd "$(dirname "$0")/.."

bin=$(find /usr/lib/postgresql -mindepth 2 -maxdepth 2 -name bin 2>/dev/null | sort -V | tail -n 1)
if [ -z "$bin" ]; then
    postgres=$(command -v postgres) || { echo "sqlx-prepare: no PostgreSQL server found" >&2; exit 1; }
    bin=$(dirname "$postgres")
fi

# Short, because the path of a Unix socket may not be longer than about 100 bytes.
work=$(mktemp -d /tmp/sqlx.XXXXXX)
as_server() {
    # The server refuses to run as root.
    if [ "$(id -u)" = 0 ]; then
        setpriv --reuid=nobody --regid=nogroup --clear-groups env HOME="$work" "$@"
    else
        "$@"
    fi
}
finish() {
    as_server "$bin/pg_ctl" -D "$work/data" -m immediate -w stop >/dev/null 2>&1 || true
    rm -rf "$work"
}
trap finish EXIT
trap 'exit 1' INT TERM HUP
[ "$(id -u)" != 0 ] || chown nobody:nogroup "$work"

as_server "$bin/initdb" -D "$work/data" -U postgres -A trust -E UTF8 --locale=C.UTF-8 --no-sync >/dev/null
as_server "$bin/pg_ctl" -D "$work/data" -l "$work/log" -w \
    -o "-c listen_addresses='' -c unix_socket_directories='$work' -c fsync=off" start >/dev/null \
    || { cat "$work/log" >&2; exit 1; }
for migration in migrations/*.up.sql; do
    "$bin/psql" -X -q -v ON_ERROR_STOP=1 -h "$work" -U postgres -d postgres -f "$migration"
done

# Written aside and put in place only after a successful compilation: no stale file stays behind.
mkdir "$work/queries"
touch src/store/*.rs src/store/*/*.rs src/lib.rs
SQLX_OFFLINE=false SQLX_OFFLINE_DIR="$work/queries" \
    DATABASE_URL="postgres://postgres@localhost/postgres?host=$work" \
    cargo check --quiet --package catalog-service --lib
rm -rf .sqlx
mkdir .sqlx
cp "$work"/queries/query-*.json .sqlx/
echo "sqlx-prepare: $(find .sqlx -name '*.json' | wc -l) queries described in .sqlx"
