#!/usr/bin/env bash
# The linters that not every machine has: each that is missing is named.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

# Says that a linter is missing and goes on; with CI=true it ends the script.
missing() { (skip "$@") || (($? == SKIPPED)); }

if have shellcheck || apt_install shellcheck; then
  shellcheck scripts/*.sh .ci/run
else
  missing "shellcheck is not installed"
fi
if cargo deny --version >/dev/null 2>&1; then
  cargo deny --all-features check
else
  echo "skipped: cargo-deny is not installed (cargo install --locked cargo-deny)" >&2
fi
scripts/lint-deploy.sh || (($? == SKIPPED))
