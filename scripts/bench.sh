#!/usr/bin/env bash
# Runs the benches and writes what they found to docs/performance.md. Takes about a quarter of an hour beside the build;
# the machine should have nothing else to do.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

have redis-server || apt_install redis-server || skip "benches: redis-server was not found"
for bench in service store events; do
  cargo bench --locked --package catalog-service --bench "$bench" --no-run
done

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
run() {
  local name=$1
  shift
  cargo bench --locked --quiet "$@" 2>&1 | tee "$work/$name"
}
BENCH_REPORT=$work/table run service --package catalog-service --bench service
run store --package catalog-service --bench store
run events --package catalog-service --bench events
run transcoder --package transcode-tests

{
  echo "# Performance"
  echo
  echo "What \`make bench\` found when it was run last. The numbers are of that machine; what counts are the ratios, each"
  echo "of a subject and a reference that took turns in the same run."
  echo
  echo "## Requests"
  echo
  cat "$work/table"
  for part in store events transcoder; do
    echo
    echo "## ${part^}"
    echo
    echo '```text'
    grep -v '^running\|^test result\|^$' "$work/$part"
    echo '```'
  done
} >docs/performance.md
echo "wrote docs/performance.md"
