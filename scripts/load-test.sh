#!/usr/bin/env bash
# Calls the service as many users would and checks what they get against what is promised; fails when it is less.
# load-test.sh load|stress|endurance
#
# Without URL it starts a service of its own with 10,000 products. For one that runs elsewhere: URL, TOKENS (a file with
# a bearer token per line, each of another user, of the scopes catalog:read and catalog:write) and METRICS, the URL of
# its metrics. RATE (1000 requests per second) and DURATION (seconds) change how much and how long.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

export MODE=${1:?load, stress or endurance} RATE=${RATE:-1000}
case $MODE in
  load) DURATION=${DURATION:-60} ;;
  stress) DURATION=${DURATION:-300} ;;
  endurance) DURATION=${DURATION:-3600} ;;
  *)
    echo "error: load, stress or endurance" >&2
    exit 2
    ;;
esac

# Called through `once`.
# shellcheck disable=SC2317
make_venv_for_load() {
  rm -rf .tools/load
  python3 -m venv .tools/load 2>/dev/null || { apt_install python3-venv && python3 -m venv --clear .tools/load; } || return 1
  .tools/load/bin/pip install --quiet --disable-pip-version-check --requirement tests/load/requirements.txt
}

have python3 || apt_install python3 python3-venv || skip "load test: python3 is not installed"
mkdir -p .tools
once .tools/load-stamp tests/load/requirements.txt -- make_venv_for_load || skip "load test: locust could not be installed"

work=$(mktemp -d)
if [[ -z ${URL:-} ]]; then
  if [[ -z ${CATALOG_BIN:-} ]]; then
    cargo build --quiet --locked --release --bin catalog-service
    CATALOG_BIN=${CARGO_TARGET_DIR:-target}/release/catalog-service
  fi
  start_service
  "$CATALOG_BIN" demo --count 10000 --url "http://$CATALOG_GRPC_ADDR"
  URL=$CATALOG_HTTP_URL
  METRICS=http://$CATALOG_GRPC_ADDR/metrics
  TOKENS=$work/tokens
  # Each user may call 1000 times a minute: enough of them for four times the rate.
  for number in $(seq $((RATE * 4 / 10))); do
    "$CATALOG_BIN" token --scope "catalog:read catalog:write" --sub "user_load_$number" --ttl 24h
  done >"$TOKENS"
fi
: "${TOKENS:?a file with tokens}" "${METRICS:?the URL of the metrics}"

mkdir -p target
REPORT=${REPORT:-target/$MODE-test.md}
arguments=(--users $((RATE / 10)) --spawn-rate 100 --run-time "$DURATION")
# The steps say how many users there are, and for how long.
[[ $MODE == stress ]] && arguments=()
status=0
DURATION=$DURATION TOKENS=$TOKENS METRICS=$METRICS REPORT=$REPORT \
  .tools/load/bin/locust --headless --only-summary --loglevel WARNING --locustfile tests/load/locustfile.py \
  --host "$URL" "${arguments[@]}" || status=$?
rm -rf "$work"
echo "the report is in $REPORT"
exit "$status"
