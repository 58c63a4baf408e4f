# Shared by the scripts of this folder: tools, the service under test, and what a missing tool means.
# Source it after `set -euo pipefail`; it changes to the root of the repository.
# shellcheck shell=bash

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root" || exit

# The exit status of a script that could not test anything.
readonly SKIPPED=77

# Says that something is not tested, and why. In CI that is a failure.
skip() {
  echo "skipped: $*" >&2
  if [[ ${CI:-} == true ]]; then
    echo "error: nothing may be skipped with CI=true" >&2
    exit 1
  fi
  exit "$SKIPPED"
}

have() { command -v "$1" >/dev/null 2>&1; }

# Installs Debian packages, where that is possible and we may.
apt_install() {
  have apt-get && [[ $(id -u) == 0 ]] || return 1
  echo "installing $*"
  { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@"; } >/dev/null
}

# Runs an installation again only when one of the files that it reads has changed.
# once STAMP FILE... -- COMMAND...
once() {
  local stamp=$1 files=() sum
  shift
  while [[ $1 != -- ]]; do
    files+=("$1")
    shift
  done
  shift
  sum=$(sha256sum "${files[@]}")
  [[ -f $stamp && $(<"$stamp") == "$sum" ]] && return 0
  "$@" || return 1
  echo "$sum" >"$stamp"
}

npm_ci() { (cd "$1" && npm ci --no-audit --no-fund --loglevel=error); }

# Packages of the npm project in DIR. need_npm DIR
need_npm() {
  have npm || skip "$1: Node.js 20 or newer with npm is not installed"
  [[ -d $1/node_modules ]] || rm -f ".tools/npm-${1//\//-}"
  mkdir -p .tools
  once ".tools/npm-${1//\//-}" "$1/package-lock.json" -- npm_ci "$1" || skip "$1: npm ci failed"
}

make_venv() {
  rm -rf .tools/python
  python3 -m venv .tools/python 2>/dev/null ||
    { apt_install python3-venv && python3 -m venv --clear .tools/python; } || return 1
  .tools/python/bin/pip install --quiet --disable-pip-version-check \
    --requirement tools/requirements.txt --constraint tools/constraints.txt
}

# The Python tools, in .tools/python.
need_python() {
  have python3 || apt_install python3 python3-venv || skip "Python tools: python3 is not installed"
  mkdir -p .tools
  [[ -x .tools/python/bin/python ]] || rm -f .tools/python-stamp
  once .tools/python-stamp tools/requirements.txt tools/constraints.txt -- make_venv ||
    skip "Python tools: no virtual environment (is python3-venv installed?)"
}

# Builds a program of Go into .tools/bin, unless it is there in this version. go_tool NAME PACKAGE@VERSION
go_tool() {
  local name=$1 package=$2 stamp=.tools/bin/$1.version built
  [[ -x .tools/bin/$name && -f $stamp && $(<"$stamp") == "$package" ]] && return 0
  have go || return 1
  built=$(mktemp -d)
  mkdir -p .tools/bin
  # The program has the name of its last folder, which is not always its own.
  GOBIN=$built go install -ldflags=-s "$package" && mv "$built"/* ".tools/bin/$name" && echo "$package" >"$stamp"
  local status=$?
  rm -rf "$built"
  return "$status"
}

# Go builds it in about a minute and a half, the first time.
# shellcheck disable=SC2034
readonly HELM_PACKAGE=helm.sh/helm/v3/cmd/helm@v3.21.4

# Sets CATALOG_BIN to the service; builds it unless the variable is set already.
need_service() {
  if [[ -z ${CATALOG_BIN:-} ]]; then
    cargo build --quiet --locked --bin catalog-service
    CATALOG_BIN=${CARGO_TARGET_DIR:-target}/debug/catalog-service
  fi
  CATALOG_BIN=$(realpath "$CATALOG_BIN")
}

free_ports() {
  python3 - <<'PY'
import socket
sockets = [socket.socket() for _ in range(2)]
for s in sockets:
    s.bind(("127.0.0.1", 0))
print(*(s.getsockname()[1] for s in sockets))
PY
}

service_pid=
service_dir=

# Starts a service of its own on free ports, with an empty embedded database, and waits until it is ready.
# Sets CATALOG_HTTP_URL, CATALOG_GRPC_ADDR and CATALOG_TOKEN for the tests, and stops it when the script ends.
start_service() {
  have curl || apt_install curl ca-certificates || skip "tests against the running service: curl is not installed"
  need_service
  local http grpc
  read -r http grpc < <(free_ports)
  service_dir=$(mktemp -d)
  chmod 755 "$service_dir"
  trap stop_service EXIT
  trap 'exit 130' INT TERM
  # What is tested is not how long a password takes, which is longer on a busy machine than a request may take.
  export BCRYPT_COST=4
  export SERVER_HTTP_ADDR=127.0.0.1:$http SERVER_GRPC_ADDR=127.0.0.1:$grpc CATALOG_DATA_DIR=$service_dir/data
  # One user makes all requests, more of them in a minute than users make.
  export RATE_LIMIT_REQUESTS_PER_MINUTE=1000000
  unset DATABASE_URL
  "$CATALOG_BIN" >"$service_dir/log" 2>&1 &
  service_pid=$!
  CATALOG_HTTP_URL=http://$SERVER_HTTP_ADDR
  CATALOG_GRPC_ADDR=$SERVER_GRPC_ADDR
  for _ in $(seq 600); do
    if curl --silent --fail --output /dev/null "$CATALOG_HTTP_URL/ready"; then
      CATALOG_TOKEN=$("$CATALOG_BIN" token --scope "catalog:read catalog:write" --sub user_456)
      export CATALOG_HTTP_URL CATALOG_GRPC_ADDR CATALOG_TOKEN
      return 0
    fi
    kill -0 "$service_pid" 2>/dev/null || break
    sleep 0.1
  done
  echo "error: the service did not become ready" >&2
  return 1
}

# Stops the service and removes its data. After a failure the end of its log is shown.
stop_service() {
  local status=$?
  trap - EXIT
  if [[ -n $service_pid ]]; then
    kill -TERM "$service_pid" 2>/dev/null || true
    wait "$service_pid" || true
    service_pid=
  fi
  if [[ -n $service_dir ]]; then
    if ((status != 0 && status != SKIPPED)); then
      echo "--- the end of the service's log" >&2
      tail -n 40 "$service_dir/log" >&2
    fi
    rm -rf "$service_dir"
    service_dir=
  fi
  return "$status"
}
