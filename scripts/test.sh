#!/usr/bin/env bash
# Runs every test. Installs PostgreSQL and Redis when they are missing and it may; the tests start their own
# private servers and leave one that is already there alone.
# With CI=true a test that cannot run is a failure.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

results=()
failed=0

# Runs one part and keeps how it ended. part NAME COMMAND...
part() {
  local name=$1 status=0 start=$SECONDS
  shift
  echo "== $name"
  "$@" || status=$?
  case $status in
    0) results+=("passed   $name ($((SECONDS - start)) s)") ;;
    "$SKIPPED") results+=("skipped  $name") ;;
    *)
      results+=("FAILED   $name")
      failed=1
      ;;
  esac
}

# The parts below are called through `part`.
# shellcheck disable=SC2317
postgres_found() {
  local candidate
  for candidate in "${POSTGRES_BIN:+$POSTGRES_BIN/initdb}" "$(command -v initdb || true)" /usr/lib/postgresql/*/bin/initdb; do
    [[ -x $candidate ]] && return 0
  done
  return 1
}

# shellcheck disable=SC2317
postgres() {
  postgres_found && return 0
  # The package would otherwise make and start a cluster of its own.
  if apt_install postgresql-common; then
    mkdir -p /etc/postgresql-common/createcluster.d
    echo "create_main_cluster = false" >/etc/postgresql-common/createcluster.d/no-main-cluster.conf
    apt_install postgresql || true
  fi
  postgres_found || (skip "tests against an installed PostgreSQL: initdb was not found; install PostgreSQL 15 or newer")
}

# shellcheck disable=SC2317
redis() {
  have redis-server && return 0
  # The package would otherwise start a server of its own, and again at every boot: a unit that is masked is left alone.
  if [[ $(id -u) == 0 && ! -e /etc/systemd/system/redis-server.service ]]; then
    mkdir -p /etc/systemd/system
    ln -s /dev/null /etc/systemd/system/redis-server.service
  fi
  apt_install redis-server || true
  have redis-server || (skip "tests against Redis: redis-server was not found; install Redis 7 or newer")
}

# Prometheus' own tool, which the tests ask about /metrics.
# shellcheck disable=SC2317
promtool() {
  have promtool && return 0
  # The package would otherwise start a server of its own.
  if [[ $(id -u) == 0 && ! -e /etc/systemd/system/prometheus.service ]]; then
    mkdir -p /etc/systemd/system
    ln -s /dev/null /etc/systemd/system/prometheus.service
  fi
  apt_install prometheus || true
  have promtool || (skip "what Prometheus' own tool says of /metrics: promtool was not found")
}

# The real golang-migrate, to work in turn with ours on one database.
# shellcheck disable=SC2317
golang_migrate() {
  local module=github.com/golang-migrate/migrate/v4/cmd/migrate@v4.20.1
  if [[ ! -x .tools/bin/migrate ]]; then
    have go || skip "work in turn with golang-migrate: Go is not installed"
    GOBIN=$root/.tools/bin go install -tags postgres "$module" ||
      skip "work in turn with golang-migrate: it could not be installed"
  fi
}

# To compare what the chart renders with the manifests.
# shellcheck disable=SC2317
helm() { go_tool helm "$HELM_PACKAGE" || (skip "the Helm chart: Helm could not be built (is Go installed?)"); }

part "PostgreSQL is installed" postgres
part "Redis is installed" redis
part "promtool is installed" promtool
part "golang-migrate is installed" golang_migrate
[[ -x .tools/bin/migrate ]] && export GOLANG_MIGRATE=$root/.tools/bin/migrate
part "Helm is installed" helm
[[ -x .tools/bin/helm ]] && export HELM=$root/.tools/bin/helm
part "cargo test" cargo test --workspace --locked --no-fail-fast
part "Corpus" scripts/corpus.sh small
part "Clients of others" scripts/test-compliance.sh
part "AsyncAPI" scripts/test-asyncapi.sh
part "Deployment" scripts/lint-deploy.sh
if cargo build --quiet --locked --bin catalog-service; then
  CATALOG_BIN=$(realpath "${CARGO_TARGET_DIR:-target}/debug/catalog-service")
  export CATALOG_BIN
  part "SDKs" scripts/test-sdk.sh
  part "OpenAPI" scripts/test-openapi.sh
  part "Documentation page" scripts/test-docs.sh
else
  failed=1
fi

echo
echo "== summary"
printf '%s\n' "${results[@]}"
exit "$failed"
