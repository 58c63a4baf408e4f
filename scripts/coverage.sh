#!/usr/bin/env bash
# Measures which lines of the service and of the engine the tests run, and fails when it is less than 80 %. What is
# generated does not count. Builds everything anew, with counters, under target/llvm-cov-target.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

readonly LEAST=80

if ! cargo llvm-cov --version >/dev/null 2>&1; then
  PATH=$root/.tools/bin:$PATH
  [[ -x .tools/bin/cargo-llvm-cov ]] || cargo install --quiet --locked --root .tools cargo-llvm-cov --version 0.9.1 ||
    skip "coverage: cargo-llvm-cov could not be installed"
fi

# The tools of the toolchain, or those of the system when it has none.
if ! ls "$(rustc --print sysroot)"/lib/rustlib/*/bin/llvm-cov >/dev/null 2>&1; then
  have llvm-cov-19 || apt_install llvm-19 ||
    skip "coverage: no llvm-cov; rustup component add llvm-tools, or install LLVM 19 or newer"
  export LLVM_COV=llvm-cov-19 LLVM_PROFDATA=llvm-profdata-19
fi

have redis-server || apt_install redis-server || skip "coverage: redis-server was not found"
CARGO_PROFILE_DEV_DEBUG=0 cargo llvm-cov --workspace --locked --no-report \
  --ignore-filename-regex '/(out|benches|tests)/' "$@"
cargo llvm-cov report --summary-only --ignore-filename-regex '/(out|benches|tests)/' --fail-under-lines "$LEAST"
